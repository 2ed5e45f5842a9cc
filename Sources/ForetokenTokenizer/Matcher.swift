/// Matches programs against the pieces of one text: one thread's use of the patterns, for the length of one call.
///
/// What could still be tried otherwise lies on a stack of its own, so no text overflows the thread's; a repetition of one
/// class is a single entry, however long it is. The work on a whole text is limited in proportion to its length, so an
/// expression that tries without end is an error soon.
final class Matcher {
    /// A place to come back to: an instruction, a byte of the text, and what that instruction needs to go on.
    private struct Entry {
        var instruction: Int32
        var position: Int32
        /// For a run the position it may not go below, for a choice the branches left.
        var rest: UInt64
    }

    /// Why a search was given up, so that no trustworthy answer exists.
    private enum Exhausted: String, Error {
        case memory = "it needs too much memory"
        case steps = "it needs too many steps"
    }

    private static let mostEntries = 1 << 24
    /// Published expressions take fewer than ten steps for a byte.
    private static let stepsPerByte = 500

    private var stack: UnsafeMutablePointer<Entry>
    private var capacity = 64
    private var count = 0
    private var stepsLeft: Int

    /// - Parameter textBytes: the length of the text whose pieces will be searched.
    init(textBytes: Int) {
        stack = .allocate(capacity: 64)
        stepsLeft = 10_000_000 + Self.stepsPerByte * textBytes
    }

    deinit { stack.deallocate() }

    /// Calls `body` with each match in turn, as byte offsets into `subject`, which must be valid UTF-8.
    ///
    /// Lookarounds see the whole subject and nothing beyond it.
    @inline(__always)
    func forEachMatch(
        of pattern: SplitPattern, in subject: UnsafeBufferPointer<UInt8>,
        _ body: (Range<Int>) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        var start = 0
        while start < subject.count, let match = try firstMatch(of: pattern, in: subject, from: start) {
            try body(match)
            start = match.upperBound
            if match.isEmpty {
                // The search goes on behind the next scalar.
                start += 1
                while start < subject.count, !subject[start].beginsScalar { start += 1 }
            }
        }
    }

    @inline(__always)
    private func firstMatch(
        of pattern: SplitPattern, in subject: UnsafeBufferPointer<UInt8>, from start: Int
    ) throws(TokenizerError) -> Range<Int>? {
        do {
            return try search(pattern.program, subject, start)
        } catch {
            throw .patternFailed(pattern: pattern.source.text, offset: start, reason: error.rawValue)
        }
    }

    private func search(
        _ program: PatternProgram, _ subject: UnsafeBufferPointer<UInt8>, _ start: Int
    ) throws(Exhausted) -> Range<Int>? {
        guard let bytes = subject.baseAddress else { return nil }
        let (instructions, masks, targets) = (program.instructions, program.masks, program.targets)
        var begin = start
        while begin <= subject.count {
            if let starts = program.starts {
                while begin < subject.count, starts.length(at: bytes + begin) == 0 { begin += 1 }
                guard begin < subject.count else { return nil }
            }
            if let end = try match(instructions, masks, targets, bytes, subject.count, begin) { return begin..<end }
            begin += 1
            while begin < subject.count, !bytes[begin].beginsScalar { begin += 1 }
            try spendStep()
        }
        return nil
    }

    @inline(__always)
    private func spendStep() throws(Exhausted) {
        stepsLeft -= 1
        if stepsLeft <= 0 { throw .steps }
    }

    @inline(__always)
    private func push(_ instruction: Int, _ position: Int, _ rest: UInt64) throws(Exhausted) {
        if count == capacity { try grow() }
        stack[count] = Entry(instruction: Int32(instruction), position: Int32(position), rest: rest)
        count += 1
    }

    private func grow() throws(Exhausted) {
        guard capacity < Self.mostEntries else { throw .memory }
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: stack, count: count)
        stack.deallocate()
        stack = larger
        capacity *= 2
    }

    /// Where the match that begins at `begin` ends, or nil.
    private func match(
        _ instructions: UnsafePointer<PatternProgram.Instruction>, _ masks: UnsafePointer<UInt64>,
        _ targets: UnsafePointer<Int32>, _ bytes: UnsafePointer<UInt8>, _ end: Int, _ begin: Int
    ) throws(Exhausted) -> Int? {
        count = 0
        var (current, position) = (0, begin)
        while true {
            let instruction = instructions + current
            var holds = true
            switch instruction.pointee.operation {
            case .scalar:
                let length =
                    position < end ? instruction.pointee.table.unsafelyUnwrapped.length(at: bytes + position) : 0
                holds = length > 0
                position += length
                stepsLeft -= 1
            case .run: holds = try run(instruction, current, bytes, end, &position)
            case .choose:
                let mask = masks[Int(instruction.pointee.high) + (position < end ? Int(bytes[position]) : 256)]
                if mask != 0 {
                    current = try branch(instruction, current, targets, position, mask)
                    continue
                }
                holds = false
            case .jump:
                try spendStep()
                current = Int(instruction.pointee.low)
                continue
            case .atomic, .lookahead, .negativeLookahead: try push(current, position, 0)
            case .markEnd:
                let mark = cut(to: instruction.pointee.low)
                let operation = instructions[Int(mark.instruction)].operation
                if operation != .atomic { position = Int(mark.position) }
                holds = operation != .negativeLookahead
            case .match: return position
            default: holds = isTrue(instruction, bytes, end, position)
            }
            if holds {
                current += 1
            } else {
                guard let next = try comeBack(instructions, targets, bytes, &position) else { return nil }
                current = next
            }
        }
    }

    /// Takes as many scalars as there are; false when they are too few.
    @inline(__always)
    private func run(
        _ instruction: UnsafePointer<PatternProgram.Instruction>, _ current: Int, _ bytes: UnsafePointer<UInt8>,
        _ end: Int, _ position: inout Int
    ) throws(Exhausted) -> Bool {
        let table = instruction.pointee.table.unsafelyUnwrapped
        let (least, most) = (instruction.pointee.low, instruction.pointee.high)
        let first = position
        var lowest = position
        var taken: Int32 = 0
        while taken < most, position < end {
            let length = table.length(at: bytes + position)
            if length == 0 { break }
            position += length
            // Without a limit above, a count beyond Int32 cannot occur: a text has fewer bytes.
            taken += 1
            if taken == least { lowest = position }
        }
        stepsLeft -= (position - first) >> 3
        guard taken >= least else { return false }
        if !instruction.pointee.flag, lowest < position { try push(current, position, UInt64(lowest)) }
        return true
    }

    /// The target of the first branch in `mask`; the others are for later.
    @inline(__always)
    private func branch(
        _ instruction: UnsafePointer<PatternProgram.Instruction>, _ current: Int, _ targets: UnsafePointer<Int32>,
        _ position: Int, _ mask: UInt64
    ) throws(Exhausted) -> Int {
        let rest = mask & (mask - 1)
        if rest != 0 { try push(current, position, rest) }
        return Int(targets[Int(instruction.pointee.low) + mask.trailingZeroBitCount])
    }

    /// Removes all entries since a part began, and the one of its beginning, which it returns.
    private func cut(to mark: Int32) -> Entry {
        count -= 1
        while stack[count].instruction != mark { count -= 1 }
        return stack[count]
    }

    /// Takes up the last thing that could be tried otherwise: the instruction to go on with, nil when there is none.
    private func comeBack(
        _ instructions: UnsafePointer<PatternProgram.Instruction>, _ targets: UnsafePointer<Int32>,
        _ bytes: UnsafePointer<UInt8>, _ position: inout Int
    ) throws(Exhausted) -> Int? {
        while count > 0 {
            try spendStep()
            count -= 1
            let entry = stack[count]
            let current = Int(entry.instruction)
            position = Int(entry.position)
            switch instructions[current].operation {
            case .run:
                position -= 1
                while !bytes[position].beginsScalar { position -= 1 }
                if position > Int(entry.rest) { try push(current, position, entry.rest) }
                return current + 1
            case .choose:
                return try branch(instructions + current, current, targets, position, entry.rest)
            case .negativeLookahead: return Int(instructions[current].high)
            default: continue
            }
        }
        return nil
    }

    private func isTrue(
        _ instruction: UnsafePointer<PatternProgram.Instruction>, _ bytes: UnsafePointer<UInt8>, _ end: Int,
        _ position: Int
    ) -> Bool {
        let lineFeed = UInt8(ascii: "\n")
        switch instruction.pointee.operation {
        case .peek:
            let table = instruction.pointee.table.unsafelyUnwrapped
            return (position < end && table.length(at: bytes + position) > 0) != instruction.pointee.flag
        case .peekBehind:
            let table = instruction.pointee.table.unsafelyUnwrapped
            var before = position - 1
            while before >= 0, !bytes[before].beginsScalar { before -= 1 }
            return (before >= 0 && table.length(at: bytes + before) > 0) != instruction.pointee.flag
        case .lineStart: return position == 0 || position < end && bytes[position - 1] == lineFeed
        case .lineEnd: return position == end || bytes[position] == lineFeed
        case .textStart: return position == 0
        case .textEnd: return position == end
        case .lastLineEnd: return position == end || position == end - 1 && bytes[position] == lineFeed
        default: return false
        }
    }
}
