import CForetokenKernels
import Testing

/// Shapes around the panel height (32), the scale block (128) and the rank + rope width (576).
private let rowCounts = [1, 31, 32, 33, 80, 200]
private let columnCounts = [1, 7, 80, 127, 128, 129, 576]

private func firstBlocks(_ format: Format) -> [Int] { format == .fp8 ? [1, 27, 64, 127, 128] : [128] }
private func scaleLanes(_ format: Format) -> [Int] { format == .fp8 ? [1, 32] : [1] }

@Suite struct ProductTests {
    /// Bits, not tolerances: one wrong, missing or reordered term shows.
    @Test(arguments: Table.reachable, Format.allCases)
    func followsTheFormula(table: Table, format: Format) {
        var numbers = Numbers(5)
        for rows in rowCounts {
            for columns in columnCounts {
                for first in firstBlocks(format) {
                    for lanes in scaleLanes(format) {
                        let w = PackedMatrix(
                            rows: rows, columns: columns, format: format, firstBlock: first, scaleLanes: lanes)
                        let x = numbers.floats(columns, in: -3...3)
                        let expected = (0..<rows).map { w.dot($0, x[...], table) }
                        #expect(
                            w.product(table, x, count: 1).bits == expected.bits,
                            "[\(rows), \(columns)] first scale block \(first), \(lanes) scale lanes")
                    }
                }
            }
        }
    }

    /// Decoders may fold powers of two into activations and scales; within the stated range that must not show.
    @Test(arguments: Table.reachable)
    func extremeActivationsFollowTheFormula(table: Table) {
        let w = PackedMatrix(rows: 64, columns: 200, format: .fp8, firstBlock: 40)
        var numbers = Numbers(15)
        for magnitude: Float in [0x1p-36, 0x1p60] {
            let x = numbers.floats(200).map { ($0.magnitude < 0x1p-20 ? 0 : $0) * magnitude }
            #expect(w.product(table, x, count: 1).bits == (0..<64).map { w.dot($0, x[...], table) }.bits)
        }
    }

    @Test(arguments: Table.reachable, Format.allCases)
    func isCloseToDoublePrecision(table: Table, format: Format) {
        let w = PackedMatrix(rows: 80, columns: 576, format: format, firstBlock: 64)
        var numbers = Numbers(6)
        let x = numbers.floats(576)
        let y = w.product(table, x, count: 1)
        for row in 0..<80 {
            var exact = 0.0
            var magnitude = 0.0
            for k in 0..<576 {
                let scale = Double(w.scale(row: row, block: w.block(of: k)))
                let term = Double(w.weights[row * 576 + k]) * scale * Double(x[k])
                exact += term
                magnitude += abs(term)
            }
            #expect(abs(Double(y[row]) - exact) <= 2e-6 * magnitude)
        }
    }

    /// Row i of a call with M rows has the bits of a call of its own, whatever panels, order and index are used.
    @Test(arguments: Table.reachable, Format.allCases)
    func rowsDoNotSeeEachOther(table: Table, format: Format) {
        var numbers = Numbers(7)
        for (rows, columns, first, lanes) in [(200, 576, 64, 1), (33, 129, 1, 32), (80, 80, 128, 1), (1, 7, 128, 1)] {
            let w = PackedMatrix(
                rows: rows, columns: columns, format: format, firstBlock: first,
                scaleLanes: format == .fp8 ? lanes : 1)
            let x = numbers.floats(16 * columns)
            let alone = (0..<16).flatMap { m in
                w.product(table, Array(x[m * columns..<(m + 1) * columns]), count: 1)
            }
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

    @Test(arguments: Table.reachable, Format.allCases)
    func gatedProductIsTwoProductsAndSwiglu(table: Table, format: Format) {
        for upFormat in Format.allCases { expectGatedProduct(table, format, upFormat) }
    }

    private func expectGatedProduct(_ table: Table, _ gateFormat: Format, _ upFormat: Format) {
        var numbers = Numbers(8)
        for (rows, columns, first) in [(80, 576, 128), (33, 129, 64), (1, 7, 128)] {
            let gate = PackedMatrix(rows: rows, columns: columns, format: gateFormat, firstBlock: first, seed: 11)
            let up = PackedMatrix(rows: rows, columns: columns, format: upFormat, firstBlock: first, seed: 12)
            var x = numbers.floats(16 * columns)
            for count in [1, 2, 3, 6, 7, 16] {
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
                #expect(y.bits == expected.bits, "\(count) rows of [\(rows), \(columns)], \(upFormat)")
            }
        }
    }
}

@Suite struct DecodingTests {
    @Test(arguments: Table.reachable, Format.allCases)
    func panelsAndRowsReturnTheSource(table: Table, format: Format) {
        for (rows, columns, first, lanes) in [(80, 576, 27, 32), (200, 129, 1, 1), (33, 7, 128, 1), (1, 128, 128, 1)] {
            let w = PackedMatrix(
                rows: rows, columns: columns, format: format, firstBlock: first,
                scaleLanes: format == .fp8 ? lanes : 1)
            var view = w.view
            let values = (0..<rows * columns).map { i in
                w.weights[i] * w.scale(row: i / columns, block: w.block(of: i % columns))
            }
            for row in 0..<rows {
                var out = [Float](repeating: .nan, count: columns)
                table.kernels.decode_row(&view, Int32(row), &out)
                #expect(out.bits == values[row * columns..<(row + 1) * columns].bits, "row \(row)")
            }

            for range in [0..<columns, columns / 3..<columns, 0..<(columns + 1) / 2] {
                var out = [Float](repeating: .nan, count: range.count * 32 * w.panels)
                table.kernels.decode_panels(
                    &view, 0, Int32(w.panels), Int32(range.lowerBound), Int32(range.count), &out, 32 * w.panels)
                for (i, column) in range.enumerated() {
                    let decoded = out[i * 32 * w.panels..<i * 32 * w.panels + rows]
                    #expect(decoded.bits == (0..<rows).map { values[$0 * columns + column] }.bits, "column \(column)")
                    let padding = out[i * 32 * w.panels + rows..<(i + 1) * 32 * w.panels]
                    #expect(padding.allSatisfy { $0 == 0 })
                }
            }
        }
    }
}
