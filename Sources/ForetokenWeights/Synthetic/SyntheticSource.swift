import Glibc

/// The bytes of one synthetic tensor: pseudo-random bits, some of which are fixed. Any part of it can be made at any
/// time, so that weights need no room besides the packed ones.
struct SyntheticFill: Sendable, Equatable {
    /// Bits of each 64-bit word that are random.
    let random: UInt64
    /// The others.
    let fixed: UInt64
    /// Whether bytes are FP8 codes, none of which may be NaN.
    let isFP8: Bool

    /// FP8 codes of all magnitudes.
    static let codes = SyntheticFill(random: .max, fixed: 0, isFP8: true)
    /// About the root mean square of those codes' values.
    static let codeDeviation = 100.0

    /// FP32 numbers that are all `value`.
    static func constant(_ value: Float) -> SyntheticFill {
        SyntheticFill(random: 0, fixed: UInt64(value.bitPattern) << 32 | UInt64(value.bitPattern), isFP8: false)
    }

    /// BF16 numbers of both signs whose magnitudes lie within one power of two, the one that comes closest to the
    /// standard deviation.
    static func bf16(deviation: Double) -> SyntheticFill {
        let exponent = UInt64(127 + exponent(deviation))
        return SyntheticFill(
            random: 0x807F_807F_807F_807F, fixed: (exponent << 7) &* 0x0001_0001_0001_0001, isFP8: false)
    }

    /// The standard deviation that `bf16` gives.
    static func bf16Deviation(_ deviation: Double) -> Double {
        Double(sign: .plus, exponent: exponent(deviation), significand: rootMeanSquare)
    }

    /// Over [1, 2): √(7/3).
    private static let rootMeanSquare = 1.528

    private static func exponent(_ deviation: Double) -> Int {
        max(-126, min(127, Int(log2(deviation / rootMeanSquare).rounded())))
    }

    /// BF16 ones.
    static let ones = SyntheticFill(random: 0, fixed: 0x3F80_3F80_3F80_3F80, isFP8: false)

    /// Word `index` of the tensor with that seed.
    @inline(__always)
    func word(_ index: Int, seed: UInt64) -> UInt64 {
        // SplitMix64 at a place of its sequence.
        var z = seed &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        let word = (z ^ (z >> 31)) & random | fixed
        guard isFP8 else { return word }
        // In bytes whose lower seven bits are all ones, the carry marks bit 7; bit 3 then goes.
        let marks = ((word & 0x7F7F_7F7F_7F7F_7F7F) &+ 0x0101_0101_0101_0101) & 0x8080_8080_8080_8080
        return word ^ (marks >> 4)
    }
}

/// A file that exists nowhere: its tensors' bytes are made when they are read.
struct SyntheticSource: Sendable {
    /// One tensor's place in the file.
    struct Piece: Sendable {
        let range: Range<Int>
        let fill: SyntheticFill
        let seed: UInt64
    }

    /// In the order of the file, without holes.
    let pieces: [Piece]

    var count: Int { pieces.last?.range.upperBound ?? 0 }

    func read(at offset: Int, into destination: UnsafeMutableRawBufferPointer) {
        var done = 0
        var index = pieceIndex(of: offset)
        while done < destination.count {
            let piece = pieces[index]
            let start = offset + done - piece.range.lowerBound
            let count = min(destination.count - done, piece.range.count - start)
            let part = UnsafeMutableRawBufferPointer(rebasing: destination[done..<done + count])
            Self.fill(part, piece, from: start)
            done += count
            index += 1
        }
    }

    /// The last piece that begins at or before `offset`; empty ones do not exist.
    private func pieceIndex(of offset: Int) -> Int {
        var low = 0
        var high = pieces.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if pieces[middle].range.lowerBound <= offset { low = middle } else { high = middle }
        }
        return low
    }

    private static func fill(_ bytes: UnsafeMutableRawBufferPointer, _ piece: Piece, from start: Int) {
        guard let base = bytes.baseAddress else { return }
        var i = 0
        while i < bytes.count {
            let place = (start + i) % 8
            let word = piece.fill.word((start + i) / 8, seed: piece.seed)
            if place == 0 && bytes.count - i >= 8 {
                (base + i).storeBytes(of: word.littleEndian, as: UInt64.self)
                i += 8
            } else {
                base.storeBytes(
                    of: UInt8(truncatingIfNeeded: word >> UInt64(8 * place)), toByteOffset: i, as: UInt8.self)
                i += 1
            }
        }
    }
}
