import CForetokenKernels
import Glibc
import Testing

/// Entries and queries of one layer of a text. Its pages lie in any order, each behind bytes of another layer.
struct Context {
    let rank: Int
    let rope: Int
    let capacity: Int
    let format: Format
    /// As stored: rounded to the cache format. [capacity][rank + rope]
    private(set) var entries: [Float]
    private var bytes: [UInt8]
    var width: Int { rank + rope }

    init(rank: Int, rope: Int, capacity: Int, format: Format, table: Table) {
        (self.rank, self.rope, self.capacity, self.format) = (rank, rope, capacity, format)
        let width = rank + rope
        var numbers = Numbers(UInt64(capacity))
        let exact = numbers.floats(capacity * width)
        var entries = [Float](repeating: .nan, count: exact.count)
        bytes = [UInt8](
            repeating: 0xFF,
            count: Self.pageCount(capacity) * (Self.offset + Int(FORETOKEN_CONTEXT_BLOCK) * width * format.bytes))
        self.entries = []
        withCache { cache in
            for i in 0..<capacity {
                exact.withUnsafeBufferPointer {
                    table.kernels.store_latent(cache, Int32(i), $0.baseAddress! + i * width)
                }
            }
            table.kernels.load_latents(cache, 0, Int32(capacity), &entries)
        }
        self.entries = entries
    }

    /// Bytes before the layer's entries in each page.
    private static let offset = 192

    private static func pageCount(_ capacity: Int) -> Int {
        (capacity + Int(FORETOKEN_CONTEXT_BLOCK) - 1) / Int(FORETOKEN_CONTEXT_BLOCK)
    }

    /// The same cache with all-ones bytes, NaN in both formats, from entry `first` on.
    func poisoned(from first: Int, table: Table) -> Context {
        var poisoned = self
        let nan = [Float](repeating: Float(bitPattern: .max), count: width)
        poisoned.withCache { cache in
            for i in first..<capacity { table.kernels.store_latent(cache, Int32(i), nan) }
        }
        return poisoned
    }

    mutating func withCache(_ body: (UnsafePointer<foretoken_latents>) -> Void) {
        let pageCount = Self.pageCount(capacity)
        let pageBytes = bytes.count / pageCount
        bytes.withUnsafeMutableBytes { memory in
            // The last page comes first.
            let pages =
                (0..<pageCount).map { memory.baseAddress! + (pageCount - 1 - $0) * pageBytes }
                as [UnsafeMutableRawPointer?]
            pages.withUnsafeBufferPointer {
                var cache = foretoken_latents(
                    pages: $0.baseAddress, offset: Self.offset, format: format.rawValue, rank: Int32(rank),
                    rope: Int32(rope))
                body(&cache)
            }
        }
    }

    /// Results [row][head][rank] of queries [row][head][rank + rope]; row 0 sees `length` entries.
    func attend(_ table: Table, _ query: [Float], rows: Int = 1, heads: Int, length: Int) -> [Float] {
        var context = self
        var query = query
        var out = [Float](repeating: .nan, count: rows * heads * rank)
        let room = foretoken_attention_scratch(Int32(heads), Int32(rank))
        var scratch = [Float](repeating: .nan, count: room)
        context.withCache { cache in
            query.withUnsafeMutableBufferPointer { query in
                out.withUnsafeMutableBufferPointer { out in
                    table.kernels.attend(
                        cache, Int32(length),
                        foretoken_rows(base: query.baseAddress, stride: heads * width, index: nil), Int32(rows),
                        Int32(heads), 0.21, foretoken_rows(base: out.baseAddress, stride: heads * rank, index: nil),
                        &scratch)
                }
            }
        }
        return out
    }

    /// softmax(σ q·entry)-weighted latents of the first `length` entries in double precision.
    func reference(_ query: ArraySlice<Float>, length: Int) -> [Double] {
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
            let context = Context(rank: rank, rope: rope, capacity: 1001, format: format, table: table)
            for length in [1, 255, 256, 257, 1000] {
                var numbers = Numbers(77)
                let query = numbers.floats(2 * 3 * context.width, in: -2...2)
                let out = context.attend(table, query, rows: 2, heads: 3, length: length)
                for line in 0..<6 {
                    let exact = context.reference(
                        query[line * context.width..<(line + 1) * context.width], length: length + line / 3)
                    for d in 0..<rank { #expect(abs(Double(out[line * rank + d]) - exact[d]) < 1e-5) }
                }
            }
        }
    }

    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func headsDoNotSeeEachOther(table: Table, format: Format) {
        for (rank, rope) in [(512, 64), (16, 8), (5, 2)] {
            let context = Context(rank: rank, rope: rope, capacity: 300, format: format, table: table)
            for length in [1, 17, 256, 300] {
                var numbers = Numbers(78)
                let query = numbers.floats(11 * context.width, in: -2...2)
                let together = context.attend(table, query, heads: 11, length: length)
                for heads in 1...7 {
                    for first in 0...(11 - heads) {
                        let part = Array(query[first * context.width..<(first + heads) * context.width])
                        let expected = together[first * rank..<(first + heads) * rank]
                        #expect(context.attend(table, part, heads: heads, length: length).bits == expected.bits)
                    }
                }
            }
        }
    }

    /// Lengths put the rows of a window on both sides of a group's and of a block's edge; 3, 5 and 40 heads make one
    /// pass over the cache, two and sixteen of it.
    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func rowsDoNotSeeEachOther(table: Table, format: Format) {
        let context = Context(rank: 20, rope: 6, capacity: 620, format: format, table: table)
        for heads in [3, 5, 40] {
            var numbers = Numbers(80)
            let width = heads * context.width
            let query = numbers.floats(16 * width, in: -2...2)
            for length in [1, 9, 241, 250, 256, 257, 500, 600] {
                let alone = (0..<16).map {
                    context.attend(
                        table, Array(query[$0 * width..<($0 + 1) * width]), heads: heads, length: length + $0)
                }
                for rows in [2, 3, 8, 16] {
                    let part = Array(query[..<(rows * width)])
                    let together = context.attend(table, part, rows: rows, heads: heads, length: length)
                    #expect(together.bits == alone[..<rows].flatMap(\.bits), "\(heads) heads, \(rows) rows, \(length)")
                }
            }
        }
    }

    /// A row must not read past its own position: later entries are NaN here.
    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func entriesPastTheLengthDoNotCount(table: Table, format: Format) {
        let context = Context(rank: 16, rope: 8, capacity: 300, format: format, table: table)
        var numbers = Numbers(79)
        let query = numbers.floats(3 * 2 * 24)
        for length in [1, 8, 16, 255, 256, 257, 298] {
            let poisoned = context.poisoned(from: length, table: table)
            #expect(
                poisoned.attend(table, query, heads: 2, length: length).bits
                    == context.attend(table, query, heads: 2, length: length).bits)
            // Nor may a row be touched by what a later row of the window may read.
            let window = poisoned.attend(table, query, rows: 3, heads: 2, length: length)
            #expect(
                window.prefix(2 * 16).bits == context.attend(table, query, heads: 2, length: length).bits)
        }
    }

    @Test(arguments: [Format.f32, .bf16])
    func tablesThatFuseAgree(format: Format) {
        let tables = Table.reachable.filter(\.fuses)
        guard let first = tables.first else { return }
        let context = Context(rank: 37, rope: 10, capacity: 400, format: format, table: first)
        var numbers = Numbers(81)
        let query = numbers.floats(4 * 5 * context.width, in: -2...2)
        let expected = context.attend(first, query, rows: 4, heads: 5, length: 390)
        for table in tables.dropFirst() {
            #expect(context.attend(table, query, rows: 4, heads: 5, length: 390).bits == expected.bits)
        }
    }

    @Test(arguments: Table.reachable)
    func entriesAreRoundedToTheCacheFormat(table: Table) {
        for width in [(8, 0), (16, 8), (77, 6)] {
            let exact = Context(rank: width.0, rope: width.1, capacity: 45, format: .f32, table: table)
            let rounded = Context(rank: width.0, rope: width.1, capacity: 45, format: .bf16, table: table)
            var numbers = Numbers(45)
            #expect(exact.entries == numbers.floats(exact.entries.count))
            #expect(rounded.entries.bits == exact.entries.map { UInt32(foretoken_bf16_encode($0)) << 16 })
        }
    }
}
