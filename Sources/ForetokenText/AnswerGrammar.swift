import ForetokenJSON
import ForetokenSpeculation
import ForetokenTokenizer

/// Which tokens of an answer are markers, and where the answer begins.
package struct AnswerGrammar: Sendable, Equatable {
    /// What a marker means.
    enum Marker: Sendable {
        case thoughtBegin, thoughtEnd, callsBegin, callsEnd, callBegin, callEnd, separator
        case keyBegin, keyEnd, valueBegin, valueEnd
    }

    /// Markers around thoughts; nil where the tokenizer has none.
    package let thoughtBegin: Int32?
    package let thoughtEnd: Int32?
    /// How tools are called; nil where none can be.
    package let calls: CallFormat?
    /// What the arguments of tools may be, by the tools' and the arguments' names.
    private let kinds: [String: [String: ArgumentKind]]
    /// Whether the prompt has opened a thought for the answer to go on with.
    package let beginsInThought: Bool
    /// Whether the answer may begin with a thought of its own: the prompt has neither opened nor ended one.
    package let mayThink: Bool

    /// - Parameters:
    ///   - prompt: what is answered. Only its format's own text makes markers, so what users write opens no thought.
    ///   - calls: nil where no tools are offered: markers of calls are text then.
    ///   - tools: those that are offered; their schemas tell texts from other arguments where calls do not.
    ///   - turnEnds: tokens that end a turn; thoughts of earlier turns say nothing of the answer.
    package init(
        _ tokenizer: Tokenizer, prompt: some BidirectionalCollection<Int32>, calls: CallFormat?,
        tools: [JSONValue] = [],
        turnEnds: [Int32] = []
    ) {
        thoughtBegin = tokenizer.id(of: "<think>")
        thoughtEnd = tokenizer.id(of: "</think>")
        self.calls = calls
        kinds = calls?.quotesTexts == false ? ArgumentSchema.kinds(of: tools) : [:]
        let (begin, end) = (thoughtBegin, thoughtEnd)
        let last = prompt.reversed().prefix { !turnEnds.contains($0) }.first { $0 == begin || $0 == end }
        beginsInThought = begin != nil && end != nil && last != nil && last == begin
        mayThink = begin != nil && end != nil && last == nil
    }

    /// Whether an answer can have anything but content.
    package var isPlain: Bool { thoughtEnd == nil && calls == nil }

    /// What an argument may be.
    func kind(tool: String, key: String) -> ArgumentKind { kinds[tool]?[key] ?? .either }

    func marker(_ token: Int32) -> Marker? {
        if case .pairs(let pairs)? = calls?.body {
            switch token {
            case pairs.keyBegin: return .keyBegin
            case pairs.keyEnd: return .keyEnd
            case pairs.valueBegin: return .valueBegin
            case pairs.valueEnd: return .valueEnd
            default: break
            }
        }
        return switch Optional(token) {
        case thoughtBegin: .thoughtBegin
        case thoughtEnd: .thoughtEnd
        case calls?.callsBegin: .callsBegin
        case calls?.callsEnd: .callsEnd
        case calls?.callBegin: .callBegin
        case calls?.callEnd: .callEnd
        case calls?.separator: .separator
        default: nil
        }
    }
}

extension OpenModel {
    /// How the model calls tools; nil where it cannot, or nobody knows how.
    /// - Throws: as `chatFormat()` does.
    package func callFormat() throws -> CallFormat? { try chatFormat().calls }
}

/// Some of an answer.
package enum AnswerPart: Sendable, Equatable {
    /// More of what the model thinks before it answers.
    case reasoning(String)
    /// More of what it says.
    case content(String)
    /// A call of a tool begins; the id is the model's own, where its format has ids and no earlier call has the same.
    case call(name: String, id: String?)
    /// More of the JSON text of its arguments, as the model writes it.
    case arguments(String)
    /// The call is whole.
    case callEnd
}

/// A call of a tool.
package struct ToolCall: Sendable, Equatable {
    package let name: String
    /// The model's own id; nil where its format has none, or an earlier call has the same.
    package let id: String?
    /// JSON text, as the model wrote it.
    package var arguments: String
    /// Whether the answer did not end within it.
    package var isWhole: Bool

    package init(name: String, id: String? = nil, arguments: String = "", isWhole: Bool = false) {
        (self.name, self.id, self.arguments, self.isWhole) = (name, id, arguments, isWhole)
    }
}

/// The parts of an answer, put together.
package struct ParsedAnswer: Sendable, Equatable {
    package var reasoning = ""
    package var content = ""
    package var calls: [ToolCall] = []
    /// Tokens of thoughts, their markers included.
    package var reasoningTokens = 0

    /// Nothing yet.
    package init() {}

    package mutating func append(_ part: AnswerPart) {
        switch part {
        case .reasoning(let text): reasoning += text
        case .content(let text): content += text
        case .call(let name, let id): calls.append(ToolCall(name: name, id: id))
        case .arguments(let text): calls[calls.count - 1].arguments += text
        case .callEnd: calls[calls.count - 1].isWhole = true
        }
    }
}

extension Answer {
    /// What the answer consists of.
    package func parsed(_ grammar: AnswerGrammar, _ tokenizer: Tokenizer) -> ParsedAnswer {
        var parser = AnswerParser(grammar, tokenizer)
        var parsed = ParsedAnswer()
        let text = Array((text ?? "").utf8)
        for part in parser.push(result.tokens, text: text) + parser.finish() { parsed.append(part) }
        parsed.reasoningTokens = parser.reasoningTokens
        return parsed
    }
}
