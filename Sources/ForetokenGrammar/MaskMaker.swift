/// Makes masks by walking a vocabulary's trie and an automaton together, and keeps what a state allows whatever lies below it on
/// the stack. Tokens that go on below the frame on top are kept as places of the trie to go on from.
struct MaskMaker {
    /// So many states are kept; then all are forgotten. A mask of 129,280 tokens is 16 KB, if not few are allowed.
    static let mostKept = 1024
    private static let mostWide = 8

    /// What a state allows.
    private struct Kept {
        /// Allowed tokens where they are few, or else `words`.
        var tokens: [Int32] = []
        var words: [UInt64] = []
        var rests: [Rest] = []
    }

    /// A node of the trie whose byte is the first behind the frame.
    private struct Rest {
        let outcome: UInt16
        let node: Int32
    }

    /// How to get back to where a node of the trie was reached.
    private struct Way {
        var place: Automaton.Place
        /// The only height of the stack that the step to this node may have written to, and what stood there before.
        var height: UInt16 = 0
        var old: UInt16 = 0
    }

    private var kept: [UInt32: Kept] = [:]
    private var ways: [Way]
    private var stack: [UInt16]
    private var rests: [Rest] = []
    /// The last states whose masks took long to make: another one may be alike.
    private var wide: [UInt16] = []

    init(longestToken: Int) {
        ways = Array(repeating: Way(place: Automaton.Place(state: 0)), count: longestToken + 1)
        stack = Array(repeating: 0, count: Automaton.deepest + longestToken + 1)
    }

    var count: Int { kept.count }

    /// Sets the bits of all tokens with bytes that may follow.
    mutating func fill(
        _ words: UnsafeMutablePointer<UInt64>, _ cursor: GrammarCursor, _ automaton: Automaton,
        _ vocabulary: GrammarVocabulary
    ) {
        var place = cursor.place
        automaton.withTables { tables in
            let walk = Walk(tables: tables, vocabulary: vocabulary, words: words)
            // What is kept knows of no bound on levels.
            guard Int(place.height) + vocabulary.mostOpening + automaton.widestReach <= Automaton.deepest else {
                load(cursor)
                return go(walk, walk.whole, from: place, keeping: false)
            }
            while true {
                let key = Self.key(place.state, blanks: place.blanks)
                if kept[key] == nil { keep(key, place, tables, vocabulary) }
                if let index = kept.index(forKey: key) { add(index, to: walk, below: place, cursor) }
                // A complete frame may also be left before the first byte.
                let outcome = tables.outcomes[Int(place.state)]
                guard outcome != Automaton.none, place.height > 0 else { return }
                let height = place.height - 1
                let next = tables.stateBehind(cursor.stack[Int(height)], outcome)
                place = Automaton.Place(state: next, height: height)
            }
        }
    }

    /// Keeps what a state allows.
    mutating func prepare(_ state: UInt16, _ automaton: Automaton, _ vocabulary: GrammarVocabulary) {
        let key = Self.key(state, blanks: 0)
        guard kept[key] == nil else { return }
        automaton.withTables { keep(key, Automaton.Place(state: state), $0, vocabulary) }
    }

    private mutating func load(_ cursor: GrammarCursor) {
        for index in 0..<Int(cursor.place.height) { stack[index] = cursor.stack[index] }
    }

    /// Adds what is kept, and the tokens that go on below the frame on top.
    private mutating func add(
        _ index: Dictionary<UInt32, Kept>.Index, to walk: Walk, below place: Automaton.Place, _ cursor: GrammarCursor
    ) {
        let found = kept.values[index]
        for token in found.tokens { walk.words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
        for (index, word) in found.words.enumerated() { walk.words[index] |= word }
        guard place.height > 0, !found.rests.isEmpty else { return }
        load(cursor)
        let height = place.height - 1
        for rest in found.rests {
            let behind = walk.tables.stateBehind(stack[Int(height)], rest.outcome)
            let range = rest.node..<walk.vocabulary.nodes[Int(rest.node)].end
            go(walk, range, from: Automaton.Place(state: behind, height: height), keeping: false)
        }
    }

    /// Finds what a state allows whatever lies below.
    private mutating func keep(
        _ key: UInt32, _ place: Automaton.Place, _ tables: Automaton.Tables, _ vocabulary: GrammarVocabulary
    ) {
        if kept.count >= Self.mostKept {
            kept.removeAll(keepingCapacity: true)
            wide = []
        }
        let alike = place.blanks > 0 ? nil : wide.first { tables.areAlike($0, place.state, length: vocabulary.longest) }
        if let alike, let found = kept[Self.key(alike, blanks: 0)] {
            kept[key] = found
            return
        }
        let wordCount = (vocabulary.count + 63) / 64
        var words = [UInt64](repeating: 0, count: wordCount)
        rests = []
        let alone = Automaton.Place(state: place.state, blanks: place.blanks)
        words.withUnsafeMutableBufferPointer { words in
            guard let words = words.baseAddress else { return }
            let walk = Walk(tables: tables, vocabulary: vocabulary, words: words)
            go(walk, walk.whole, from: alone, keeping: true)
        }
        var found = Kept(rests: rests)
        let allowed = words.reduce(0) { $0 + $1.nonzeroBitCount }
        if allowed * 2 < wordCount {
            for (index, word) in words.enumerated() {
                var bits = word
                while bits != 0 {
                    found.tokens.append(Int32(index << 6 | bits.trailingZeroBitCount))
                    bits &= bits - 1
                }
            }
        } else {
            found.words = words
            if place.blanks == 0 { wide = [place.state] + wide.prefix(Self.mostWide - 1) }
        }
        kept[key] = found
    }

    private static func key(_ state: UInt16, blanks: UInt8) -> UInt32 { UInt32(state) << 8 | UInt32(blanks) }

    /// What a walk reads and writes.
    private struct Walk {
        let tables: Automaton.Tables
        let vocabulary: GrammarVocabulary
        let words: UnsafeMutablePointer<UInt64>

        /// All nodes but the root.
        var whole: Range<Int32> { 1..<Int32(vocabulary.nodes.count - 1) }

        @inline(__always) func mark(_ tokens: Range<Int32>) {
            for index in tokens {
                let token = vocabulary.tokens[Int(index)]
                words[Int(token >> 6)] |= 1 << UInt64(token & 63)
            }
        }
    }

    /// Sets the bits of tokens in a part of the trie, whose first node's parent is at `start`, with `stack` below it.
    /// - Parameter keeping: whether nothing is known of what lies below the frame on top: then there is no bound on levels, and
    ///   `rests` gets the nodes that are reached below it, but for those that the very first byte reaches.
    private mutating func go(_ walk: Walk, _ range: Range<Int32>, from start: Automaton.Place, keeping: Bool) {
        guard !range.isEmpty else { return }
        let deepest = keeping ? Int.max : Automaton.deepest
        let isOpenBelow = keeping && walk.tables.outcomes[Int(start.state)] != Automaton.none
        walk.vocabulary.nodes.withUnsafeBufferPointer { nodes in
            ways.withUnsafeMutableBufferPointer { ways in
                stack.withUnsafeMutableBufferPointer { stack in
                    guard let stack = stack.baseAddress else { return }
                    let base = nodes[Int(range.lowerBound)].depth - 1
                    ways[Int(base)].place = start
                    var (last, index) = (base, range.lowerBound)
                    while index < range.upperBound {
                        let node = nodes[Int(index)]
                        while last >= node.depth {
                            stack[Int(ways[Int(last)].height)] = ways[Int(last)].old
                            last -= 1
                        }
                        var place = ways[Int(last)].place
                        let before = place.height
                        last = node.depth
                        // Only a byte that begins a value writes, at the height that it finds.
                        ways[Int(last)].height = before
                        ways[Int(last)].old = stack[Int(before)]
                        switch walk.tables.step(node.byte, &place, stack, deepest: deepest) {
                        case .taken:
                            ways[Int(last)].place = place
                            walk.mark(node.firstToken..<nodes[Int(index) + 1].firstToken)
                            index += 1
                        case .below(let outcome):
                            if keeping, !(isOpenBelow && node.depth == base + 1) {
                                rests.append(Rest(outcome: outcome, node: index))
                            }
                            index = node.end
                        case .refused: index = node.end
                        }
                    }
                    while last > base {
                        stack[Int(ways[Int(last)].height)] = ways[Int(last)].old
                        last -= 1
                    }
                }
            }
        }
    }
}
