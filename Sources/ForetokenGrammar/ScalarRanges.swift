/// A set of Unicode scalars as ascending ranges that do not touch.
struct ScalarRanges: Equatable {
    private(set) var ranges: [ClosedRange<UInt32>]

    /// Any ranges, in any order.
    init(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    init(_ scalar: UInt32) { ranges = [scalar...scalar] }

    /// Surrogates count as scalars here; no text has them.
    static let all = ScalarRanges([0...0x10FFFF])
    static let digits = ScalarRanges([0x30...0x39])
    static let wordCharacters = ScalarRanges([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    /// ECMAScript's `\s`.
    static let spaces = ScalarRanges([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])
    /// What ECMAScript's `.` leaves out.
    static let lineEnds = ScalarRanges([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029])

    var inverted: ScalarRanges {
        var (next, result) = (UInt32(0), [ClosedRange<UInt32>]())
        for range in ranges {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return ScalarRanges(result)
    }

    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }

    /// The parts of the set within `bounds`.
    func clamped(to bounds: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        ranges.filter { $0.overlaps(bounds) }.map { $0.clamped(to: bounds) }
    }
}

extension Net {
    /// Lets each scalar of the set lead from `source` to `target`, in the one spelling that `JSONValue.text` has for it: as
    /// itself, or behind a backslash (`\"`, `\\`, `\n`, `\r`, `\t`). Other control characters are left out.
    mutating func add(
        _ set: ScalarRanges, from source: Int32, to target: Int32, isInside: Bool
    ) throws(GrammarError) {
        let escaped = [(0x22, "\""), (0x5C, "\\"), (0x0A, "n"), (0x0D, "r"), (0x09, "t")].filter {
            set.contains($0.0)
        }
        if !escaped.isEmpty {
            let backslash = try add(Node(isInside: isInside))
            try connect(source, "\\", backslash)
            try connect(backslash, any: escaped.map(\.1).joined(), target)
        }
        for plain: ClosedRange<UInt32> in [0x20...0x21, 0x23...0x5B, 0x5D...0x7F] {
            for range in set.clamped(to: plain) {
                try connect(source, UInt8(range.lowerBound), UInt8(range.upperBound), target)
            }
        }
        var tails = Tails(target: target, isInside: isInside)
        for (bounds, length): (ClosedRange<UInt32>, Int) in [
            (0x80...0x7FF, 2), (0x800...0xD7FF, 3), (0xE000...0xFFFF, 3), (0x10000...0x10FFFF, 4),
        ] {
            for range in set.clamped(to: bounds) {
                try addSequences(range.lowerBound, range.upperBound, length, from: source, &tails)
            }
        }
    }

    /// Ends of UTF-8 sequences that several of them share.
    private struct Tails {
        let target: Int32
        let isInside: Bool
        var known: [Step: Int32] = [:]

        struct Step: Hashable {
            let low: UInt8
            let high: UInt8
            let next: Int32
        }
    }

    /// UTF-8 of `low`...`high`, which all have `length` bytes: split until each byte has a range of its own.
    private mutating func addSequences(
        _ low: UInt32, _ high: UInt32, _ length: Int, from source: Int32, _ tails: inout Tails
    ) throws(GrammarError) {
        for index in 1..<length {
            let rest = UInt32(1) << (6 * index) - 1
            guard low & ~rest != high & ~rest else { continue }
            let middle = low & rest != 0 ? low | rest : high & rest != rest ? (high & ~rest) - 1 : nil
            guard let middle else { continue }
            try addSequences(low, middle, length, from: source, &tails)
            return try addSequences(middle + 1, high, length, from: source, &tails)
        }
        func byte(_ scalar: UInt32, _ index: Int) -> UInt8 {
            let bits = scalar >> (6 * (length - 1 - index))
            guard index == 0 else { return UInt8(bits & 0x3F | 0x80) }
            return UInt8([0, 0, 0xC0, 0xE0, 0xF0][length] | bits)
        }
        var next = tails.target
        for index in (1..<length).reversed() {
            let step = Tails.Step(low: byte(low, index), high: byte(high, index), next: next)
            if let known = tails.known[step] {
                next = known
            } else {
                let node = try add(Node(isInside: tails.isInside))
                try connect(node, step.low, step.high, next)
                tails.known[step] = node
                next = node
            }
        }
        try connect(source, byte(low, 0), byte(high, 0), next)
    }
}
