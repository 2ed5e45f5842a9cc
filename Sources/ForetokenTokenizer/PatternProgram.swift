/// An expression as instructions for `Matcher`. Immutable once made, so any number of threads may share it.
// Unchecked: the memory behind the pointers is never written after `init`.
final class PatternProgram: @unchecked Sendable {
    struct Instruction {
        enum Operation: UInt8 {
            /// One scalar of the table.
            case scalar
            /// Scalars of the table, `low` to `high` of them; `flag`: none is ever given back.
            case run
            /// One of the branches at `targets[low…]`, in order, by the next byte's mask at `masks[high…]`.
            case choose
            case jump
            /// A part of its own begins, whose end is `markEnd`. `high`: where to go on.
            case atomic, lookahead, negativeLookahead
            /// Ends the part that began at `low`.
            case markEnd
            /// Whether the scalar here, or the one before, is in the table; `flag`: whether it must not be.
            case peek, peekBehind
            case lineStart, lineEnd, textStart, textEnd, lastLineEnd
            case match
        }

        var operation: Operation
        var flag = false
        var low: Int32 = 0
        var high: Int32 = 0
        var table: ScalarTable?
    }

    let instructions: UnsafePointer<Instruction>
    /// Which of a choice's branches can begin with a byte: a bit each, for 256 bytes and for the end of the text.
    let masks: UnsafePointer<UInt64>
    let targets: UnsafePointer<Int32>
    /// Where a match can begin; nil when it can anywhere.
    let starts: ScalarTable?
    private let tables: [ScalarTable]

    init(_ node: PatternNode) throws(PatternCompiler.TooLarge) {
        var compiler = PatternCompiler()
        let start = node.start
        do throws(PatternCompiler.TooLarge) {
            try compiler.emit(node, .end)
            compiler.add(.init(operation: .match))
            starts = start.mayBeEmpty ? nil : try compiler.table(start.scalars)
        } catch {
            for table in compiler.tables.values { table.free() }
            throw error
        }
        tables = Array(compiler.tables.values)
        instructions = Self.copy(compiler.instructions)
        masks = Self.copy(compiler.masks)
        targets = Self.copy(compiler.targets)
    }

    deinit {
        for table in tables { table.free() }
        instructions.deallocate()
        masks.deallocate()
        targets.deallocate()
    }

    private static func copy<T: BitwiseCopyable>(_ array: [T]) -> UnsafePointer<T> {
        let memory = UnsafeMutablePointer<T>.allocate(capacity: array.count)
        memory.initialize(from: array, count: array.count)
        return UnsafePointer(memory)
    }
}

/// Turns nodes into instructions, each knowing what follows it, so that little has to be remembered while matching.
struct PatternCompiler {
    /// The expression would take too many instructions or classes.
    struct TooLarge: Error {}

    /// Published expressions take fewer than 200.
    private static let mostInstructions = 4000
    private static let mostTables = 500
    /// A choice's branches fit a word of bits.
    private static let mostBranches = 64

    private(set) var instructions: [PatternProgram.Instruction] = []
    private(set) var masks: [UInt64] = []
    private(set) var targets: [Int32] = []
    private(set) var tables: [ScalarSet: ScalarTable] = [:]
    /// For each set at the beginning of a branch, what `ScalarTable` says about each first byte.
    private var leads: [ScalarSet: [UInt8]] = [:]
    /// Nodes turned into instructions so far, those that give none included.
    private var emitted = 0

    private var here: Int32 { Int32(instructions.count) }

    mutating func add(_ instruction: PatternProgram.Instruction) { instructions.append(instruction) }

    mutating func table(_ set: ScalarSet) throws(TooLarge) -> ScalarTable {
        if let known = tables[set] { return known }
        guard tables.count < Self.mostTables else { throw TooLarge() }
        let table = ScalarTable(set)
        tables[set] = table
        return table
    }

    mutating func emit(_ node: PatternNode, _ follow: PatternFollow) throws(TooLarge) {
        emitted += 1
        guard max(instructions.count, emitted) < Self.mostInstructions else { throw TooLarge() }
        switch node {
        case .scalar(let set): add(.init(operation: .scalar, table: try table(set)))
        case .sequence(let nodes):
            var follows = [follow]
            for node in nodes.reversed() { follows.append(follows[follows.count - 1].preceded(by: node)) }
            for (index, node) in nodes.enumerated() { try emit(node, follows[nodes.count - 1 - index]) }
        case .choice(let nodes): try emit(choice: nodes, follow)
        case .repetition(let node, let least, let most, let manner):
            try emit(repeating: node, least, most, manner, follow)
        case .lookahead(let node, let negated):
            if case .scalar(let set) = node {
                return add(.init(operation: .peek, flag: negated, table: try table(set)))
            }
            try emit(part: node, negated ? .negativeLookahead : .lookahead)
        case .lookbehind(let set, let negated):
            add(.init(operation: .peekBehind, flag: negated, table: try table(set)))
        case .atomic(let node): try emit(part: node, .atomic)
        case .anchor(let anchor): add(.init(operation: anchor.operation))
        }
    }

    private mutating func emit(
        part node: PatternNode, _ operation: PatternProgram.Instruction.Operation
    ) throws(TooLarge) {
        let mark = here
        add(.init(operation: operation))
        try emit(node, .end)
        add(.init(operation: .markEnd, low: mark))
        instructions[Int(mark)].high = here
    }

    private mutating func emit(choice nodes: [PatternNode], _ follow: PatternFollow) throws(TooLarge) {
        guard nodes.count <= Self.mostBranches else {
            let rest = PatternNode.choice(Array(nodes[(Self.mostBranches - 1)...]))
            return try emit(choice: Array(nodes[..<(Self.mostBranches - 1)]) + [rest], follow)
        }
        let choice = addChoice(nodes.map { follow.preceded(by: $0).edge })
        var jumps: [Int] = []
        for (branch, node) in nodes.enumerated() {
            targets[choice + branch] = here
            try emit(node, follow)
            guard branch < nodes.count - 1 else { break }
            jumps.append(instructions.count)
            add(.init(operation: .jump))
        }
        for jump in jumps { instructions[jump].low = here }
    }

    /// Adds a choice between branches of which only the beginnings are known, and returns where their targets go.
    private mutating func addChoice(_ edges: [PatternNode.Edge]) -> Int {
        add(.init(operation: .choose, low: Int32(targets.count), high: Int32(masks.count)))
        let every = edges.indices.reduce(UInt64(0)) { edges[$1].mayBeEmpty ? $0 | 1 << UInt64($1) : $0 }
        let first = masks.count
        masks += repeatElement(every, count: 257)
        for (branch, edge) in edges.enumerated() {
            for (byte, lead) in leads(of: edge.scalars).enumerated() where lead != 0 {
                masks[first + byte] |= 1 << UInt64(branch)
            }
        }
        targets += edges.map { _ in 0 }
        return targets.count - edges.count
    }

    private mutating func leads(of set: ScalarSet) -> [UInt8] {
        if let known = leads[set] { return known }
        let found = ScalarTable.leads(of: set)
        leads[set] = found
        return found
    }

    private mutating func emit(
        repeating node: PatternNode, _ least: Int, _ most: Int?, _ manner: PatternNode.Manner, _ follow: PatternFollow
    ) throws(TooLarge) {
        if case .scalar(let set) = node, manner != .lazy {
            let givesNothingBack =
                manner == .possessive || follow.alwaysMatches
                || !follow.edge.mayBeEmpty && follow.edge.scalars.isDisjoint(with: set)
            return add(
                .init(
                    operation: .run, flag: givesNothingBack, low: Int32(least), high: most.map(Int32.init) ?? .max,
                    table: try table(set)))
        }
        if manner == .possessive {
            return try emit(part: .repetition(node, least: least, most: most, .greedy), .atomic)
        }
        let start = node.start
        // After a turn comes another or what follows.
        let between = PatternFollow(
            edge: .init(scalars: start.scalars.union(follow.edge.scalars), mayBeEmpty: follow.edge.mayBeEmpty),
            alwaysMatches: least < 2 && follow.alwaysMatches)
        for _ in 0..<least { try emit(node, between) }
        var exits: [Int] = []
        for _ in 0..<(most.map { $0 - least } ?? 1) {
            let loop = here
            let body = PatternNode.Edge(
                scalars: start.mayBeEmpty ? .all : start.scalars, mayBeEmpty: start.mayBeEmpty)
            let choice = addChoice(manner == .lazy ? [follow.edge, body] : [body, follow.edge])
            targets[choice + (manner == .lazy ? 1 : 0)] = here
            exits.append(choice + (manner == .lazy ? 0 : 1))
            try emit(node, between)
            if most == nil { add(.init(operation: .jump, low: loop)) }
        }
        for exit in exits { targets[exit] = here }
    }
}

extension PatternNode.Anchor {
    fileprivate var operation: PatternProgram.Instruction.Operation {
        switch self {
        case .lineStart: .lineStart
        case .lineEnd: .lineEnd
        case .textStart: .textStart
        case .textEnd: .textEnd
        case .lastLineEnd: .lastLineEnd
        }
    }
}
