/// A set of scalars made ready for the matcher: one look at a first byte mostly decides, else two look-ups.
///
/// Its memory is never written after it was made, and lives until its owner, a `PatternProgram`, frees it.
struct ScalarTable {
    /// For each first byte of a scalar: 0 when no scalar that begins so is a member, the scalar's length when all are,
    /// and `undecided` when the whole scalar has to be looked at.
    let leads: UnsafePointer<UInt8>
    /// For each 256 scalars, which of `blocks` tells about them.
    private let index: UnsafePointer<UInt16>
    /// Four words of bits for each 256 scalars; equal ones are stored once.
    private let blocks: UnsafePointer<UInt64>

    static let undecided: UInt8 = 0x80

    init(_ set: ScalarSet) {
        var bits = [[UInt64]](repeating: [], count: 0x1100)
        let (empty, full) = ([UInt64](repeating: 0, count: 4), [UInt64](repeating: .max, count: 4))
        for range in set.ranges {
            for block in Int(range.lowerBound >> 8)...Int(range.upperBound >> 8) {
                let here = range.clamped(to: UInt32(block) << 8...UInt32(block) << 8 | 0xFF)
                if here.count == 0x100 {
                    bits[block] = full
                    continue
                }
                if bits[block].isEmpty { bits[block] = empty }
                for scalar in here { bits[block][Int(scalar >> 6 & 3)] |= 1 << UInt64(scalar & 63) }
            }
        }
        var known: [[UInt64]: UInt16] = [empty: 0, full: 1]
        var words = empty + full
        let index = UnsafeMutablePointer<UInt16>.allocate(capacity: bits.count)
        for (number, block) in bits.enumerated() {
            guard !block.isEmpty, block != full else {
                index[number] = block.isEmpty ? 0 : 1
                continue
            }
            let next = UInt16(words.count / 4)
            let place = known[block] ?? next
            if place == next {
                known[block] = next
                words += block
            }
            index[number] = place
        }
        let blocks = UnsafeMutablePointer<UInt64>.allocate(capacity: words.count)
        blocks.initialize(from: words, count: words.count)
        let leads = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        leads.initialize(from: Self.leads(of: set), count: 256)
        (self.index, self.blocks, self.leads) = (UnsafePointer(index), UnsafePointer(blocks), UnsafePointer(leads))
    }

    func free() {
        index.deallocate()
        blocks.deallocate()
        leads.deallocate()
    }

    /// What `leads` holds for a set.
    static func leads(of set: ScalarSet) -> [UInt8] { (0..<256).map { verdict(on: UInt8($0), set) } }

    /// The scalars that can begin with a byte; nil for one that begins none.
    private static func scalars(beginningWith byte: UInt8) -> ClosedRange<UInt32>? {
        let lead = UInt32(byte)
        return switch byte {
        case 0x00...0x7F: lead...lead
        case 0xC2...0xDF: (lead & 0x1F) << 6...(lead & 0x1F) << 6 | 0x3F
        case 0xE0: 0x800...0xFFF
        case 0xE1...0xEF: (lead & 0xF) << 12...(lead & 0xF) << 12 | 0xFFF
        case 0xF0: 0x10000...0x3FFFF
        case 0xF1...0xF3: (lead & 7) << 18...(lead & 7) << 18 | 0x3FFFF
        case 0xF4: 0x100000...0x10FFFF
        default: nil
        }
    }

    private static func verdict(on byte: UInt8, _ set: ScalarSet) -> UInt8 {
        guard let scalars = scalars(beginningWith: byte) else { return 0 }
        let members = set.intersection(ScalarSet([scalars])).ranges
        if members.isEmpty { return 0 }
        if members == [scalars] { return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4 }
        return undecided
    }

    /// The length in bytes of the scalar at `place` if it is a member, else 0.
    @inline(__always)
    func length(at place: UnsafePointer<UInt8>) -> Int {
        let verdict = leads[Int(place[0])]
        if _fastPath(verdict != Self.undecided) { return Int(verdict) }
        let lead = UInt32(place[0])
        let scalar: UInt32
        let length: Int
        if lead < 0xE0 {
            (scalar, length) = ((lead & 0x1F) << 6 | UInt32(place[1] & 0x3F), 2)
        } else if lead < 0xF0 {
            scalar = (lead & 0xF) << 12 | UInt32(place[1] & 0x3F) << 6 | UInt32(place[2] & 0x3F)
            length = 3
        } else {
            let high = (lead & 7) << 18 | UInt32(place[1] & 0x3F) << 12
            scalar = high | UInt32(place[2] & 0x3F) << 6 | UInt32(place[3] & 0x3F)
            length = 4
        }
        return contains(scalar) ? length : 0
    }

    @inline(__always)
    func contains(_ scalar: UInt32) -> Bool {
        let block = Int(index[Int(scalar >> 8)])
        return blocks[block * 4 + Int(scalar >> 6 & 3)] >> UInt64(scalar & 63) & 1 == 1
    }
}
