import CForetokenEmulatedKernels
import CForetokenKernels
import Testing

/// One kernel table of this build that this machine can execute; every test runs once for each.
struct Table: CustomTestStringConvertible, Sendable {
    let name: String
    private let named: @Sendable () -> UnsafePointer<foretoken_kernels>?

    init?(_ name: String, _ named: @escaping @Sendable () -> UnsafePointer<foretoken_kernels>?) {
        guard named() != nil else { return nil }
        self.name = name
        self.named = named
    }

    init?(_ name: String) {
        self.init(name) { foretoken_kernels_named(name) }
    }

    static let reachable: [Table] = {
        var tables: [Table] = []
        var names = foretoken_kernels_names()!
        while let name = names.pointee {
            if let table = Table(String(cString: name)) { tables.append(table) }
            names += 1
        }
        return tables
    }()

    static let avx2 = Table("avx2")

    /// Tables that must have the bits of AVX2's, where this machine has that; the emulated one runs everywhere there.
    static let wider: [Table] =
        avx2 == nil
        ? [] : [Table("avx512"), Table("avx512 emulated") { foretoken_emulated_avx512() }].compactMap { $0 }

    var kernels: foretoken_kernels { named()!.pointee }

    /// The generic table rounds a product before it adds it; all others fuse.
    var fuses: Bool { name != "generic" }

    /// a * b + c with this table's rounding.
    func multiplyAdd(_ a: Float, _ b: Float, _ c: Float) -> Float {
        fuses ? c.addingProduct(a, b) : c + a * b
    }

    var testDescription: String { name }
}

/// SplitMix64; the same numbers in every run, whatever the standard library makes of random bits.
struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func float(in range: ClosedRange<Float> = -1...1) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * (Float(next() >> 40) * 0x1p-24)
    }

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in float(in: range) }
    }
}

extension Sequence where Element == Float {
    /// For comparisons that mean the same bits: 0 and -0 differ, NaN equals itself.
    var bits: [UInt32] { map(\.bitPattern) }
}

@Suite struct DispatchTests {
    @Test func unknownNamesHaveNoTable() {
        #expect(foretoken_kernels_named("avx9000") == nil)
        #expect(foretoken_kernels_named("") == nil)
    }

    @Test func everyMachineHasATable() throws {
        let names = Table.reachable.map(\.name)
        #expect(names.last == "generic")
        let best = try #require(foretoken_kernels_best())
        #expect(String(cString: best.pointee.name) == names.first)
        for table in Table.reachable { #expect(String(cString: table.kernels.name) == table.name) }
    }
}
