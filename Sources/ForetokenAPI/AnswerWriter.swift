/// Writes one request's answer in the request's dialect.
package protocol AnswerWriter: Sendable {
    /// The body of an answer that is not streamed.
    func whole(_ results: [ChoiceResult]) -> [UInt8]

    /// What a stream begins with, before there is anything of the answer.
    mutating func begin() -> [UInt8]

    /// How far the request is, for those who asked to be told; nothing in dialects that have no room for it.
    func event(_ headway: Headway) -> [UInt8]

    /// What one choice has to tell.
    mutating func events(_ index: Int, _ news: ChoiceNews) -> [UInt8]

    /// The end of one choice. A caller that has text left over has given it to `events` before.
    mutating func end(_ index: Int, _ result: ChoiceResult) -> [UInt8]

    /// The end of the answer.
    mutating func close(_ results: [ChoiceResult]) -> [UInt8]

    /// An error behind the beginning, and the end.
    mutating func failure(_ error: APIError) -> [UInt8]

    /// What keeps the connection open and means nothing.
    mutating func ping() -> [UInt8]
}

extension AnswerWriter {
    package func event(_ headway: Headway) -> [UInt8] { [] }
}

extension Reply {
    /// What writes the answer.
    package var writer: any AnswerWriter {
        switch order.dialect {
        case .chat, .completion: StreamWriter(self)
        case .messages: MessageWriter(self)
        case .responses: ResponseWriter(self)
        }
    }

    /// An event with its name and its JSON.
    static func event(_ name: String, _ json: [UInt8]) -> [UInt8] {
        Array("event: \(name)\ndata: ".utf8) + json + Array("\n\n".utf8)
    }

    /// What this server tells of every answer, whatever the dialect.
    func writeStory(_ result: ChoiceResult, into writer: inout JSONWriter) {
        writer.object("timings") { writeTimings(result, into: &$0) }
        writer.object("foretoken") { writeOwn(result, choice: 0, into: &$0) }
    }
}
