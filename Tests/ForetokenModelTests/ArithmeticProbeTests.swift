import ForetokenModel
import Testing

/// What tells hosts apart that compute other bits.
@Suite struct ArithmeticProbeTests {
    @Test(arguments: InstructionSet.available)
    func theSameMachineComputesTheSameBits(name: String) throws {
        let first = try ArithmeticProbe(instructionSet: name)
        #expect(first == (try ArithmeticProbe(instructionSet: name)))
        #expect(first.fields.first?.value == name)
        #expect(Set(first.fields.map(\.name)).count == first.fields.count)
        #expect(first.fields.allSatisfy { !$0.value.isEmpty && $0.value != "unknown" })
    }

    @Test("Fused and unfused arithmetic differ in every product of floating-point weights")
    func genericDiffers() throws {
        let generic = try ArithmeticProbe(instructionSet: "generic").fields
        let best = try ArithmeticProbe(instructionSet: nil).fields
        try #require(best[0].value == "avx2" || best[0].value == "avx512", "needs a wider instruction set")
        #expect(generic.map(\.name) == best.map(\.name))
        for format in ["FP32", "BF16", "FP16", "FP8", "stored INT4"] {
            let name = "the bits of a product of \(format) weights"
            let values = [generic, best].map { fields in fields.first { $0.name == name }?.value }
            #expect(values[0] != nil && values[0] != values[1], "\(format)")
        }
        // What does not come from the table is the same.
        let functions = "the bits of sines, cosines and exponentials"
        #expect(generic.first { $0.name == functions } == best.first { $0.name == functions })
    }

    @Test("AVX2 and AVX-512 agree, so that only their name tells such hosts apart")
    func vectorsAgree() throws {
        guard InstructionSet.available.contains("avx512") else { return }
        let narrow = try ArithmeticProbe(instructionSet: "avx2").fields.dropFirst()
        #expect(narrow == (try ArithmeticProbe(instructionSet: "avx512")).fields.dropFirst())
    }

    @Test func anUnknownInstructionSetIsRefused() {
        #expect(throws: InstructionSetError.self) { try ArithmeticProbe(instructionSet: "abacus") }
    }
}
