import CForetokenKernels
import Testing

/// Shapes around the panel height (32), the blocks (32 and 64), the activation group (128) and the segment (2048).
private let rowCounts = [1, 31, 33, 80]
private let columnCounts = [1, 7, 31, 33, 65, 127, 128, 129, 576, 2048, 2150]

@Suite struct IntegerProductTests {
    /// Bits, and the same ones in every table.
    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func followsTheFormula(table: Table, format: IntegerFormat) {
        var numbers = Numbers(5)
        for rows in rowCounts {
            for columns in columnCounts {
                let w = IntegerMatrix(rows: rows, columns: columns, format: format)
                let x = numbers.floats(columns, in: -3...3)
                let expected = (0..<rows).map { w.dot($0, x[...]) }
                #expect(w.product(table, x, count: 1).bits == expected.bits, "[\(rows), \(columns)]")
            }
        }
    }

    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func rowsDoNotSeeEachOther(table: Table, format: IntegerFormat) {
        var numbers = Numbers(7)
        for (rows, columns) in [(200, 576), (33, 129), (80, 80), (1, 7), (40, 2100), (1100, 64)] {
            let w = IntegerMatrix(rows: rows, columns: columns, format: format)
            let x = numbers.floats(16 * columns)
            let alone = (0..<16).flatMap { w.product(table, Array(x[$0 * columns..<($0 + 1) * columns]), count: 1) }
            for count in 1...16 {
                let expected = Array(alone[..<(count * rows)])
                #expect(w.product(table, x, count: count).bits == expected.bits, "\(count) rows")

                var split = [Float](repeating: .nan, count: count * rows)
                for panel in (0..<w.panels).reversed() {
                    split = w.product(table, x, count: count, panels: panel..<panel + 1, into: split)
                }
                #expect(split.bits == expected.bits, "\(count) rows, panel by panel")

                let order = (0..<count).map { Int32(($0 * 7 + 3) % 16) }
                let gathered = order.flatMap { alone[Int($0) * rows..<(Int($0) + 1) * rows] }
                #expect(w.product(table, x, count: count, index: order).bits == gathered.bits, "\(count) gathered rows")

                let before = numbers.floats(count * rows)
                let sum = zip(before, expected).map { $0 + $1 }
                #expect(w.product(table, x, count: count, into: before, add: true).bits == sum.bits)
            }
        }
    }

    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func gatedProductIsTwoProductsAndSwiglu(table: Table, format: IntegerFormat) {
        var numbers = Numbers(8)
        for (rows, columns) in [(80, 576), (33, 129), (1, 7), (600, 2100)] {
            let gate = IntegerMatrix(rows: rows, columns: columns, format: format, seed: 11)
            let up = IntegerMatrix(rows: rows, columns: columns, format: format, seed: 12)
            var x = numbers.floats(16 * columns)
            for count in [1, 2, 3, 5, 8, 16] {
                let g = gate.product(table, x, count: count)
                let u = up.product(table, x, count: count)
                var expected = [Float](repeating: 0, count: count * rows)
                table.kernels.swiglu(g, u, &expected, Int32(count * rows))

                var y = [Float](repeating: .nan, count: count * rows)
                var (gateView, upView) = (gate.view, up.view)
                x.withUnsafeMutableBufferPointer { x in
                    y.withUnsafeMutableBufferPointer { y in
                        table.kernels.gated_product(
                            &gateView, &upView, 0, Int32(gate.panels),
                            foretoken_rows(base: x.baseAddress, stride: columns, index: nil), Int32(count),
                            foretoken_rows(base: y.baseAddress, stride: rows, index: nil))
                    }
                }
                #expect(y.bits == expected.bits, "\(count) rows of [\(rows), \(columns)]")
            }
        }
    }

    /// Every code at its end, with every combination of signs: saturating 16-bit sums would show.
    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func largestCodesDoNotSaturate(table: Table, format: IntegerFormat) {
        let columns = 256
        // Values whose scale is exact in BF16; a lone -8 beside +7 makes INT4 use both of its ends.
        let (low, high): (Float, Float) = format == .int8 ? (-127, 127) : (-8, 7)
        for weight in [low, high] {
            let values = (0..<32 * columns).map { i in
                i / columns % 3 == 0 ? weight : i / columns % 3 == 1 && i % 32 > 0 ? high : low
            }
            let w = IntegerMatrix(rows: 32, columns: columns, format: format, values: values)
            #expect(w.codes.contains(format == .int8 ? 127 : 7) && w.codes.contains(format == .int8 ? -127 : -8))
            for input: Float in [1, -1, 1e30, 1e-20] {
                let x = (0..<4 * columns).map { $0 < 2 * columns || $0 % 2 == 0 ? input : -input }
                let expected = (0..<4).flatMap { row in
                    (0..<32).map { w.dot($0, x[row * columns..<(row + 1) * columns]) }
                }
                #expect(w.product(table, x, count: 4).bits == expected.bits)
            }
        }
    }

    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func badActivationsSpoilTheirOwnRowAlone(table: Table, format: IntegerFormat) {
        let w = IntegerMatrix(rows: 40, columns: 300, format: format)
        var numbers = Numbers(3)
        let x = numbers.floats(3 * 300)
        for bad: Float in [.nan, .infinity, -.infinity] {
            var spoiled = x
            spoiled[300 + 299] = bad
            let y = w.product(table, spoiled, count: 3)
            #expect(y[40..<80].allSatisfy { $0.isNaN })
            let good = w.product(table, x, count: 3)
            #expect(y[..<40].bits == good[..<40].bits && y[80...].bits == good[80...].bits)
        }
    }

    @Test(arguments: Table.reachable, IntegerFormat.allCases)
    func decodingGivesCodeTimesScale(table: Table, format: IntegerFormat) {
        for (rows, columns) in [(80, 576), (33, 7), (1, 129)] {
            let w = IntegerMatrix(rows: rows, columns: columns, format: format)
            var view = w.view
            for row in 0..<rows {
                var out = [Float](repeating: .nan, count: columns)
                table.kernels.decode_row(&view, Int32(row), &out)
                #expect(out.bits == (0..<columns).map { w.value(row, $0) }.bits)
            }
            for range in [0..<columns, columns / 3..<columns, 0..<(columns + 1) / 2] {
                let width = 32 * w.panels
                var out = [Float](repeating: .nan, count: range.count * width)
                table.kernels.decode_panels(
                    &view, 0, Int32(w.panels), Int32(range.lowerBound), Int32(range.count), &out, width)
                for (i, column) in range.enumerated() {
                    #expect(out[i * width..<i * width + rows].bits == (0..<rows).map { w.value($0, column) }.bits)
                    #expect(out[i * width + rows..<(i + 1) * width].allSatisfy { $0 == 0 })
                }
            }
        }
    }
}

@Suite struct QuantisationTests {
    @Test func int8IsWithinHalfAStep() {
        var numbers = Numbers(21)
        for magnitude: Float in [1e-25, 1, 1e20] {
            let values = numbers.floats(33 * 200).map { $0 * magnitude }
            let w = IntegerMatrix(rows: 33, columns: 200, format: .int8, values: values)
            for (i, value) in values.enumerated() {
                let (row, column) = (i / 200, i % 200)
                #expect(abs(w.value(row, column) - value) <= w.scales[row][column / 64] * 0.5001)
            }
        }
    }

    /// The search never loses to plain rounding with amax / 7.
    @Test func int4SearchBeatsPlainRounding() {
        var numbers = Numbers(22)
        let values = numbers.floats(64 * 96)
        let w = IntegerMatrix(rows: 64, columns: 96, format: .int4, values: values)
        var searched: Float = 0
        var plain: Float = 0
        for row in 0..<64 {
            for start in stride(from: 0, to: 96, by: 32) {
                let block = values[row * 96 + start..<row * 96 + start + 32]
                let step = block.reduce(0) { max($0, $1.magnitude) } / 7
                for (i, value) in block.enumerated() {
                    searched += (w.value(row, start + i) - value) * (w.value(row, start + i) - value)
                    let error = (value / step).rounded(.toNearestOrEven) * step - value
                    plain += error * error
                }
            }
        }
        #expect(searched < 0.85 * plain)
    }

    @Test(arguments: IntegerFormat.allCases)
    func zerosAndTinyRowsBecomeZero(format: IntegerFormat) {
        let values = (0..<64 * 64).map { $0 < 32 * 64 ? Float(0) : 1e-38 }
        let w = IntegerMatrix(rows: 64, columns: 64, format: format, values: values)
        #expect((0..<64 * 64).allSatisfy { w.value($0 / 64, $0 % 64) == 0 })
    }

    @Test func otherFormatsRoundToNearest() {
        var numbers = Numbers(23)
        let columns = 200
        let values = numbers.floats(32 * columns)
        var wide = [UInt16](repeating: 0, count: 32 * columns)
        foretoken_quantise_panel(Int32(FORETOKEN_BF16.rawValue), values, Int32(columns), &wide, nil)
        #expect(wide == values.map { foretoken_bf16_encode($0) })

        var codes = [UInt8](repeating: 0, count: 32 * columns)
        var scales = [Float](repeating: 0, count: 2 * 32)
        foretoken_quantise_panel(Int32(FORETOKEN_FP8.rawValue), values, Int32(columns), &codes, &scales)
        for (i, value) in values.enumerated() {
            let decoded = foretoken_fp8_value(codes[i]) * scales[i / 32 / 128 * 32 + i % 32]
            // Three mantissa bits; below the smallest normal, a fixed step.
            #expect(abs(decoded - value) <= max(abs(value) / 15.9, scales[i / 32 / 128 * 32 + i % 32] * 0x1p-9))
        }
    }

    @Test(arguments: Table.reachable)
    func quantisedRowsFollowTheReference(table: Table) {
        var numbers = Numbers(24)
        for columns in [1, 9, 128, 200] {
            let x = numbers.floats(columns, in: -5...5)
            let groups = (columns + 127) / 128
            var codes = [Int8](repeating: 1, count: groups * 128)
            var scales = [Float](repeating: 0, count: groups)
            table.kernels.quantise_row(x, Int32(columns), &codes, &scales)
            let expected = QuantisedRow(x, top: 127)
            #expect(codes[..<columns].map(Int.init) == expected.codes)
            #expect(codes[columns...].allSatisfy { $0 == 0 })
            #expect(scales.bits == expected.scales.bits)
        }
    }
}
