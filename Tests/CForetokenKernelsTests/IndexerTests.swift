import CForetokenKernels
import Glibc
import Testing

/// Scores [row][entry] of queries [row][head][width] with weights [row][head].
extension Context {
    func scores(
        _ table: Table, _ query: [Float], _ weights: [Float], rows: Int = 1, heads: Int, entries: Range<Int>? = nil
    ) -> [[Float]] {
        var (context, query, weights) = (self, query, weights)
        let entries = entries ?? 0..<capacity
        // Whole groups are written.
        let stride = (capacity + 15) & ~15
        var out = [Float](repeating: .infinity, count: rows * stride)
        context.withCache { cache in
            query.withUnsafeMutableBufferPointer { query in
                weights.withUnsafeMutableBufferPointer { weights in
                    out.withUnsafeMutableBufferPointer { out in
                        table.kernels.score_entries(
                            cache, Int32(entries.lowerBound), Int32(entries.count),
                            foretoken_rows(base: query.baseAddress, stride: heads * width, index: nil),
                            foretoken_rows(base: weights.baseAddress, stride: heads, index: nil), Int32(rows),
                            Int32(heads), foretoken_rows(base: out.baseAddress, stride: stride, index: nil))
                    }
                }
            }
        }
        return (0..<rows).map { Array(out[$0 * stride..<$0 * stride + capacity]) }
    }

    /// The entries at `positions`, copied together, as the table reads them.
    func gathered(_ table: Table, _ positions: [Int32], pieces: Int) -> Context {
        var context = self
        var copies = Context(rank: rank, rope: rope, capacity: positions.count, format: format, table: table)
        context.withCache { cache in
            copies.withCache { target in
                for first in stride(from: 0, to: positions.count, by: pieces) {
                    table.kernels.gather_latents(
                        cache, positions, Int32(first), Int32(min(pieces, positions.count - first)), target)
                }
            }
        }
        return copies
    }
}

@Suite struct IndexerTests {
    /// The formula as it is written, in double precision.
    private func exact(_ context: Context, _ query: ArraySlice<Float>, _ weights: ArraySlice<Float>) -> [Double] {
        let (q, w) = (Array(query), Array(weights))
        return (0..<context.capacity).map { e in
            w.indices.reduce(0.0) { sum, h in
                let dot = (0..<context.width).reduce(0.0) {
                    $0 + Double(q[h * context.width + $1]) * Double(context.entries[e * context.width + $1])
                }
                return sum + Double(w[h]) * max(0, dot)
            }
        }
    }

    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func scoresMatchDoublePrecision(table: Table, format: Format) {
        for (width, heads) in [(128, 64), (128, 32), (16, 16), (10, 7), (6, 1)] {
            let context = Context(rank: width, rope: 0, capacity: 299, format: format, table: table)
            var numbers = Numbers(UInt64(heads))
            let (query, weights) = (numbers.floats(2 * heads * width), numbers.floats(2 * heads))
            let found = context.scores(table, query, weights, rows: 2, heads: heads)
            for row in 0..<2 {
                let exact = exact(
                    context, query[row * heads * width..<(row + 1) * heads * width],
                    weights[row * heads..<(row + 1) * heads])
                for (score, expected) in zip(found[row], exact) { #expect(abs(Double(score) - expected) < 2e-4) }
            }
        }
    }

    /// A score has the same bits whatever other rows and entries are in the call, and is the sum that is promised.
    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func scoresDoNotDependOnCompany(table: Table, format: Format) {
        let (width, heads) = (32, 13)
        let context = Context(rank: width, rope: 0, capacity: 530, format: format, table: table)
        var numbers = Numbers(5)
        let (query, weights) = (numbers.floats(16 * heads * width), numbers.floats(16 * heads))
        let together = context.scores(table, query, weights, rows: 16, heads: heads)
        for row in 0..<16 {
            let own = (
                Array(query[row * heads * width..<(row + 1) * heads * width]),
                Array(weights[row * heads..<(row + 1) * heads])
            )
            #expect(context.scores(table, own.0, own.1, heads: heads)[0].bits == together[row].bits)
            for entries in [0..<16, 16..<48, 256..<512, 512..<530] {
                let part = context.scores(table, own.0, own.1, heads: heads, entries: entries)[0]
                #expect(part[entries].bits == together[row][entries].bits)
            }
            for entry in [0, 17, 255, 256, 529] {
                var sum: Float = 0
                for h in 0..<heads {
                    var dot: Float = 0
                    for d in 0..<width {
                        dot = table.multiplyAdd(own.0[h * width + d], context.entries[entry * width + d], dot)
                    }
                    sum = table.multiplyAdd(own.1[h], max(0, dot), sum)
                }
                #expect(sum == together[row][entry])
            }
        }
    }

    @Test(arguments: Table.reachable) func whatIsNoNumberStaysNone(table: Table) {
        let context = Context(rank: 8, rope: 0, capacity: 40, format: .f32, table: table)
            .poisoned(from: 33, table: table)
        let scores = context.scores(table, [Float](repeating: 1, count: 16), [1, 1], heads: 2)[0]
        #expect(scores.enumerated().allSatisfy { $1.isNaN == ($0 >= 33) })
    }

    @Test(arguments: Table.wider, [Format.f32, .bf16]) func tablesAgree(table: Table, format: Format) throws {
        let avx2 = try #require(Table.avx2)
        for (width, heads) in [(128, 64), (32, 5), (10, 1)] {
            let context = Context(rank: width, rope: 0, capacity: 100, format: format, table: table)
            var numbers = Numbers(6)
            let (query, weights) = (numbers.floats(3 * heads * width), numbers.floats(3 * heads))
            let (a, b) = (
                context.scores(table, query, weights, rows: 3, heads: heads),
                context.scores(avx2, query, weights, rows: 3, heads: heads)
            )
            #expect(a.map(\.bits) == b.map(\.bits))
        }
        var numbers = Numbers(7)
        for n in [2, 8, 14, 128, 130] {
            let (x, weight, bias) = (numbers.floats(n), numbers.floats(n), numbers.floats(n))
            func made(_ table: Table) -> [Float] {
                var (y, turned) = (x, x)
                table.kernels.layer_norm(x, weight, bias, &y, Int32(n), 1e-6)
                table.kernels.rotate_halves(&turned, weight, bias, Int32(n))
                return y + turned
            }
            #expect(made(table).bits == made(avx2).bits)
        }
    }

    @Test(arguments: Table.reachable) func layerNormMatchesDoublePrecision(table: Table) {
        var numbers = Numbers(8)
        for n in [1, 2, 7, 8, 9, 16, 31, 128] {
            let (x, weight, bias) = (numbers.floats(n, in: -3...5), numbers.floats(n), numbers.floats(n))
            var y = x
            y.withUnsafeMutableBufferPointer {
                table.kernels.layer_norm($0.baseAddress, weight, bias, $0.baseAddress, Int32(n), 1e-6)
            }
            let mean = x.reduce(0.0) { $0 + Double($1) } / Double(n)
            let variance = x.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(n)
            for i in 0..<n {
                let exact = Double(weight[i]) * (Double(x[i]) - mean) / (variance + 1e-6).squareRoot() + Double(bias[i])
                #expect(abs(Double(y[i]) - exact) < 5e-5, "element \(i) of \(n)")
            }
        }
    }

    @Test(arguments: Table.reachable) func halvesTurnTogether(table: Table) {
        var numbers = Numbers(9)
        for n in [2, 6, 16, 64] {
            let x = numbers.floats(n + 3)
            let angles = (0..<n / 2).map { Float($0) * 0.7 }
            let (cosines, sines) = (angles.map { cosf($0) }, angles.map { sinf($0) })
            var y = x
            table.kernels.rotate_halves(&y, cosines, sines, Int32(n))
            for i in 0..<n / 2 {
                let (a, b, c, s) = (x[i], x[n / 2 + i], cosines[i], sines[i])
                #expect(y[i].bitPattern == (a * c - b * s).bitPattern)
                #expect(y[n / 2 + i].bitPattern == (a * s + b * c).bitPattern)
            }
            #expect(y[n...] == x[n...])
        }
    }

    /// Attention to copies of some entries is attention to a context of these entries.
    @Test(arguments: Table.reachable, [Format.f32, .bf16])
    func copiesAreTheEntriesThemselves(table: Table, format: Format) {
        let context = Context(rank: 20, rope: 6, capacity: 700, format: format, table: table)
        var numbers = Numbers(10)
        let query = numbers.floats(5 * context.width, in: -2...2)
        for count in [1, 15, 16, 17, 64, 255, 256, 300, 700] {
            let positions = (0..<Int32(700)).shuffled(using: &numbers).prefix(count).sorted()
            for pieces in [16, 64, 1024] {
                var copies = context.gathered(table, positions, pieces: pieces)
                var found = [Float](repeating: .nan, count: count * context.width)
                copies.withCache { table.kernels.load_latents($0, 0, Int32(count), &found) }
                let expected = positions.flatMap {
                    context.entries[Int($0) * context.width..<(Int($0) + 1) * context.width]
                }
                #expect(found.bits == expected.bits)
                if count == 700 {
                    #expect(
                        copies.attend(table, query, heads: 5, length: count).bits
                            == context.attend(table, query, heads: 5, length: count).bits)
                }
            }
        }
    }
}

@Suite struct SelectionTests {
    /// The rule by a plain sort: larger first, then lower places; NaN after every number.
    private func sorted(_ scores: [Float], _ count: Int) -> [Int32] {
        let order = scores.indices.sorted { a, b in
            let (x, y) = (scores[a], scores[b])
            if x.isNaN != y.isNaN { return y.isNaN }
            if !x.isNaN && x != y { return x > y }
            return a < b
        }
        return order.prefix(count).map(Int32.init).sorted()
    }

    private func chosen(_ scores: [Float], _ count: Int) -> [Int32] {
        var chosen = [Int32](repeating: -1, count: count + 1)
        var scratch = [Float](repeating: .nan, count: foretoken_selection_scratch(Int32(count)))
        foretoken_select_largest(scores, Int32(scores.count), Int32(count), &chosen, &scratch)
        #expect(chosen[count] == -1, "written behind the end")
        return Array(chosen.dropLast())
    }

    /// Many numbers take another way than few.
    @Test(arguments: [1, 2, 7, 64, 300, 4096, 4097, 20_000])
    func agreesWithASort(n: Int) {
        var numbers = Numbers(UInt64(n))
        let least = Float.leastNonzeroMagnitude
        let odd: [Float] = [-.nan, .infinity, -.infinity, 0, least, -least]
        let makers: [(inout Numbers, Int) -> Float] = [
            { numbers, _ in numbers.float() },
            { numbers, _ in Float(Int.random(in: -3...3, using: &numbers)) },
            { numbers, _ in Bool.random(using: &numbers) ? 0 : -0.0 },
            { numbers, _ in Int.random(in: 0..<3, using: &numbers) == 0 ? .nan : numbers.float() },
            { numbers, _ in odd[Int.random(in: odd.indices, using: &numbers)] },
            { _, i in Float(i) }, { _, i in Float(-i) }, { _, i in Float(i / 64 % 7) },
            { numbers, _ in exp(20 * numbers.float()) }, { _, _ in .nan },
        ]
        for make in makers {
            let scores = (0..<n).map { make(&numbers, $0) }
            for count in Set([1, 8, n / 16, n / 2, n - 1, n]) where (1...n).contains(count) {
                #expect(chosen(scores, count) == sorted(scores, count), "\(count) of \(n)")
            }
        }
    }

    @Test func tiesGoToTheLowerPlace() {
        #expect(chosen([0, -0.0, 0, 1], 2) == [0, 3])
        #expect(chosen([-0.0, 0, 1, 0], 3) == [0, 1, 2])
        #expect(chosen([.nan, -.infinity, .nan, -.infinity], 3) == [0, 1, 3])
        #expect(chosen([5], 1) == [0])
    }
}
