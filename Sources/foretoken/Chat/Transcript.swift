import ForetokenJSON
import ForetokenText
import ForetokenTokenizer
import Glibc

/// A conversation in a file: JSON lines, each an object with `role` and `content`. A system message may come first, then
/// questions (`user`) and answers (`assistant`) in turn.
package struct Transcript: Equatable, Sendable {
    /// The system message, if any.
    package var system: String?
    /// Questions and answers in turn.
    package var turns: [ChatMessage]

    /// A conversation.
    package init(system: String?, turns: [ChatMessage]) { (self.system, self.turns) = (system, turns) }

    private struct Line: Encodable {
        let role: String
        let content: String
    }

    /// The file's bytes.
    package func encoded() throws -> [UInt8] {
        try ChatMessage.opening(system, turns).flatMap {
            try JSONOutput.line(Line(role: $0.role.rawValue, content: $0.content ?? ""))
        }
    }

    /// Reads what `encoded` wrote, or whatever else there is.
    /// - Parameter source: what messages call the file.
    /// - Throws: `LineError` for a line that is no message in its place, `InputError` for a conversation without an answer.
    package init(_ bytes: [UInt8], source: String) throws {
        (system, turns) = (nil, [])
        for (number, line) in InputLines(bytes) where !line.isEmpty {
            do { try add(line) } catch { throw LineError(number: number, file: source, cause: error) }
        }
        guard let last = turns.last else { throw InputError("\(source) holds no conversation") }
        guard last.role == .assistant else {
            throw InputError("\(source) ends with a question; the last message must be the answer to it")
        }
    }

    private mutating func add(_ line: [UInt8]) throws {
        let fields = try JSONLine.parse(line)
        try fields.refuseKeys(besides: ["role", "content"])
        let role = try fields["role"].string()
        let content = try fields["content"].string()
        let expected: ChatMessage.Role = turns.count % 2 == 0 ? .user : .assistant
        if role == "system" && turns.isEmpty && system == nil {
            system = content
        } else if role == expected.rawValue {
            turns.append(ChatMessage(expected, content))
        } else {
            let first = turns.isEmpty && system == nil ? "\"system\" or " : ""
            throw InputError("the role here must be \(first)\"\(expected.rawValue)\", found \"\(role)\"")
        }
    }

    // MARK: Files

    /// - Throws: as `init(_:source:)` and `InputFile` do.
    static func load(_ name: String) throws -> Transcript {
        let path = try path(name)
        return try Transcript(InputFile.bytes(path, for: .conversation), source: path)
    }

    /// Writes the file. One that is there is replaced only if it holds a conversation, too: a slip of the fingers must not
    /// cost anybody another file.
    /// - Returns: the path.
    /// - Throws: `UsageError`, and as `OutputFile` does.
    func save(_ name: String) throws -> String {
        let path = try Self.path(name)
        var status = stat()
        if stat(path, &status) == 0 {
            let isOurs = status.st_mode & S_IFMT == S_IFREG && (status.st_size == 0 || (try? Self.load(path)) != nil)
            guard isOurs else {
                throw UsageError("\(path) is there already and is no saved conversation; choose another name")
            }
        }
        try OutputFile.write(encoded(), to: path)
        return path
    }

    /// The home folder for `~/`, since no shell has seen the name.
    private static func path(_ name: String) throws -> String {
        guard name != "-" else { throw UsageError("a conversation is kept in a file; - is none") }
        guard name.hasPrefix("~/"), let home = environment("HOME") else { return name }
        return home + name.dropFirst()
    }
}
