/// Why a JSON text cannot be used. Whoever knows the file, and in a file of lines the line, puts them in front.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong: what was expected and what was found.
    public let reason: String
    /// The byte where it was noticed, counted from 0; nil where a sound text has a value that its key does not allow.
    public let offset: Int?
    /// Whether a value that is sound is not of the type that it should have.
    private let isAboutType: Bool

    /// Creates an error from its parts.
    public init(_ reason: String, at offset: Int? = nil) { self.init(reason, at: offset, isAboutType: false) }

    init(_ reason: String, at offset: Int?, isAboutType: Bool) {
        self.reason = reason
        self.offset = offset
        self.isAboutType = isAboutType
    }

    /// One line, without a final full stop.
    public var description: String {
        offset.map { "\(isAboutType ? "wrong type" : "bad JSON") at byte \($0): \(reason)" } ?? reason
    }
}

/// Text from a file as a message may show it: what could steer a terminal is escaped, and long texts are cut.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars.prefix(120) {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069:
            result += scalar.escaped(asASCII: true)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + (text.unicodeScalars.dropFirst(120).isEmpty ? "\"" : "…\"")
}
