/// A nondeterministic automaton over bytes whose nodes can also call for a whole value: what a schema is read into.
///
/// A value, however large, is the node that its text begins at. A frame is the part of a text between a value's first byte and
/// its last without the values inside it, which are frames of their own; only objects and lists hold such calls.
struct Net {
    /// One more would be a hostile schema.
    static let mostNodes = 1 << 17
    /// As many edges and jumps together, at most.
    static let mostLinks = 1 << 19

    /// A step along any of the bytes `low`...`high`.
    struct Edge {
        let low: UInt8
        let high: UInt8
        let target: Int32
    }

    /// A value that must come next, and the node behind it.
    struct Call {
        let value: Int32
        let next: Int32
    }

    struct Node {
        var edges: [Edge] = []
        /// Nodes that are reached without a byte.
        var jumps: [Int32] = []
        var call: Call?
        /// Whether the frame may end here.
        var isEnd = false
        /// Whether its edges or its call begin a frame that others lie in: an object, a list, or a value with a suffix.
        var opens = false
        /// Whether it lies inside such a frame, behind its beginning.
        var isInside = false
        /// Whether white space may stand here.
        var allowsSpace = false
    }

    private(set) var nodes: [Node] = []
    private var linkCount = 0
    /// The part of the schema that is being read, for errors.
    var path = "#"

    mutating func add(_ node: Node = Node()) throws(GrammarError) -> Int32 {
        guard nodes.count < Self.mostNodes else {
            throw GrammarError(path, "the schema is too large: it needs more than \(Self.mostNodes) nodes up to here")
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// A place between two marks of an object or a list, where white space may stand.
    mutating func addPlace() throws(GrammarError) -> Int32 { try add(Node(isInside: true, allowsSpace: true)) }

    private mutating func countLink() throws(GrammarError) {
        guard linkCount < Self.mostLinks else {
            throw GrammarError(
                path, "the schema is too large: its nodes need more than \(Self.mostLinks) links up to here")
        }
        linkCount += 1
    }

    mutating func connect(_ source: Int32, _ low: UInt8, _ high: UInt8, _ target: Int32) throws(GrammarError) {
        try countLink()
        nodes[Int(source)].edges.append(Edge(low: low, high: high, target: target))
    }

    mutating func connect(_ source: Int32, _ mark: Unicode.Scalar, _ target: Int32) throws(GrammarError) {
        try connect(source, UInt8(ascii: mark), UInt8(ascii: mark), target)
    }

    /// Edges for all of the ASCII characters of `marks`.
    mutating func connect(_ source: Int32, any marks: String, _ target: Int32) throws(GrammarError) {
        for range in ScalarRanges(marks.utf8.map { UInt32($0)...UInt32($0) }).ranges {
            try connect(source, UInt8(range.lowerBound), UInt8(range.upperBound), target)
        }
    }

    mutating func jump(_ source: Int32, _ target: Int32) throws(GrammarError) {
        try countLink()
        nodes[Int(source)].jumps.append(target)
    }

    mutating func call(_ source: Int32, _ value: Int32, then next: Int32) {
        nodes[Int(source)].call = Call(value: value, next: next)
    }

    mutating func markEnd(_ node: Int32) { nodes[Int(node)].isEnd = true }

    /// Where exactly these bytes lead; new nodes are like `model` inside or outside brackets.
    mutating func spell(
        _ bytes: some Sequence<UInt8>, from source: Int32, isInside: Bool
    ) throws(GrammarError) -> Int32 {
        var last = source
        for byte in bytes {
            let next = try add(Node(isInside: isInside))
            try connect(last, byte, byte, next)
            last = next
        }
        return last
    }

    /// A value with a text behind it.
    mutating func add(_ value: Int32, suffix: some Sequence<UInt8>) throws(GrammarError) -> Int32 {
        let (start, behind) = (try add(Node(opens: true)), try add(Node(isInside: true)))
        call(start, value, then: behind)
        markEnd(try spell(suffix, from: behind, isInside: true))
        return start
    }

    /// For each node, how many levels of objects and lists the rest of its frame needs at least, its own brackets not counted
    /// unless they are still to come; `deepest + 1` where no such rest exists.
    func needs(deepest: Int) -> [Int] {
        let before = predecessors()
        var needs = [Int](repeating: deepest + 1, count: nodes.count)
        // Nodes by their need, the least first: what is taken from here has its last one, unless a smaller one came since.
        var open = [[Int]](repeating: [], count: deepest + 1)
        open[0] = nodes.indices.filter { nodes[$0].isEnd }
        for end in open[0] { needs[end] = 0 }
        for least in 0...deepest {
            while let known = open[least].popLast() {
                guard needs[known] == least else { continue }
                for (index, link) in before[known] {
                    let opening = nodes[Int(index)].opens ? 1 : 0
                    let need =
                        switch link {
                        case .edge: least + opening
                        case .jump: least
                        case .call(let other): max(least, needs[Int(other)]) + opening
                        }
                    guard need < needs[Int(index)] else { continue }
                    needs[Int(index)] = need
                    open[need].append(Int(index))
                }
            }
        }
        return needs
    }

    /// How one node leads to another.
    private enum Link {
        case edge, jump
        /// It calls for the other, or goes on there behind a call; the node that is needed besides.
        case call(Int32)
    }

    /// For each node, those that lead to it or call for it.
    private func predecessors() -> [[(node: Int32, link: Link)]] {
        var before = [[(node: Int32, link: Link)]](repeating: [], count: nodes.count)
        for (index, node) in nodes.enumerated() {
            let source = Int32(index)
            for edge in node.edges { before[Int(edge.target)].append((source, .edge)) }
            for target in node.jumps { before[Int(target)].append((source, .jump)) }
            if let call = node.call {
                before[Int(call.value)].append((source, .call(call.next)))
                before[Int(call.next)].append((source, .call(call.value)))
            }
        }
        return before
    }
}
