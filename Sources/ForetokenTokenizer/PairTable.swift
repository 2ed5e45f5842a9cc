/// A hash table from 64-bit keys to 64-bit values, filled once and then only read: open addressing, at most half full.
///
/// `Dictionary` hashes with SipHash, which would take longer than the whole merge step it serves.
struct PairTable: Sendable {
    private struct Slot {
        var key: UInt64
        var value: UInt64
    }

    /// Marks a free slot; no caller's key has all bits set.
    private static let free = UInt64.max

    private var slots: [Slot]
    private let shift: UInt64

    init(capacity: Int) {
        let bits = max(4, Int.bitWidth - (2 * max(capacity, 1) - 1).leadingZeroBitCount)
        slots = Array(repeating: Slot(key: Self.free, value: 0), count: 1 << bits)
        shift = UInt64(64 - bits)
    }

    /// Fibonacci hashing over both halves of the key.
    @inline(__always)
    private func home(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ (key >> 29)) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }

    @inline(__always)
    subscript(key: UInt64) -> UInt64? {
        var index = home(key)
        while true {
            let slot = slots[index]
            if slot.key == key { return slot.value }
            if slot.key == Self.free { return nil }
            index = (index + 1) & (slots.count - 1)
        }
    }

    /// Returns false, and changes nothing, when the key is already there.
    mutating func insert(_ key: UInt64, _ value: UInt64) -> Bool {
        var index = home(key)
        while slots[index].key != Self.free {
            if slots[index].key == key { return false }
            index = (index + 1) & (slots.count - 1)
        }
        slots[index] = Slot(key: key, value: value)
        return true
    }
}

/// A quick hash of a run of bytes, for tables that compare the bytes themselves afterwards.
@inline(__always)
func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    let raw = UnsafeRawBufferPointer(bytes)
    var hash = UInt64(truncatingIfNeeded: raw.count) &* 0x9E37_79B9_7F4A_7C15
    var offset = 0
    while offset + 8 <= raw.count {
        hash = mix(hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset += 8
    }
    var tail: UInt64 = 0
    while offset < raw.count {
        tail = tail << 8 | UInt64(raw[offset])
        offset += 1
    }
    return mix(hash ^ tail)
}

@inline(__always)
private func mix(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
}
