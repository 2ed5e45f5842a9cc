import CForetokenKernels
import Testing

@Suite struct FormatTests {
    /// e4m3fn by its definition: 4 exponent bits (bias 7), 3 mantissa bits, no infinities.
    private func e4m3(_ code: UInt8) -> Float {
        let exponent = Int(code >> 3 & 15)
        let mantissa = Float(code & 7)
        if code & 0x7F == 0x7F { return .nan }
        let magnitude =
            exponent == 0
            ? mantissa / 512 : (1 + mantissa / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
        return code >= 128 ? -magnitude : magnitude
    }

    @Test func allFP8CodesHaveTheirValue() {
        for code in UInt8.min...UInt8.max {
            let value = foretoken_fp8_value(code)
            guard !value.isNaN else {
                #expect(code & 0x7F == 0x7F)
                continue
            }
            #expect(value.bitPattern == e4m3(code).bitPattern, "code \(code)")
            #expect(foretoken_fp8_encode(value) == code)
        }
    }

    /// One column of 32 rows at a time, so that every code passes every lane's decoder.
    @Test(arguments: Table.reachable)
    func productsDecodeAllFP8Codes(table: Table) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64 + 32, alignment: 64)
        let panel = memory + 64
        let floats = UnsafeMutablePointer<Float>.allocate(capacity: 34)  // x, scale, y[32]
        defer {
            memory.deallocate()
            floats.deallocate()
        }
        floats.initialize(repeating: .nan, count: 34)
        (floats[0], floats[1]) = (3, 0.25)
        var w = foretoken_matrix(
            panels: panel, scales: floats + 1, rows: 32, columns: 1, format: Format.fp8.rawValue, first_scale_block: 1,
            scale_blocks: 1, scale_lanes: 1)
        let x = foretoken_rows(base: floats, stride: 1, index: nil)
        let y = foretoken_rows(base: floats + 2, stride: 32, index: nil)
        for code in UInt8.min...UInt8.max where code & 0x7F != 0x7F {
            for lane in 0..<32 {
                for i in 0..<32 { panel.storeBytes(of: i == lane ? code : 0x38, toByteOffset: i, as: UInt8.self) }
                table.kernels.product(&w, 0, 1, x, 1, y, false)
                let expected = (0..<32).map { $0 == lane ? e4m3(code) * 0.75 : 0.75 }
                #expect((2..<34).map { floats[$0] } == expected, "code \(code) in lane \(lane)")
            }
        }
    }

    @Test func fp8EncodingRoundsToNearestEvenAndSaturates() {
        let codes = (UInt8(0)...0x7E).map { ($0, foretoken_fp8_value($0)) }
        for (lower, upper) in zip(codes, codes.dropFirst()) {
            let middle = (lower.1 + upper.1) / 2
            #expect(foretoken_fp8_encode(middle) == (lower.0 % 2 == 0 ? lower.0 : upper.0))
            #expect(foretoken_fp8_encode(middle.nextDown) == lower.0)
            #expect(foretoken_fp8_encode(middle.nextUp) == upper.0)
            #expect(foretoken_fp8_encode(-middle.nextUp) == upper.0 | 0x80)
        }
        #expect(foretoken_fp8_encode(1e30) == 0x7E)
        #expect(foretoken_fp8_encode(-.infinity) == 0xFE)
        #expect(foretoken_fp8_encode(.nan) & 0x7F == 0x7F)
    }

    @Test func nanScanFindsEveryPlace() {
        var codes = [UInt8](repeating: 0x7E, count: 9000)
        #expect(!foretoken_fp8_has_nan(codes, codes.count))
        for place in [0, 1, 31, 4095, 4096, 8999] {
            for nan: UInt8 in [0x7F, 0xFF] {
                codes[place] = nan
                #expect(foretoken_fp8_has_nan(codes, codes.count))
                #expect(!foretoken_fp8_has_nan(codes, place))
                codes[place] = 0x7E
            }
        }
    }

    @Test func bf16RoundsToNearestEven() {
        #expect(foretoken_bf16_encode(1) == 0x3F80)
        #expect(foretoken_bf16_encode(Float(bitPattern: 0x3F80_8000)) == 0x3F80)
        #expect(foretoken_bf16_encode(Float(bitPattern: 0x3F81_8000)) == 0x3F82)
        #expect(foretoken_bf16_encode(Float(bitPattern: 0x3F80_8001)) == 0x3F81)
        #expect(foretoken_bf16_encode(.greatestFiniteMagnitude) == 0x7F80)
        #expect(foretoken_bf16_encode(Float(bitPattern: 0x7F80_0001)) == 0x7FC0)
    }

    @Test(arguments: [1, 2, 4])
    func packingInterleavesRowsAndFillsWithZeros(bytes: Int) {
        let (columns, stride) = (131, 140)
        for rows in [1, 7, 31, 32] {
            let source = (0..<rows * stride * bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 | 1) }
            var panel = [UInt8](repeating: 0xAA, count: columns * 32 * bytes + 16)
            foretoken_pack_panel(source, stride, Int32(rows), Int32(columns), Int32(bytes), &panel)
            for column in 0..<columns {
                for row in 0..<32 {
                    let packed = panel[(column * 32 + row) * bytes..<(column * 32 + row + 1) * bytes]
                    let from = (row * stride + column) * bytes
                    let expected = row < rows ? source[from..<from + bytes] : [UInt8](repeating: 0, count: bytes)[...]
                    #expect(packed.elementsEqual(expected))
                }
            }
            #expect(panel.suffix(16).allSatisfy { $0 == 0xAA })
        }
    }
}
