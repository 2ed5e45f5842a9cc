/// Finds added tokens in a text: the leftmost one, and of several that begin there the longest.
struct AddedTokenTrie: Sendable {
    /// A token this long would be a damaged file; it bounds the work spent at one position of the text.
    static let longestToken = 1024

    private var edges: PairTable
    /// The token that ends at each node, −1 for none; node 0 is the root.
    private var endings: [Int32] = [-1]
    private var beginnings = [Bool](repeating: false, count: 256)

    init(_ tokens: [(content: [UInt8], id: Int32)]) {
        edges = PairTable(capacity: tokens.reduce(0) { $0 + $1.content.count })
        for token in tokens {
            var node: UInt64 = 0
            for byte in token.content {
                if let child = edges[Self.key(node, byte)] {
                    node = child
                } else {
                    let child = UInt64(endings.count)
                    _ = edges.insert(Self.key(node, byte), child)
                    endings.append(-1)
                    node = child
                }
            }
            endings[Int(node)] = token.id
            if let first = token.content.first { beginnings[Int(first)] = true }
        }
    }

    private static func key(_ node: UInt64, _ byte: UInt8) -> UInt64 { node << 8 | UInt64(byte) }

    /// The first token in `text` at or after `start`.
    func first(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> (range: Range<Int>, id: Int32)? {
        for begin in start..<text.count where beginnings[Int(text[begin])] {
            var found: (range: Range<Int>, id: Int32)?
            var node: UInt64 = 0
            var index = begin
            while index < text.count, let child = edges[Self.key(node, text[index])] {
                node = child
                index += 1
                if endings[Int(node)] >= 0 { found = (begin..<index, endings[Int(node)]) }
            }
            if let found { return found }
        }
        return nil
    }
}
