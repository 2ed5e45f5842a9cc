import CForetokenKernels
import Testing

/// Every kernel of the wider x86 tables has the bits of AVX2's: a model's output must not depend on the machine's
/// registers.
@Suite struct AgreementTests {
    private func expectAgreement(
        _ table: Table, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
        _ run: (Table) -> [Float]
    ) {
        guard let avx2 = Table.avx2 else { return }
        #expect(run(table).bits == run(avx2).bits, comment, sourceLocation: sourceLocation)
    }

    @Test(arguments: Table.wider, Format.allCases)
    func products(table: Table, format: Format) {
        var numbers = Numbers(31)
        for (rows, columns, first, lanes) in [(1, 1, 128, 1), (33, 129, 1, 32), (80, 576, 27, 1), (200, 300, 128, 32)] {
            let lanes = format == .fp8 ? lanes : 1
            let gate = PackedMatrix(rows: rows, columns: columns, format: format, firstBlock: first, scaleLanes: lanes)
            let up = PackedMatrix(
                rows: rows, columns: columns, format: format, firstBlock: first, scaleLanes: lanes, seed: 2)
            let x = numbers.floats(16 * columns)
            let y = numbers.floats(16 * rows)
            for count in 1...16 {
                expectAgreement(table, "\(count) rows of [\(rows), \(columns)]") { table in
                    gate.product(table, x, count: count, into: Array(y[..<(count * rows)]), add: count % 3 == 0)
                }
                expectAgreement(table, "\(count) gated rows of [\(rows), \(columns)]") {
                    $0.gated(gate.view, up.view, x, count: count)
                }
            }
            expectAgreement(table) { $0.decoded(gate.view) }
        }
    }

    @Test(arguments: Table.wider, IntegerFormat.allCases)
    func integerProducts(table: Table, format: IntegerFormat) {
        var numbers = Numbers(32)
        for (rows, columns) in [(1, 1), (33, 129), (80, 576), (40, 2150)] {
            let gate = IntegerMatrix(rows: rows, columns: columns, format: format)
            let up = IntegerMatrix(rows: rows, columns: columns, format: format, seed: 2)
            let x = numbers.floats(16 * columns)
            for count in 1...16 {
                expectAgreement(table, "\(count) rows of [\(rows), \(columns)]") {
                    gate.product($0, x, count: count)
                }
                expectAgreement(table, "\(count) gated rows of [\(rows), \(columns)]") {
                    $0.gated(gate.view, up.view, x, count: count)
                }
            }
            expectAgreement(table) { $0.decoded(gate.view) }
        }
    }

    /// All 256 codes in all 32 lanes, the two of NaN, which loading refuses, included.
    @Test(arguments: Table.wider)
    func codesOfFP8(table: Table) {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 64 + 256 * 32)
        memory.initialize(repeating: 0xFF, count: 64)
        let codes = memory + 64
        let scales = UnsafeMutablePointer<Float>.allocate(capacity: 2)
        defer {
            memory.deallocate()
            scales.deallocate()
        }
        for i in 0..<256 * 32 { codes[i] = UInt8(truncatingIfNeeded: i / 32 + i % 32 * 8) }
        (scales[0], scales[1]) = (0.3, 7)
        let w = foretoken_matrix(
            panels: codes, scales: scales, rows: 32, columns: 256, format: Format.fp8.rawValue, first_scale_block: 128,
            scale_blocks: 2, scale_lanes: 1)
        expectAgreement(table) { $0.decoded(w) }
    }

    /// The coarse lm_head is INT8 on both sides; its sums are the same in every table.
    @Test(arguments: Table.reachable + Table.wider)
    func draftHead(table: Table) {
        var numbers = Numbers(33)
        for (rows, columns) in [(1, 1), (80, 128), (200, 300)] {
            let groups = (columns + 127) / 128
            let scales = numbers.floats(rows)
            for extreme in [false, true] {
                let weights = (0..<rows * groups * 128).map { _ in
                    extreme ? (Bool.random(using: &numbers) ? 127 : -127) : Int8.random(in: -127...127, using: &numbers)
                }
                let x = numbers.floats(columns).map { extreme ? ($0 < 0 ? -1 : 1) : $0 }
                let logits = { (table: Table, together: Int) -> [Float] in
                    table.draftLogits(
                        rows: rows, columns: columns, weights: weights, scales: scales, x: x, together: together)
                }
                guard let generic = Table("generic") else { return }
                for together in [rows, 11, 1] {
                    #expect(logits(table, together).bits == logits(generic, rows).bits)
                }
            }
        }
    }

    @Test(arguments: Table.wider)
    func vectorFunctions(table: Table) {
        var numbers = Numbers(34)
        for n in [1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 511, 1000] {
            let (a, b) = (numbers.floats(n, in: -9...9), numbers.floats(n, in: -9...9))
            let count = Int32(n)
            expectAgreement(table) { table in
                var (norm, gated, sum, scaled, turned, weights) = (b, b, b, b, b, b)
                table.kernels.rms_norm(a, b, &norm, count, 1e-6)
                table.kernels.swiglu(a, b, &gated, count)
                table.kernels.add(a, &sum, count)
                table.kernels.add_scaled(0.3, a, &scaled, count)
                table.kernels.rotate(&turned, a, a, count & ~1)
                var maximum: Float = .nan
                let total = table.kernels.exp_block(&weights, count, 3.7, &maximum)
                return norm + gated + sum + scaled + turned + weights + [total, maximum]
            }
            expectAgreement(table) { table in
                var codes = [Int8](repeating: 1, count: (n + 127) / 128 * 128)
                var scales = [Float](repeating: 0, count: (n + 127) / 128)
                table.kernels.quantise_row(a, count, &codes, &scales)
                let choices =
                    (0..<20).map { table.kernels.sample(a, 3, count, 0.8, UInt64($0)) }
                    + [table.kernels.argmax(b, count)]
                return codes.map(Float.init) + scales
                    + choices.flatMap { [Float($0.index), $0.score, $0.runner_up] }
            }
        }
    }

    @Test(arguments: Table.wider, [Format.f32, .bf16])
    func attention(table: Table, format: Format) {
        for (rank, rope) in [(512, 64), (20, 6), (5, 2)] {
            for length in [1, 17, 255, 257, 600] {
                func context(_ table: Table) -> Context {
                    Context(rank: rank, rope: rope, capacity: length + 2, format: format, table: table)
                }
                expectAgreement(table) { context($0).entries }
                let shared = context(table)
                var numbers = Numbers(35)
                let query = numbers.floats(3 * 7 * shared.width, in: -2...2)
                for (rows, heads) in (1...3).flatMap({ rows in (1...7).map { (rows, $0) } }) {
                    expectAgreement(table) { shared.attend($0, query, rows: rows, heads: heads, length: length) }
                }
            }
        }
    }

    @Test(arguments: Table.wider)
    func softmaxRouter(table: Table) {
        var numbers = Numbers(37)
        for (experts, groups, kept, chosen) in [(160, 8, 3, 6), (64, 1, 1, 6), (7, 7, 3, 2)] {
            for _ in 0..<20 {
                let router = SoftmaxRouter(groups: groups, keptGroups: kept, chosen: chosen)
                let logits = numbers.floats(experts, in: -6...6)
                expectAgreement(table) {
                    let (ids, weights) = router.route($0, logits)
                    return weights + ids.map(Float.init)
                }
            }
        }
    }

    @Test(arguments: Table.wider)
    func router(table: Table) {
        var numbers = Numbers(36)
        for (experts, groups, kept, chosen) in [(256, 8, 4, 8), (16, 4, 2, 3), (7, 1, 1, 2)] {
            for _ in 0..<20 {
                let router = Router(bias: numbers.floats(experts), groups: groups, keptGroups: kept, chosen: chosen)
                let logits = numbers.floats(experts, in: -6...6)
                expectAgreement(table) {
                    let (ids, weights) = router.route($0, logits)
                    return weights + ids.map(Float.init)
                }
            }
        }
    }
}

extension Table {
    /// silu(gate x) ⊙ up x of all panels, [count][rows].
    func gated(
        _ gate: foretoken_matrix, _ up: foretoken_matrix, _ x: [Float], count: Int
    ) -> [Float] {
        var (gate, up, x) = (gate, up, x)
        let (rows, columns) = (Int(gate.rows), Int(gate.columns))
        var y = [Float](repeating: .nan, count: count * rows)
        x.withUnsafeMutableBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                kernels.gated_product(
                    &gate, &up, 0, (gate.rows + 31) / 32,
                    foretoken_rows(base: x.baseAddress, stride: columns, index: nil), Int32(count),
                    foretoken_rows(base: y.baseAddress, stride: rows, index: nil))
            }
        }
        return y
    }

    /// All panels, then all rows.
    func decoded(_ matrix: foretoken_matrix) -> [Float] {
        var matrix = matrix
        let panels = (matrix.rows + 31) / 32
        let columns = Int(matrix.columns)
        var values = [Float](repeating: .nan, count: Int(panels) * 32 * columns)
        kernels.decode_panels(&matrix, 0, panels, 0, matrix.columns, &values, Int(panels) * 32)
        var row = [Float](repeating: .nan, count: columns)
        for i in 0..<matrix.rows {
            kernels.decode_row(&matrix, i, &row)
            values += row
        }
        return values
    }

    /// - Parameters:
    ///   - weights: [rows][columns padded to 128]
    ///   - scales: [rows]
    ///   - together: rows of a call.
    func draftLogits(
        rows: Int, columns: Int, weights: [Int8], scales: [Float], x: [Float], together: Int
    ) -> [Float] {
        let groups = (columns + 127) / 128
        var codes = [Int8](repeating: 0, count: groups * 128)
        var steps = [Float](repeating: 0, count: groups)
        kernels.quantise_row(x, Int32(columns), &codes, &steps)
        var y = [Float](repeating: .nan, count: rows)
        weights.withUnsafeBufferPointer { weights in
            scales.withUnsafeBufferPointer { scales in
                var lmHead = foretoken_coarse_lm_head(
                    codes: weights.baseAddress, scales: scales.baseAddress, rows: Int32(rows),
                    columns: Int32(columns))
                for first in stride(from: 0, to: rows, by: together) {
                    kernels.draft_logits(&lmHead, Int32(first), Int32(min(together, rows - first)), codes, steps, &y)
                }
            }
        }
        return y
    }
}
