import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What models with INT4 codes compute.
@Suite(.serialized)
struct PackedModelTests {
    private func tokens(_ count: Int, below limit: Int) -> [Int32] {
        var random = SeededGenerator(seed: 9)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(limit), using: &random) }
    }

    /// Bits of all logits of a text that is read as one prompt, by a chunk and a window, and as windows of the given widths.
    private func bits(_ model: Model, _ tokens: [Int32], widths: [Int]) throws -> [[UInt32]] {
        let text = try SingleText(model, context: tokens.count)
        var rows: [[UInt32]] = []
        var next = 0
        while text.position < tokens.count {
            let width = min(widths[next % widths.count], tokens.count - text.position)
            next += 1
            text.run(tokens[text.position..<text.position + width])
            text.computeLogits(first: 0, count: width)
            for row in 0..<width { rows.append(text.logits(row: row).map(\.bitPattern)) }
        }
        return rows
    }

    private func score(_ model: Model, _ tokens: [Int32]) throws -> Score {
        try Scorer(model: model, context: tokens.count)
            .score(tokens, topCount: model.configuration.vocabularySize, mtp: true)
    }

    private func expectSame(_ left: Score, _ right: Score, _ comment: Comment? = nil) {
        #expect(left.top.count == right.top.count && !left.top.isEmpty)
        for (a, b) in zip(left.top, right.top) {
            #expect(a.map(\.token) == b.map(\.token) && a.map(\.logit) == b.map(\.logit), comment)
        }
        #expect(left.mtp?.modules.map(\.argmax) == right.mtp?.modules.map(\.argmax), comment)
    }

    /// As stored, codes compute what an F32 model of the same values does: in windows and in a prompt's chunk, bit for bit.
    @Test(arguments: InstructionSet.available) func storedCodesAreTheirValues(instructionSet: String) throws {
        let (packed, wide) = TinyModel(TinyModel.packableGeometry()).packing()
        let folders = try [packed, wide].map { model in
            let folder = try TemporaryFolder()
            try model.write(to: folder)
            return folder
        }
        defer { withExtendedLifetime(folders) {} }
        let models = try folders.map { try Model.load($0.path, instructionSet: instructionSet) }
        let tokens = tokens(70, below: models[0].configuration.vocabularySize)
        expectSame(try score(models[0], tokens), try score(models[1], tokens))
        let reference = try bits(models[1], tokens, widths: [1])
        for width in 1...Step.windowRows {
            #expect(try bits(models[0], tokens, widths: [width]) == reference, "width \(width)")
        }
        let single = try Model.load(folders[0].path, threads: 1, instructionSet: instructionSet)
        #expect(try bits(single, tokens, widths: [5, 1, 16]) == reference)
        #expect(models[0].bytesPerStep < models[1].bytesPerStep)
    }

    /// A converted folder computes with `experts-int4` what the original does with it, drafts included.
    @Test func convertedFoldersComputeTheSame() throws {
        let plain = try TemporaryFolder()
        defer { withExtendedLifetime(plain) {} }
        try Conversion(Checkpoint(directory: Fixtures.demoModel), to: .bf16).write(to: plain.path + "/bf16")
        let original = plain.path + "/bf16"
        let converted = plain.path + "/int4"
        try Conversion(Checkpoint(directory: original), to: .int4).write(to: converted, threads: 2)
        let expected = try Model.load(original, format: .expertsInt4)
        let found = try Model.load(converted, format: .expertsInt4)
        let tokens = tokens(120, below: 4096)
        expectSame(try score(found, tokens), try score(expected, tokens))
        #expect(try bits(found, tokens, widths: [1, 7]) == bits(expected, tokens, widths: [1, 7]))
        #expect(found.weights.byteCount == expected.weights.byteCount)
        // As stored, activations are not quantised: near, not the same.
        let stored = try score(try Model.load(converted), tokens)
        let (a, b) = (stored.negativeLogLikelihood, try score(expected, tokens).negativeLogLikelihood)
        #expect(abs(a - b) < 0.02 * b && a != b)
        // The FP8 original's experts become the same codes, though the rest of it is not rounded to BF16.
        let direct4 = plain.path + "/direct"
        try Conversion(Checkpoint(directory: Fixtures.demoModel), to: .int4).write(to: direct4, threads: 2)
        let direct = try score(try Model.load(direct4, format: .expertsInt4), tokens)
        #expect(abs(direct.negativeLogLikelihood - b) < 0.02 * b)
    }
}
