import Glibc

/// A tokenizer's tokens as a trie of their bytes. Make it once for a tokenizer: all its grammars share it.
public final class GrammarVocabulary: Sendable {
    /// Ids are below; it is the number of the model's scores.
    public let count: Int
    /// The nodes of the trie in the order of their bytes, parents before children; the root is node 0.
    let nodes: [Node]
    /// Tokens by their bytes; those of node n are `tokens[nodes[n].firstToken..<nodes[n + 1].firstToken]`.
    let tokens: [Int32]
    /// The longest token, in bytes.
    let longest: Int
    /// The most brackets that one token opens.
    let mostOpening: Int

    private let bytes: [UInt8]
    /// Where each token's bytes begin, and after them where the last one's end.
    private let starts: [Int32]

    struct Node {
        /// How many bytes lead here.
        let depth: Int32
        /// The next node that is not below this one.
        var end: Int32 = 0
        let firstToken: Int32
        let byte: UInt8
    }

    /// - Parameters:
    ///   - count: tokens, those without bytes included; also how many bits a mask has.
    ///   - bytes: the bytes that a token adds to the text; nil or none for special tokens and ids without a token, which no
    ///     grammar allows.
    public init(count: Int, bytes: (Int32) -> ArraySlice<UInt8>?) {
        self.count = count
        var (all, starts) = ([UInt8](), [Int32(0)])
        var (mostOpening, longest) = (0, 0)
        starts.reserveCapacity(count + 1)
        for id in 0..<Int32(count) {
            let token = bytes(id) ?? []
            all.append(contentsOf: token)
            starts.append(Int32(all.count))
            longest = max(longest, token.count)
            mostOpening = max(mostOpening, token.count { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") })
        }
        (self.bytes, self.starts, self.longest, self.mostOpening) = (all, starts, longest, mostOpening)
        tokens = Self.sorted(all, starts)
        nodes = Self.trie(all, starts, tokens)
    }

    /// Tokens by id; see the other initialiser.
    public convenience init(_ tokens: [[UInt8]]) { self.init(count: tokens.count) { tokens[Int($0)][...] } }

    /// The bytes of a token; empty for ids without any.
    func bytes(of token: Int32) -> ArraySlice<UInt8> {
        guard 0..<count ~= Int(token) else { return [] }
        return bytes[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
    }

    private static func sorted(_ bytes: [UInt8], _ starts: [Int32]) -> [Int32] {
        bytes.withUnsafeBufferPointer { bytes in
            func slice(_ id: Int32) -> UnsafeBufferPointer<UInt8> {
                UnsafeBufferPointer(rebasing: bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])])
            }
            return (0..<Int32(starts.count - 1)).filter { !slice($0).isEmpty }.sorted {
                let (left, right) = (slice($0), slice($1))
                let order = memcmp(left.baseAddress!, right.baseAddress!, min(left.count, right.count))
                return (order, left.count, $0) < (0, right.count, $1)
            }
        }
    }

    private static func trie(_ bytes: [UInt8], _ starts: [Int32], _ tokens: [Int32]) -> [Node] {
        var nodes = [Node(depth: 0, firstToken: 0, byte: 0)]
        // The nodes that lead to the last token.
        var path: [Int] = [0]
        var last = bytes[0..<0]
        for (index, id) in tokens.enumerated() {
            let token = bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
            let common = zip(last, token).prefix { $0 == $1 }.count
            while path.count > common + 1 { nodes[path.removeLast()].end = Int32(nodes.count) }
            for byte in token.dropFirst(common) {
                path.append(nodes.count)
                // Tokens of a node come before those of its children; the way to this one has none of its own.
                nodes.append(Node(depth: Int32(path.count - 1), firstToken: Int32(index), byte: byte))
            }
            last = token
        }
        for node in path { nodes[node].end = Int32(nodes.count) }
        nodes.append(Node(depth: 0, end: Int32(nodes.count), firstToken: Int32(tokens.count), byte: 0))
        return nodes
    }
}
