import CForetokenKernels
import Testing

/// Products of stored INT4 codes with FP32 activations.
@Suite struct CodeProductTests {
    /// Shapes around the panel height, the block and the column group.
    private static let shapes = [(1, 32), (31, 96), (33, 160), (80, 576), (200, 2144)]

    @Test func bytesBecomeTheCodesThatTheyStandFor() throws {
        // One row: the word 0x76543210 is the codes -8...-1, 0xFEDCBA98 the codes 0...7.
        let words: [UInt32] = [0x7654_3210, 0xFEDC_BA98, 0x8888_8888, 0x0F0F_0F0F]
        let scales: [UInt16] = [0xC000]  // -2
        let size = foretoken_panel_size(Int32(FORETOKEN_EXACT_INT4.rawValue), 32)
        #expect(size == 32 * (2 + 16))
        let panel = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        defer { panel.deallocate() }
        foretoken_pack_int4_panel(words, 16, scales, 1, 32, 1, 32, panel)
        // Byte j holds the columns j and j + 4 of eight.
        let bytes = UnsafeRawBufferPointer(start: panel, count: size)
        #expect(Array(bytes[64..<68]) == [0x40, 0x51, 0x62, 0x73] && Array(bytes[..<2]) == [0x00, 0xC0])
        #expect(bytes[2..<64].allSatisfy { $0 == 0 } && bytes[68..<192].allSatisfy { $0 == 0x88 })
        var view = foretoken_matrix()
        (view.panels, view.rows, view.columns) = (UnsafeRawPointer(panel), 1, 32)
        view.format = Int32(FORETOKEN_EXACT_INT4.rawValue)
        for table in Table.reachable + Table.wider {
            var row = [Float](repeating: .nan, count: 32)
            table.kernels.decode_row(&view, 0, &row)
            #expect(row[..<8].elementsEqual((-8..<0).map { Float($0) * -2 }))
            #expect(row[8..<16].elementsEqual((0..<8).map { Float($0) * -2 }))
            #expect(row[16..<24].allSatisfy { $0 == 0 })
            #expect(row[24...].elementsEqual([7, -8, 7, -8, 7, -8, 7, -8].map { $0 * -2 }))
        }
    }

    @Test(arguments: [32, 64, 128]) func unpackingIsTheReverse(group: Int) {
        for (rows, columns) in [(1, 128), (33, 256), (64, 640)] {
            let w = CodeMatrix(rows: rows, columns: columns, group: group)
            let size = foretoken_panel_size(w.view.format, Int32(columns))
            var codes = [UInt8](repeating: 0, count: w.fileCodes.count)
            var scales = [UInt16](repeating: 0, count: rows * columns / 32)
            for panel in 0..<w.panels {
                let first = panel * 32
                codes.withUnsafeMutableBytes { codes in
                    scales.withUnsafeMutableBufferPointer { scales in
                        foretoken_unpack_int4_panel(
                            w.view.panels + panel * size, Int32(min(32, rows - first)), Int32(columns),
                            codes.baseAddress! + first * columns / 2, columns / 2,
                            scales.baseAddress! + first * columns / 32, columns / 32)
                    }
                }
            }
            #expect(codes == w.fileCodes)
            // A scale of more columns is repeated.
            #expect(scales == scales.indices.map { w.fileScales[$0 * 32 / group] })
        }
    }

    @Test(arguments: Table.reachable + Table.wider)
    func decodingGivesCodeTimesScale(table: Table) {
        for (rows, columns) in Self.shapes {
            let w = CodeMatrix(rows: rows, columns: columns)
            #expect(table.decoded(w.view).bits == table.decoded(w.wide).bits)
            var view = w.view
            let first = columns / 3
            var out = [Float](repeating: .nan, count: (columns - first) * 32)
            table.kernels.decode_panels(&view, 0, 1, Int32(first), Int32(columns - first), &out, 32)
            for lane in 0..<min(32, rows) {
                #expect((first..<columns).allSatisfy { out[($0 - first) * 32 + lane] == w.value(lane, $0) })
            }
        }
    }

    /// The formula is that of an F32 matrix of the same values, bit for bit, for every number of rows.
    @Test(arguments: Table.reachable + Table.wider)
    func productsHaveTheBitsOfTheValues(table: Table) {
        var numbers = Numbers(41)
        for (rows, columns) in Self.shapes {
            let w = CodeMatrix(rows: rows, columns: columns)
            let x = numbers.floats(16 * columns, in: -3...3)
            for count in 1...16 {
                let expected = table.product(w.wide, x, count: count)
                let found = table.product(w.view, x, count: count)
                #expect(found.bits == expected.bits, "\(count) of [\(rows), \(columns)]")
                var split = [Float](repeating: .nan, count: count * rows)
                for panel in (0..<w.panels).reversed() {
                    split = table.product(w.view, x, count: count, panels: panel..<panel + 1, into: split)
                }
                #expect(split.bits == expected.bits, "\(count) rows, panel by panel")
                let before = numbers.floats(count * rows)
                let sum = zip(before, expected).map { $0 + $1 }
                #expect(table.product(w.view, x, count: count, into: before, add: true).bits == sum.bits)
            }
        }
    }

    @Test(arguments: Table.reachable + Table.wider)
    func rowsDoNotSeeEachOther(table: Table) {
        var numbers = Numbers(42)
        for (rows, columns) in Self.shapes {
            let w = CodeMatrix(rows: rows, columns: columns)
            let x = numbers.floats(16 * columns)
            let alone = (0..<16).flatMap {
                table.product(w.view, Array(x[$0 * columns..<($0 + 1) * columns]), count: 1)
            }
            for count in 1...16 {
                #expect(table.product(w.view, x, count: count).bits == alone[..<(count * rows)].bits, "\(count) rows")
            }
        }
    }

    /// With a partner of the same format, and with one of another.
    @Test(arguments: Table.reachable + Table.wider)
    func gatedProducts(table: Table) {
        var numbers = Numbers(43)
        for (rows, columns) in Self.shapes {
            let gate = CodeMatrix(rows: rows, columns: columns)
            let up = CodeMatrix(rows: rows, columns: columns, seed: 2)
            let other = PackedMatrix(rows: rows, columns: columns, format: .bf16, seed: 3)
            let x = numbers.floats(16 * columns)
            for count in [1, 2, 3, 5, 8, 16] {
                let expected = table.gated(gate.wide, up.wide, x, count: count)
                #expect(table.gated(gate.view, up.view, x, count: count).bits == expected.bits)
                let mixed = table.gated(gate.wide, other.view, x, count: count)
                #expect(table.gated(gate.view, other.view, x, count: count).bits == mixed.bits)
                let turned = table.gated(other.view, gate.wide, x, count: count)
                #expect(table.gated(other.view, gate.view, x, count: count).bits == turned.bits)
            }
        }
    }

    @Test(arguments: Table.wider)
    func widerTablesAgree(table: Table) throws {
        let avx2 = try #require(Table.avx2)
        var numbers = Numbers(44)
        for (rows, columns) in Self.shapes {
            let w = CodeMatrix(rows: rows, columns: columns)
            // Zeros of both signs and tiny numbers: signs of zero would show.
            let x = numbers.floats(16 * columns).map { $0 < -0.5 ? -0.0 : $0 > 0.5 ? $0 * 0x1p-136 : $0 }
            for count in 1...16 {
                #expect(table.product(w.view, x, count: count).bits == avx2.product(w.view, x, count: count).bits)
            }
            #expect(table.decoded(w.view).bits == avx2.decoded(w.view).bits)
        }
    }
}
