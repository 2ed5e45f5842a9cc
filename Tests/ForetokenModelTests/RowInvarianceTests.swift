import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Promise 1's ground: a row's logits have the same bits whatever else is in its step, and whoever computes it.
@Suite(.serialized)
struct RowInvarianceTests {
    /// Bits of every row's logits and hidden state when `tokens` go through the verifier in steps of the given widths.
    private func bits(
        _ model: Model, _ tokens: [Int32], widths: [Int], cacheType: CacheType = .f32
    ) throws -> [[UInt32]] {
        let verifier = try SingleText(model, context: tokens.count, cacheType: cacheType)
        var rows: [[UInt32]] = []
        var next = 0
        while verifier.position < tokens.count {
            let width = min(widths[next % widths.count], tokens.count - verifier.position)
            next += 1
            verifier.run(tokens[verifier.position..<verifier.position + width])
            verifier.computeLogits(first: 0, count: width)
            for row in 0..<width {
                let hidden = UnsafeBufferPointer(
                    start: verifier.hidden(row: row), count: model.configuration.hiddenSize)
                rows.append(verifier.logits(row: row).map(\.bitPattern) + hidden.map(\.bitPattern))
            }
        }
        return rows
    }

    private func tokens(_ count: Int, _ model: Model) -> [Int32] {
        var random = SeededGenerator(seed: 7)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(model.configuration.vocabularySize), using: &random) }
    }

    @Test(arguments: InstructionSet.available, CacheType.allCases)
    func everyWidthGivesTheSameBits(instructionSet: String, cacheType: CacheType) throws {
        let model = try Model.load(Fixtures.demoModel, threads: 2, instructionSet: instructionSet)
        let tokens = tokens(48, model)
        let reference = try bits(model, tokens, widths: [1], cacheType: cacheType)
        for width in 2...Step.windowRows {
            #expect(try bits(model, tokens, widths: [width], cacheType: cacheType) == reference, "width \(width)")
        }
        #expect(try bits(model, tokens, widths: [1, 16, 3, 9, 2], cacheType: cacheType) == reference)
    }

    @Test(arguments: InstructionSet.available, [ResidentFormat.fp8, .bf16, .int8, .int4, .expertsInt4])
    func everyResidentFormatIsRowInvariant(instructionSet: String, format: ResidentFormat) throws {
        let model = try Model.load(
            Fixtures.demoModel, threads: 2, instructionSet: instructionSet, format: format)
        let tokens = tokens(33, model)
        let reference = try bits(model, tokens, widths: [1])
        for width in [2, 3, 4, 5, 7, 8, 11, 16] {
            #expect(try bits(model, tokens, widths: [width]) == reference, "width \(width)")
        }
        let single = try Model.load(Fixtures.demoModel, threads: 1, instructionSet: instructionSet, format: format)
        #expect(try bits(single, tokens, widths: [6]) == reference, "one thread")
    }

    @Test func everyThreadCountGivesTheSameBits() throws {
        let single = try Model.load(Fixtures.demoModel, threads: 1)
        let tokens = tokens(40, single)
        let reference = try bits(single, tokens, widths: [5])
        for threads in [2, 3, 5] {
            let model = try Model.load(Fixtures.demoModel, threads: threads)
            #expect(try bits(model, tokens, widths: [5]) == reference, "\(threads) threads")
        }
    }

    @Test func promptChunksDoNotDependOnThreads() throws {
        var results: [[UInt32]] = []
        for threads in [1, 2, 3] {
            let model = try Model.load(Fixtures.demoModel, threads: threads)
            // A whole chunk, and one that is short enough for absorbed attention.
            let tokens = tokens(Step.chunkRows + 50, model)
            let verifier = try SingleText(model, context: tokens.count)
            var last: [UInt32] = []
            while verifier.position < tokens.count {
                let count = min(Step.chunkRows, tokens.count - verifier.position)
                verifier.run(tokens[verifier.position..<verifier.position + count])
                verifier.computeLogits(first: count - 1, count: 1)
                last += verifier.logits(row: 0).map(\.bitPattern)
            }
            results.append(last)
        }
        #expect(results[1] == results[0])
        #expect(results[2] == results[0])
    }

    @Test func rejectedRowsLeaveNoTrace() throws {
        let model = try Model.load(Fixtures.demoModel)
        let tokens = tokens(40, model)
        let reference = try bits(model, tokens, widths: [1])
        let verifier = try SingleText(model, context: 64)
        verifier.run(tokens[..<16])
        verifier.run(tokens[20..<29])
        verifier.sequence.truncate(to: 16)
        verifier.run(tokens[16..<20])
        verifier.computeLogits(first: 0, count: 4)
        for row in 0..<4 {
            #expect(verifier.logits(row: row).map(\.bitPattern) == Array(reference[16 + row].prefix(4096)))
        }
    }
}
