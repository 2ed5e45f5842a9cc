import CForetokenKernels
import Testing

/// What kernels compute has the same bits however they were compiled: with and without optimisation, by this compiler and
/// the next. Expected values are checksums of the results, one for the generic table and one for all that fuse.
@Suite struct FixedBitsTests {
    private struct Expected {
        let generic: UInt64
        let fused: UInt64

        init(_ generic: UInt64, _ fused: UInt64) { (self.generic, self.fused) = (generic, fused) }

        subscript(table: Table) -> UInt64 { table.fuses ? fused : generic }
    }

    private static let tables = Table.reachable + Table.wider.filter { $0.name == "avx512 emulated" }

    private static let products: [Format: Expected] = [
        .f32: Expected(0x10B4_5DFF_B219_DD8E, 0x9422_88D3_D9B6_6C5E),
        .bf16: Expected(0x9357_9877_C6E1_728C, 0x9AA1_F8C4_3612_4044),
        .f16: Expected(0xD863_C678_969D_3016, 0xC66F_6FD4_B2B9_2A91),
        .fp8: Expected(0x56CD_7C1E_C9B5_79BD, 0xC6F2_A1E7_8A90_3BCF),
    ]

    @Test(arguments: tables, Format.allCases)
    func products(table: Table, format: Format) throws {
        var numbers = Numbers(41)
        let gate = PackedMatrix(rows: 80, columns: 300, format: format, firstBlock: 27)
        let up = PackedMatrix(rows: 80, columns: 300, format: format, firstBlock: 27, seed: 2)
        let x = numbers.floats(16 * 300)
        var sum = Checksum()
        for count in 1...16 {
            sum.add(gate.product(table, x, count: count))
            sum.add(table.gated(gate.view, up.view, x, count: count))
        }
        sum.add(table.decoded(gate.view))
        #expect(sum.value == Self.products[format]?[table])
    }

    private static let integerProducts: [IntegerFormat: Expected] = [
        .int8: Expected(0xB631_8E33_883A_7E6C, 0x6500_61C5_31AE_7A59),
        .int4: Expected(0x2170_009D_9264_5DCC, 0xE25C_26A4_D656_C732),
    ]

    @Test(arguments: tables, IntegerFormat.allCases)
    func integerProducts(table: Table, format: IntegerFormat) {
        var numbers = Numbers(42)
        let gate = IntegerMatrix(rows: 80, columns: 300, format: format)
        let up = IntegerMatrix(rows: 80, columns: 300, format: format, seed: 2)
        let x = numbers.floats(16 * 300)
        var sum = Checksum()
        for count in 1...16 {
            sum.add(gate.product(table, x, count: count))
            sum.add(table.gated(gate.view, up.view, x, count: count))
        }
        sum.add(table.decoded(gate.view))
        #expect(sum.value == Self.integerProducts[format]?[table])
    }

    @Test(arguments: tables)
    func vectorFunctions(table: Table) {
        var numbers = Numbers(43)
        var sum = Checksum()
        for n in [7, 8, 33, 500] {
            let (a, b) = (numbers.floats(n, in: -9...9), numbers.floats(n, in: -9...9))
            var (norm, gated, added, scaled, turned, weights) = (b, b, b, b, b, b)
            table.kernels.rms_norm(a, b, &norm, Int32(n), 1e-6)
            table.kernels.swiglu(a, b, &gated, Int32(n))
            table.kernels.add(a, &added, Int32(n))
            table.kernels.add_scaled(0.3, a, &scaled, Int32(n))
            table.kernels.rotate(&turned, a, b, Int32(n & ~1))
            var maximum: Float = .nan
            let total = table.kernels.exp_block(&weights, Int32(n), 3.7, &maximum)
            sum.add(norm + gated + added + scaled + turned + weights + [total, maximum])
        }
        #expect(sum.value == Expected(0xE308_FB1B_85E7_CFE4, 0x80F9_B24A_EB3A_925E)[table])
    }

    @Test(arguments: tables)
    func attention(table: Table) {
        var sum = Checksum()
        for format in [Format.f32, .bf16] {
            let context = Context(rank: 20, rope: 6, capacity: 602, format: format, table: table)
            var numbers = Numbers(44)
            let query = numbers.floats(3 * 7 * context.width, in: -2...2)
            sum.add(context.entries)
            for length in [1, 17, 257, 600] {
                sum.add(context.attend(table, query, rows: 3, heads: 7, length: length))
            }
        }
        #expect(sum.value == Expected(0x5386_FBB6_2021_1214, 0x1035_D43E_9705_1694)[table])
    }

    /// The router, and choices among noisy scores.
    @Test(arguments: tables)
    func choices(table: Table) {
        var numbers = Numbers(45)
        var sum = Checksum()
        for _ in 0..<20 {
            let router = Router(bias: numbers.floats(256), groups: 8, keptGroups: 4, chosen: 8)
            let (ids, weights) = router.route(table, numbers.floats(256, in: -6...6))
            sum.add(ids.map(Float.init) + weights)
        }
        let logits = numbers.floats(1000, in: -9...9)
        for key in 0..<50 as Range<UInt64> {
            let choice = table.kernels.sample(logits, 3, 1000, 0.8, foretoken_noise_key(key, 7))
            sum.add([Float(choice.index), choice.score, choice.runner_up])
        }
        #expect(sum.value == Expected(0xDBC1_CAE2_4DE4_CC2E, 0xDBC1_CAE2_4DE4_CC2E)[table])
    }

    @Test(arguments: tables)
    func draftHead(table: Table) {
        var numbers = Numbers(46)
        let weights = (0..<80 * 3 * 128).map { _ in Int8(clamping: Int(numbers.next() >> 56) - 127) }
        let scales = numbers.floats(80)
        var sum = Checksum()
        sum.add(
            table.draftLogits(
                rows: 80, columns: 300, weights: weights, scales: scales, x: numbers.floats(300), together: 80))
        #expect(sum.value == Expected(0xE2D8_BF1F_2BE1_EDE9, 0xE2D8_BF1F_2BE1_EDE9)[table])
    }

    /// What packs weights and makes noise, the same for all tables.
    @Test func packingAndNoise() {
        var numbers = Numbers(47)
        var sum = Checksum()
        let values = numbers.floats(160 * 32)
        for format in [FORETOKEN_BF16, FORETOKEN_FP8, FORETOKEN_INT8, FORETOKEN_INT4] {
            var panel = [UInt8](repeating: 0, count: foretoken_panel_size(Int32(format.rawValue), 160))
            var scales = [Float](repeating: 0, count: 2 * 32)
            foretoken_quantise_panel(Int32(format.rawValue), values, 160, &panel, &scales)
            sum.add(panel.map(Float.init) + scales)
        }
        sum.add(values.flatMap { [Float(foretoken_fp8_encode($0 * 300)), Float(foretoken_bf16_encode($0))] })
        sum.add((0..<256).map { $0 & 0x7F == 0x7F ? 0 : foretoken_fp8_value(UInt8($0)) })
        sum.add((0..<1000).map { foretoken_gumbel(foretoken_noise_key(5, 6), $0) })
        #expect(sum.value == 0x6ACB_CCAD_FBBD_D17B)
    }
}

/// FNV-1a over the bits of numbers, a word at a time.
private struct Checksum {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ numbers: [Float]) {
        for bits in numbers.bits { value = (value ^ UInt64(bits)) &* 0x100_0000_01B3 }
    }
}
