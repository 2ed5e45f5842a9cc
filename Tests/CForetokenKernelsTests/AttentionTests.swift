import CForetokenKernels
import Glibc
import Testing

/// Entries and queries of one layer at one context length.
struct Context {
    let rank: Int
    let rope: Int
    let length: Int
    let format: Format
    /// As stored: rounded to the cache format. [length][rank + rope]
    let entries: [Float]
    let bytes: [UInt8]
    var width: Int { rank + rope }

    init(rank: Int, rope: Int, length: Int, format: Format, table: Table) {
        (self.rank, self.rope, self.length, self.format) = (rank, rope, length, format)
        var numbers = Numbers(UInt64(length))
        let exact = numbers.floats(length * (rank + rope))
        let count = Int32(exact.count)
        var bytes = [UInt8](repeating: 0, count: exact.count * format.bytes)
        var entries = exact
        table.kernels.store_latent(exact, &bytes, format.rawValue, count)
        table.kernels.load_latent(bytes, format.rawValue, &entries, count)
        (self.bytes, self.entries) = (bytes, entries)
    }

    func attend(_ table: Table, _ query: [Float], heads: Int, length: Int? = nil) -> [Float] {
        var out = [Float](repeating: .nan, count: heads * rank)
        let room = foretoken_attention_scratch(Int32(heads), Int32(rank), Int32(rope))
        var scratch = [Float](repeating: .nan, count: room)
        bytes.withUnsafeBytes {
            var cache = foretoken_latents(
                entries: $0.baseAddress, format: format.rawValue, rank: Int32(rank), rope: Int32(rope))
            table.kernels.attend(&cache, Int32(length ?? self.length), query, Int32(heads), 0.21, &out, &scratch)
        }
        return out
    }

    /// softmax(σ q·entry)-weighted latents in double precision.
    func reference(_ query: ArraySlice<Float>) -> [Double] {
        let scores = (0..<length).map { t in
            0.21
                * (0..<width).reduce(0.0) {
                    $0 + Double(query[query.startIndex + $1]) * Double(entries[t * width + $1])
                }
        }
        let weights = scores.map { exp($0 - scores.max()!) }
        let sum = weights.reduce(0, +)
        return (0..<rank).map { d in
            (0..<length).reduce(0.0) { $0 + weights[$1] * Double(entries[$1 * width + d]) } / sum
        }
    }
}

@Suite struct AttentionTests {
    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func matchesDoublePrecision(table: Table, format: Format) {
        for (rank, rope) in [(512, 64), (20, 6)] {
            for length in [1, 255, 256, 257, 1000] {
                let context = Context(rank: rank, rope: rope, length: length, format: format, table: table)
                var numbers = Numbers(77)
                let query = numbers.floats(3 * context.width, in: -2...2)
                let out = context.attend(table, query, heads: 3)
                for head in 0..<3 {
                    let exact = context.reference(query[head * context.width..<(head + 1) * context.width])
                    for d in 0..<rank { #expect(abs(Double(out[head * rank + d]) - exact[d]) < 1e-5) }
                }
            }
        }
    }

    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func headsDoNotSeeEachOther(table: Table, format: Format) {
        for (rank, rope) in [(512, 64), (16, 8), (5, 2)] {
            for length in [1, 17, 256, 300] {
                let context = Context(rank: rank, rope: rope, length: length, format: format, table: table)
                var numbers = Numbers(78)
                let query = numbers.floats(11 * context.width, in: -2...2)
                let together = context.attend(table, query, heads: 11)
                for heads in 1...4 {
                    for first in 0...(11 - heads) {
                        let part = Array(query[first * context.width..<(first + heads) * context.width])
                        let expected = together[first * rank..<(first + heads) * rank]
                        #expect(context.attend(table, part, heads: heads).bits == expected.bits)
                    }
                }
            }
        }
    }

    /// A row must not read past its own position: later entries are NaN here.
    @Test(arguments: Table.reachable)
    func entriesPastTheLengthDoNotCount(table: Table) {
        let context = Context(rank: 16, rope: 8, length: 300, format: .f32, table: table)
        let short = Context(rank: 16, rope: 8, length: 300, format: .bf16, table: table)
        var numbers = Numbers(79)
        let query = numbers.floats(2 * 24)
        for length in [1, 16, 255, 256, 257, 299] {
            for full in [context, short] {
                let poisoned = full.poisoned(from: length)
                #expect(
                    poisoned.attend(table, query, heads: 2, length: length).bits
                        == full.attend(table, query, heads: 2, length: length).bits)
            }
        }
    }
}

extension Context {
    private init(_ other: Context, bytes: [UInt8]) {
        (rank, rope, length, format, entries) = (other.rank, other.rope, other.length, other.format, other.entries)
        self.bytes = bytes
    }

    /// The same cache with all-ones bytes, NaN in both formats, from entry `first` on.
    fileprivate func poisoned(from first: Int) -> Context {
        var bytes = bytes
        for i in first * width * format.bytes..<bytes.count { bytes[i] = 0xFF }
        return Context(self, bytes: bytes)
    }
}
