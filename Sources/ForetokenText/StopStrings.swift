/// Watches a growing text for strings that end it. Bytes that may yet turn out to begin one are held back.
public struct StopStrings: Sendable {
    private let strings: [[UInt8]]
    private let longest: Int
    private var held: [UInt8] = []
    /// The string that has ended the text; nil while none has.
    public private(set) var found: String?

    /// - Parameter strings: none of them empty.
    public init(_ strings: [String]) {
        self.strings = strings.map { Array($0.utf8) }
        longest = self.strings.reduce(0) { max($0, $1.count) }
    }

    /// Takes more of the text.
    /// - Returns: what can be shown now, and whether the text ends with it.
    public mutating func push(_ bytes: some Collection<UInt8>) -> (text: [UInt8], isEnd: Bool) {
        held.append(contentsOf: bytes)
        if let start = held.indices.first(where: { index in strings.contains { held[index...].starts(with: $0) } }) {
            defer { held = [] }
            found = strings.first { held[start...].starts(with: $0) }.map { String(decoding: $0, as: UTF8.self) }
            return (Array(held[..<start]), true)
        }
        let shown = held.count - longestBeginning()
        defer { held.removeFirst(shown) }
        return (Array(held[..<shown]), false)
    }

    /// The text is over: what was held back was no stop string.
    public mutating func finish() -> [UInt8] {
        defer { held = [] }
        return held
    }

    /// Length of the longest end of the held bytes that begins a stop string.
    private func longestBeginning() -> Int {
        let longest = min(held.count, max(0, longest - 1))
        return (0...longest).last { length in strings.contains { $0.starts(with: held.suffix(length)) } } ?? 0
    }
}
