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
        var open = nodes.indices.filter { nodes[$0].isEnd }
        for end in open { needs[end] = 0 }
        // A need only falls, and each time at most `deepest` times.
        while let changed = open.popLast() {
            for index in before[changed].map(Int.init) {
                let node = nodes[index]
                var need = needs[index]
                for edge in node.edges { need = min(need, needs[Int(edge.target)] + (node.opens ? 1 : 0)) }
                for target in node.jumps { need = min(need, needs[Int(target)]) }
                if let call = node.call {
                    need = min(need, max(needs[Int(call.value)], needs[Int(call.next)]) + (node.opens ? 1 : 0))
                }
                guard need < needs[index] else { continue }
                needs[index] = need
                open.append(index)
            }
        }
        return needs
    }

    /// For each node, those that lead to it or call for it.
    private func predecessors() -> [[Int32]] {
        var before = [[Int32]](repeating: [], count: nodes.count)
        for (index, node) in nodes.enumerated() {
            func note(_ target: Int32) {
                if before[Int(target)].last != Int32(index) { before[Int(target)].append(Int32(index)) }
            }
            for edge in node.edges { note(edge.target) }
            for target in node.jumps { note(target) }
            if let call = node.call {
                note(call.value)
                note(call.next)
            }
        }
        return before
    }
}
