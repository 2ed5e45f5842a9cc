/// Makes an `Automaton` of a `Net`: each state is the set of nodes where the text may be, each with the value, of those that
/// the frame may be, that it belongs to.
struct Determiniser {
    /// One more would be a hostile schema.
    static let mostStates = 1 << 15
    /// Bound on how many nodes are looked at, and so on time and memory.
    static let mostWork = 1 << 23

    /// A node in a frame that may be one of several values: `tag` says which. Both in one number, to be sorted and compared.
    private typealias Item = UInt64

    /// All frames that may be the same values.
    private struct Entry {
        /// Ascending.
        let values: [Int32]
        var start: Int = 0
        /// Sets of tags that complete texts can have, in the order of their numbers.
        var outcomes: [[Int32]] = []
        var outcomeNumbers: [[Int32]: Int] = [:]
        /// The values that those tags belong to.
        var outcomeValues: [Set<Int32>] = []
        /// States that call for these values.
        var callers: [Int] = []
    }

    private struct SetKey: Hashable {
        let entry: Int
        let items: [Item]
    }

    private let net: Net
    private let needs: [Int]
    /// By node: whether it means something itself and a text can end from it.
    private let counts: [Bool]
    /// The jumps of all nodes; those of node n are `jumps[jumpStarts[n]..<jumpStarts[n + 1]]`.
    private let jumps: [Int32]
    private let jumpStarts: [Int]
    private var closures: [[Int32]?]
    /// By the closure of a value: the first value that has it, since equal values should share their states.
    private var representatives: [[Int32]: Int32] = [:]
    /// The same by node, once it is known.
    private var representativesByNode: [Int32?]

    private var entries: [Entry] = []
    private var entryNumbers: [[Int32]: Int] = [:]
    private var states: [SetKey] = []
    private var stateNumbers: [SetKey: UInt16] = [:]
    private var work = 0
    /// By node: the number of the last closure that it was put into.
    private var closureMarks: [Int]
    private var closureMark = 0
    /// By node: the number of the last set that it was put into, with one tag.
    private var marks: [Int]
    private var mark = 0
    /// By state, nil where it calls nothing.
    private var callees: [Int?] = []
    /// By state: the values that its nodes call for, and where each goes on.
    private var calls: [[(tag: Int32, value: Int32, next: Int32)]] = []
    /// By state: the state behind the value by outcome.
    private var returns: [[UInt16]] = []
    private var automaton = Automaton()
    /// States in which texts begin.
    private var starts: Set<Int> = []

    /// - Throws: `GrammarError` where no text fits one of the values, or the tables would be too large.
    static func automaton(of net: Net, values: [Int32]) throws(GrammarError) -> Automaton {
        var maker = Determiniser(net)
        if let index = values.firstIndex(where: { maker.needs[Int($0)] > Automaton.deepest }) {
            var error = GrammarError(
                "#", "no value of at most \(Automaton.deepest) levels of objects and lists can fit the schema")
            error.schema = index
            throw error
        }
        try maker.makeStates(of: values)
        maker.finish()
        return maker.automaton
    }

    private init(_ net: Net) {
        self.net = net
        let needs = net.needs(deepest: Automaton.deepest)
        self.needs = needs
        counts = net.nodes.enumerated().map { index, node in
            needs[index] <= Automaton.deepest && (!node.edges.isEmpty || node.call != nil || node.isEnd)
        }
        jumps = net.nodes.flatMap(\.jumps)
        jumpStarts = net.nodes.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.jumps.count) }
        closures = Array(repeating: nil, count: net.nodes.count)
        marks = Array(repeating: 0, count: net.nodes.count)
        closureMarks = marks
        representativesByNode = Array(repeating: nil, count: net.nodes.count)
        makeClasses()
    }

    private mutating func makeClasses() {
        var begins = [Bool](repeating: false, count: 257)
        begins[0] = true
        for space in " \n\t".utf8 {
            begins[Int(space)] = true
            begins[Int(space) + 1] = true
        }
        for node in net.nodes {
            for edge in node.edges {
                begins[Int(edge.low)] = true
                begins[Int(edge.high) + 1] = true
            }
        }
        var last = -1
        for byte in 0..<256 {
            if begins[byte] { last += 1 }
            automaton.classes[byte] = UInt8(last)
        }
        automaton.classCount = last + 1
    }

    // MARK: Sets

    private mutating func spend(_ amount: Int) throws(GrammarError) {
        work += amount
        guard work <= Self.mostWork, states.count < Self.mostStates else {
            throw GrammarError(
                "#",
                "the schema is too large: its automaton needs more than \(Self.mostStates) states or \(Self.mostWork) steps to "
                    + "make them; fewer alternatives, shorter patterns and smaller maxLength and maxItems make it smaller"
            )
        }
    }

    /// Nodes that mean something themselves and that a text can end from, reached from `node` without a byte; ascending.
    private mutating func closure(of node: Int32) throws(GrammarError) -> [Int32] {
        if let known = closures[Int(node)] { return known }
        closureMark += 1
        closureMarks[Int(node)] = closureMark
        var (open, result) = ([node], [Int32]())
        while let last = open.popLast() {
            let range = jumpStarts[Int(last)]..<jumpStarts[Int(last) + 1]
            try spend(1 + range.count)
            if counts[Int(last)] { result.append(last) }
            for index in range where closureMarks[Int(jumps[index])] != closureMark {
                closureMarks[Int(jumps[index])] = closureMark
                open.append(jumps[index])
            }
        }
        result.sort()
        closures[Int(node)] = result
        return result
    }

    private mutating func representative(of value: Int32) throws(GrammarError) -> Int32 {
        if let known = representativesByNode[Int(value)] { return known }
        let closure = try closure(of: value)
        let first = representatives[closure] ?? value
        representatives[closure] = first
        representativesByNode[Int(value)] = first
        return first
    }

    private static func item(_ tag: Int32, _ node: Int32) -> Item { UInt64(tag) << 32 | UInt64(node) }
    private static func tag(_ item: Item) -> Int32 { Int32(item >> 32) }
    private static func node(_ item: Item) -> Int { Int(item & 0xFFFF_FFFF) }

    /// The state of these targets and what they reach without a byte.
    private mutating func state(_ entry: Int, _ targets: [(tag: Int32, node: Int32)]) throws(GrammarError) -> UInt16? {
        var items: [Item] = []
        // Targets of one tag follow each other.
        var tag = Int32(-1)
        for target in targets {
            let closure = try closure(of: target.node)
            try spend(closure.count)
            if target.tag != tag { mark += 1 }
            tag = target.tag
            for node in closure where marks[Int(node)] != mark {
                marks[Int(node)] = mark
                items.append(Self.item(tag, node))
            }
        }
        guard !items.isEmpty else { return nil }
        items.sort()
        let key = SetKey(entry: entry, items: items)
        if let known = stateNumbers[key] { return known }
        try spend(items.count)
        states.append(key)
        callees.append(nil)
        calls.append([])
        returns.append([])
        stateNumbers[key] = UInt16(states.count - 1)
        return UInt16(states.count - 1)
    }

    private mutating func entry(_ values: [Int32]) throws(GrammarError) -> Int {
        try spend(values.count)
        if let known = entryNumbers[values] { return known }
        let number = entries.count
        entries.append(Entry(values: values))
        entryNumbers[values] = number
        let start = try state(number, values.enumerated().map { (Int32($0), $1) })
        // Values that nothing fits are left out before.
        entries[number].start = Int(start!)
        return number
    }

    // MARK: States

    private mutating func makeStates(of values: [Int32]) throws(GrammarError) {
        for value in values {
            let entry = try entry([try representative(of: value)])
            automaton.starts.append(UInt16(entries[entry].start))
        }
        starts = Set(automaton.starts.map(Int.init))
        var index = 0
        while index < states.count {
            try makeMoves(of: index)
            index += 1
        }
    }

    private mutating func makeMoves(of index: Int) throws(GrammarError) {
        let set = states[index]
        var targets = [[(tag: Int32, node: Int32)]](repeating: [], count: automaton.classCount)
        var ends: [Int32] = []
        var (allowsSpace, reach) = (false, Automaton.deepest + 1)
        for item in set.items {
            let (tag, number) = (Self.tag(item), Self.node(item))
            let node = net.nodes[number]
            for edge in node.edges {
                let columns = automaton.classes[Int(edge.low)]...automaton.classes[Int(edge.high)]
                try spend(columns.count)
                guard needs[Int(edge.target)] <= Automaton.deepest else { continue }
                for column in columns {
                    targets[Int(column)].append((tag, edge.target))
                }
            }
            if let call = node.call { calls[index].append((tag, try representative(of: call.value), call.next)) }
            if node.isEnd, ends.last != tag { ends.append(tag) }
            if node.allowsSpace { allowsSpace = true }
            reach = min(reach, needs[number] + (node.isInside ? 1 : 0))
        }
        var row = [UInt32](repeating: Automaton.Move.refuse, count: automaton.classCount)
        for (column, targets) in targets.enumerated() where !targets.isEmpty {
            if let next = try state(set.entry, targets) { row[column] = Automaton.Move.go | UInt32(next) }
        }
        // White space before the first value is the automaton's, not the schema's. Inside others, values begin with a byte.
        if allowsSpace || starts.contains(index) {
            for space in " \n\t".utf8 { row[Int(automaton.classes[Int(space)])] = Automaton.Move.space }
        }
        automaton.moves.append(contentsOf: row)
        automaton.reaches.append(UInt8(reach))
        automaton.outcomes.append(ends.isEmpty ? Automaton.none : try outcome(ends, of: set.entry))
        if !calls[index].isEmpty { try addCall(from: index, Set(calls[index].map(\.value)).sorted()) }
    }

    private mutating func outcome(_ tags: [Int32], of entry: Int) throws(GrammarError) -> UInt16 {
        try spend(tags.count)
        if let known = entries[entry].outcomeNumbers[tags] { return UInt16(known) }
        let number = entries[entry].outcomes.count
        entries[entry].outcomes.append(tags)
        entries[entry].outcomeNumbers[tags] = number
        entries[entry].outcomeValues.append(Set(tags.map { entries[entry].values[Int($0)] }))
        for caller in entries[entry].callers { try addReturn(to: caller, number) }
        return UInt16(number)
    }

    private mutating func addCall(from caller: Int, _ values: [Int32]) throws(GrammarError) {
        let callee = try entry(values)
        callees[caller] = callee
        entries[callee].callers.append(caller)
        for number in entries[callee].outcomes.indices { try addReturn(to: caller, number) }
    }

    /// Adds where the caller goes on when the value's outcome has this number; numbers come in order.
    private mutating func addReturn(to caller: Int, _ number: Int) throws(GrammarError) {
        guard let callee = callees[caller] else { return }
        let values = entries[callee].outcomeValues[number]
        try spend(calls[caller].count)
        let targets = calls[caller].filter { values.contains($0.value) }.map { ($0.tag, $0.next) }
        // Each tag of an outcome belongs to a value that the caller waits for.
        returns[caller].append(try state(states[caller].entry, targets)!)
    }

    /// What is known only when all states are: the bytes that begin values.
    private mutating func finish() {
        let width = automaton.classCount
        for caller in states.indices {
            automaton.returnRows.append(UInt32(automaton.returns.count))
            guard let callee = callees[caller] else { continue }
            automaton.returns.append(contentsOf: returns[caller])
            let start = entries[callee].start
            for column in 0..<width where automaton.moves[start * width + column] & 0xFFFF_0000 == Automaton.Move.go {
                precondition(automaton.moves[caller * width + column] == Automaton.Move.refuse)
                automaton.moves[caller * width + column] =
                    automaton.moves[start * width + column] - Automaton.Move.go + Automaton.Move.enter
            }
        }
        automaton.widestReach = Int(automaton.reaches.max() ?? 0)
    }
}
