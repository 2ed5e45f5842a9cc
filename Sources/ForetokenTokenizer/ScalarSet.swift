/// A set of Unicode scalars, as sorted ranges that neither touch nor overlap. Surrogates may be in it; no text has them.
struct ScalarSet: Equatable, Hashable {
    private(set) var ranges: [ClosedRange<UInt32>] = []

    static let all = ScalarSet([0...0x10FFFF])

    /// The union of ranges in any order.
    init(_ ranges: [ClosedRange<UInt32>] = []) {
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    init(_ scalar: UInt32) { ranges = [scalar...scalar] }

    var isEmpty: Bool { ranges.isEmpty }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    func inverted() -> ScalarSet {
        var result = ScalarSet()
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { result.ranges.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.ranges.append(next...0x10FFFF) }
        return result
    }

    func intersection(_ other: ScalarSet) -> ScalarSet {
        var result = ScalarSet()
        var (left, right) = (0, 0)
        while left < ranges.count, right < other.ranges.count {
            let (a, b) = (ranges[left], other.ranges[right])
            if a.overlaps(b) { result.ranges.append(a.clamped(to: b)) }
            if a.upperBound < b.upperBound { left += 1 } else { right += 1 }
        }
        return result
    }

    func isDisjoint(with other: ScalarSet) -> Bool { intersection(other).isEmpty }
}

extension ScalarSet {
    /// White_Space, as `\s` has it.
    static let space = ScalarSet([0x09...0x0D, 0x85...0x85]).union(.category("Z"))
    static let digit = ScalarSet.category("Nd")
    /// The digits of base 16, as `\h` has them.
    static let hexadecimal = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])
    /// What `.` takes: everything but a line feed.
    static let notLineFeed = ScalarSet(0x0A).inverted()

    /// A property by the name between the braces of `\p{…}`, however it is spelt; nil when the table has none of it.
    init?(property name: String) {
        let plain = name.lowercased().filter { $0 != " " && $0 != "_" && $0 != "-" }
        if plain == "any" {
            self = .all
            return
        }
        let wanted = Self.longNames[plain] ?? plain
        if let key = UnicodeTable.ranges.keys.first(where: { $0.lowercased() == wanted }) {
            self = Self.category(key)
        } else if ["l", "m", "n", "p", "s", "z"].contains(wanted) {
            self = Self.category(wanted.uppercased())
        } else {
            return nil
        }
    }

    private static let longNames = [
        "letter": "l", "mark": "m", "number": "n", "punctuation": "p", "symbol": "s", "separator": "z",
        "uppercaseletter": "lu", "lowercaseletter": "ll", "titlecaseletter": "lt", "modifierletter": "lm",
        "otherletter": "lo", "nonspacingmark": "mn", "spacingmark": "mc", "enclosingmark": "me",
        "decimalnumber": "nd", "letternumber": "nl", "othernumber": "no",
    ]

    /// The members of a category or script of the table, or of all categories that begin with one letter.
    fileprivate static func category(_ name: String) -> ScalarSet {
        var ranges: [ClosedRange<UInt32>] = []
        for (key, text) in UnicodeTable.ranges
        where key == name || name.count == 1 && key.count == 2 && key.hasPrefix(name) {
            append(text, to: &ranges)
        }
        return ScalarSet(ranges)
    }

    /// Reads the table's notation.
    private static func append(_ text: String, to ranges: inout [ClosedRange<UInt32>]) {
        var (first, value): (UInt32?, UInt32) = (nil, 0)
        var skips = false
        for byte in text.utf8 + [0x20] {
            switch byte {
            case UInt8(ascii: "-"): (first, value) = (value, 0)
            case UInt8(ascii: "/"): skips = true
            case 0x20:
                if skips, let first {
                    for scalar in stride(from: first, through: value, by: 2) { ranges.append(scalar...scalar) }
                } else {
                    ranges.append((first ?? value)...value)
                }
                (first, value, skips) = (nil, 0, false)
            case _ where skips: continue
            default: value = value << 4 | UInt32(byte < 0x40 ? byte - 0x30 : byte - 0x37)
            }
        }
    }
}
