import CForetokenKernels
import Testing

/// One kernel table of this build that this machine can execute; every test runs once for each.
struct Table: CustomTestStringConvertible, Sendable {
    let name: String

    static let reachable: [Table] = {
        var tables: [Table] = []
        var names = foretoken_kernels_names()!
        while let name = names.pointee {
            if foretoken_kernels_named(name) != nil { tables.append(Table(name: String(cString: name))) }
            names += 1
        }
        return tables
    }()

    var kernels: foretoken_kernels { foretoken_kernels_named(name).pointee }

    /// The generic table rounds a product before it adds it; all others fuse.
    var fuses: Bool { name != "generic" }

    /// a * b + c with this table's rounding.
    func multiplyAdd(_ a: Float, _ b: Float, _ c: Float) -> Float {
        fuses ? c.addingProduct(a, b) : c + a * b
    }

    var testDescription: String { name }
}

/// SplitMix64; the same numbers in every run.
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

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
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
