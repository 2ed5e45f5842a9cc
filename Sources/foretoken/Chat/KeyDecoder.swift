/// What a key, or a paste, asks an editor to do.
package enum Key: Equatable, Sendable {
    /// Characters to insert: typed ones, or a piece of what was pasted, line ends included.
    case text(String)
    /// Ends the message.
    case enter
    /// A line end inside the message.
    case newline
    case backspace, delete
    case left, right, up, down, home, end
    case wordLeft, wordRight, deleteWordBack, deleteWordForward
    /// Escape by itself.
    case escape
    /// Ctrl and a small letter that no other case stands for.
    case control(Character)
}

/// Turns what a terminal sends (UTF-8, and sequences as ECMA-48 and xterm have them) into keys. What is not whole yet is kept
/// for the next bytes; what nobody knows is dropped.
package struct KeyDecoder {
    private var waiting: [UInt8] = []
    /// Whether more of a paste is to come.
    package private(set) var isPasting = false

    private static let escape: UInt8 = 0x1B
    /// What a terminal sends around a paste, once it has been asked to.
    private static let pasteStart = Array("\u{1B}[200~".utf8)
    private static let pasteEnd = Array("\u{1B}[201~".utf8)
    /// Bytes that a sequence may have; longer ones are noise.
    private static let longestSequence = 32

    package init() {}

    /// Whether an escape waits for what follows it.
    package var isAtEscape: Bool { !isPasting && waiting == [Self.escape] }

    /// The escape as a key by itself: nothing has followed.
    package mutating func finishEscape() -> [Key] {
        defer { waiting = [] }
        return isAtEscape ? [.escape] : []
    }

    /// The keys that are whole with these bytes.
    package mutating func push(_ bytes: some Sequence<UInt8>) -> [Key] {
        waiting += bytes
        var keys: [Key] = []
        var start = 0
        while start < waiting.count {
            let rest = waiting[start...]
            guard let (key, count) = isPasting ? pasted(rest) : typed(rest) else { break }
            start += count
            guard let key else { continue }
            if case .text(let text) = key, case .text(let before) = keys.last {
                keys[keys.count - 1] = .text(before + text)
            } else {
                keys.append(key)
            }
        }
        waiting.removeFirst(start)
        return keys
    }

    // MARK: Pastes

    /// The next piece of a paste and how many bytes it takes; nil while more are needed.
    private mutating func pasted(_ bytes: ArraySlice<UInt8>) -> (key: Key?, count: Int)? {
        if bytes.starts(with: Self.pasteEnd) {
            isPasting = false
            return (nil, Self.pasteEnd.count)
        }
        let isPartOfEnd = bytes.count < Self.pasteEnd.count && Self.pasteEnd.starts(with: bytes)
        if isPartOfEnd { return nil }
        // An escape that ends no paste is text like any other.
        let next = bytes.dropFirst().firstIndex(of: Self.escape) ?? bytes.endIndex
        var piece = bytes[..<next]
        if next == bytes.endIndex {
            // A line end or a character may be in two parts.
            if piece.last == UInt8(ascii: "\r") { piece = piece.dropLast() }
            piece = piece.dropLast(Self.unfinished(piece))
            guard !piece.isEmpty else { return nil }
        }
        return (.text(Self.lines(piece)), piece.count)
    }

    /// The text with line feeds for all line ends.
    private static func lines(_ bytes: ArraySlice<UInt8>) -> String {
        let (feed, carriage) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
        guard bytes.contains(carriage) else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        for (index, byte) in zip(bytes.indices, bytes) {
            if byte == feed && index > bytes.startIndex && bytes[index - 1] == carriage { continue }
            result.append(byte == carriage ? feed : byte)
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// How many bytes at the end are the beginning of a character.
    private static func unfinished(_ bytes: ArraySlice<UInt8>) -> Int {
        for count in 1...3 where count <= bytes.count {
            let byte = bytes[bytes.endIndex - count]
            if byte >= 0xC0 { return length(byte) > count ? count : 0 }
            if byte < 0x80 { return 0 }
        }
        return 0
    }

    /// Bytes of a character that begins so.
    private static func length(_ lead: UInt8) -> Int {
        switch lead {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
    }

    // MARK: Keys

    /// The next key and how many bytes it takes; nil while more are needed.
    private mutating func typed(_ bytes: ArraySlice<UInt8>) -> (key: Key?, count: Int)? {
        guard let first = bytes.first else { return nil }
        switch first {
        case Self.escape: return sequence(bytes)
        case 0x0A, 0x0D: return (.enter, 1)
        case 0x08, 0x7F: return (.backspace, 1)
        case 0x09: return (.text("\t"), 1)
        case 0x01...0x1A: return (.control(Character(Unicode.Scalar(first + 0x60))), 1)
        case ..<0x20: return (nil, 1)
        case ..<0x7F:
            let run = bytes.prefix { (0x20..<0x7F).contains($0) }
            return (.text(String(decoding: run, as: UTF8.self)), run.count)
        default:
            let count = Self.length(first)
            if bytes.count < count && Self.unfinished(bytes) == bytes.count { return nil }
            let character = bytes.prefix(count)
            guard let text = String(validating: character, as: UTF8.self) else { return (.text("\u{FFFD}"), 1) }
            return (.text(text), count)
        }
    }

    /// A sequence that begins with an escape.
    private mutating func sequence(_ bytes: ArraySlice<UInt8>) -> (key: Key?, count: Int)? {
        if bytes.starts(with: Self.pasteStart) {
            isPasting = true
            return (nil, Self.pasteStart.count)
        }
        guard bytes.count > 1 else { return nil }
        let second = bytes[bytes.startIndex + 1]
        switch second {
        case UInt8(ascii: "["): return controlSequence(bytes)
        case UInt8(ascii: "O"):
            guard bytes.count > 2 else { return nil }
            return (Self.key(final: bytes[bytes.startIndex + 2], parameters: []), 3)
        case 0x0A, 0x0D: return (.newline, 2)
        case 0x08, 0x7F: return (.deleteWordBack, 2)
        case UInt8(ascii: "b"): return (.wordLeft, 2)
        case UInt8(ascii: "f"): return (.wordRight, 2)
        case UInt8(ascii: "d"): return (.deleteWordForward, 2)
        // The second may begin a sequence of its own.
        case Self.escape: return (nil, 1)
        default: return (nil, 2)
        }
    }

    /// ESC [ parameters intermediates final, as ECMA-48 §5.4 has it.
    private func controlSequence(_ bytes: ArraySlice<UInt8>) -> (key: Key?, count: Int)? {
        let body = bytes.dropFirst(2)
        guard let end = body.firstIndex(where: { !(0x20...0x3F).contains($0) }) else {
            return body.count < Self.longestSequence ? nil : (nil, bytes.count)
        }
        let count = end - bytes.startIndex + 1
        // A control character breaks a sequence off and is a key itself.
        guard (0x40...0x7E).contains(bytes[end]) else { return (nil, count - 1) }
        let parameters = String(decoding: body[..<end], as: UTF8.self).split(
            separator: ";", omittingEmptySubsequences: false
        ).map { Int($0) ?? 0 }
        return (Self.key(final: bytes[end], parameters: parameters), count)
    }

    private static func key(final: UInt8, parameters: [Int]) -> Key? {
        let isModified = parameters.count > 1 && parameters[1] > 1
        switch Character(Unicode.Scalar(final)) {
        case "A": return .up
        case "B": return .down
        case "C": return isModified ? .wordRight : .right
        case "D": return isModified ? .wordLeft : .left
        case "H": return .home
        case "F": return .end
        case "M": return .enter
        // Enter with a modifier, where the terminal tells.
        case "u" where parameters.first == 13: return isModified ? .newline : .enter
        case "~":
            switch parameters.first {
            case 1, 7: return .home
            case 4, 8: return .end
            case 3: return isModified ? .deleteWordForward : .delete
            default: return nil
            }
        default: return nil
        }
    }
}
