import ForetokenJSON
import Glibc

/// Why a checkpoint cannot be used: what is wrong and where, what was expected, what was found, and what to do.
public struct CheckpointError: Error, Sendable, Equatable {
    /// What kind of trouble it is; the command line derives its exit code from this.
    public enum Kind: Sendable {
        /// The path that was named does not exist.
        case missingPath
        /// Something is there, but it cannot be used.
        case unusable
        /// The operating system refused a read or a write.
        case system
    }

    /// What kind of trouble it is.
    public var kind: Kind
    /// What is wrong, and in which file and tensor.
    public var summary: String
    /// What should have been there.
    public var expected: String?
    /// What was there instead.
    public var found: String?
    /// What the user can do about it.
    public var hint: String?

    /// Creates an error from its parts.
    public init(
        _ summary: String, expected: String? = nil, found: String? = nil, hint: String? = nil, kind: Kind = .unusable
    ) {
        self.kind = kind
        self.summary = summary
        self.expected = expected
        self.found = found
        self.hint = hint
    }

    /// A file's JSON cannot be used.
    init(_ error: JSONError, in file: String) { self.init("\(file): \(error)") }

    /// An operating system call on `file` failed with `code` (an `errno` value).
    static func system(_ action: String, _ file: String, code: Int32) -> CheckpointError {
        // Links in a circle are there, but lead to nothing that could be used.
        CheckpointError(
            "\(file): cannot \(action)", found: systemMessage(code), kind: code == ELOOP ? .unusable : .system)
    }
}

extension CheckpointError: CustomStringConvertible {
    /// One line: summary, expected, found, hint.
    public var description: String {
        var text = summary
        switch (expected, found) {
        case (let expected?, let found?): text += ": expected \(expected), found \(found)"
        case (let expected?, nil): text += ": expected \(expected)"
        case (nil, let found?): text += ": \(found)"
        case (nil, nil): break
        }
        text += "."
        if let hint { text += " Hint: \(hint)." }
        return text
    }
}

extension [CheckpointError] {
    /// Throws the first problem, if there is one, and says how many more there are.
    func throwFirst() throws {
        guard var first else { return }
        if count > 1 {
            let more = "\(count - 1) more problem\(count == 2 ? "" : "s"); `foretoken inspect` lists them all"
            first.hint = first.hint.map { "\($0); \(more)" } ?? more
        }
        throw first
    }
}

/// Text from a file as an error message may show it: cut when long. What could steer a terminal stays in it; whoever
/// writes the message escapes that.
func shown(_ text: String) -> String {
    let scalars = text.unicodeScalars
    return scalars.dropFirst(120).isEmpty ? text : String(scalars.prefix(120)) + "…"
}
