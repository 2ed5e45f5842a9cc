/// A 64-bit fingerprint of the raw bits of floats, for finding differences, not for withstanding malice: four lanes take
/// 8 bytes each by h ← fold((h ⊕ word) · odd). Folding both halves of the full product brings every bit to every place;
/// the lower half alone would let two flipped signs cancel.
package enum Fingerprint {
    package static func of(_ values: UnsafePointer<Float>, _ count: Int) -> UInt64 {
        let bytes = UnsafeRawPointer(values)
        var a: UInt64 = 0x243F_6A88_85A3_08D3
        var b: UInt64 = 0x1319_8A2E_0370_7344
        var c: UInt64 = 0xA409_3822_299F_31D0
        var d = UInt64(count)
        let whole = count & ~7
        for offset in stride(from: 0, to: 4 * whole, by: 32) {
            a = step(a, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            b = step(b, bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
            c = step(c, bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
            d = step(d, bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
        }
        for i in whole..<count { a = step(a, UInt64(values[i].bitPattern)) }
        return step(step(step(a, b), c), d)
    }

    @inline(__always)
    private static func step(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}
