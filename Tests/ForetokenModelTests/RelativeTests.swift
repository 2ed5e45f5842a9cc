import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Promise 1's ground, for every relative of DeepSeek-V3: a row's bits depend on nothing but its text.
@Suite(.serialized)
struct RelativeTests {
    private static let total = 100

    /// All rows' bits when a text goes through the verifier `width` rows at a time, after a prompt of `prompt` rows.
    private func rows(_ model: Model, prompt: Int = 0, total: Int = RelativeTests.total, width: Int = 1) throws
        -> [RowBits]
    {
        model.rows(try model.text(3, total: total, read: prompt), to: total, width: width)
    }

    @Test(arguments: GoldenModel.relatives)
    func widthsThreadsAndInstructionSets(golden: GoldenModel) throws {
        var vectors: [RowBits]?
        for set in InstructionSet.available {
            let model = try Model.load(golden.directory, instructionSet: set)
            let reference = try rows(model)
            #expect(Set(reference).count == Self.total, "every row is another")
            for width in [2, 3, 4, 5, 7, 8, 11, 16] {
                #expect(try rows(model, width: width) == reference, "\(set), width \(width)")
            }
            for threads in [1, 3, 5] {
                let other = try Model.load(golden.directory, threads: threads, instructionSet: set)
                #expect(try rows(other, width: 6) == reference, "\(set), \(threads) threads")
            }
            guard set.hasPrefix("avx") else { continue }
            #expect(reference == vectors ?? reference, "\(set) and another vector set")
            vectors = reference
        }
    }

    @Test(arguments: GoldenModel.relatives)
    func nodesAndChunks(golden: GoldenModel) throws {
        let single = try Model.load(golden.directory)
        let prompt = Step.chunkRows + 50
        let reference = try rows(single, prompt: prompt, total: prompt + 30, width: 5)
        #expect(try rows(single, prompt: prompt, total: prompt + 30, width: 16) == reference)
        for workers in [[1], [1, 1], [2, 1], [1, 0, 2]] {
            let model = try Model.load(
                golden.directory, threads: workers.reduce(0, +), nodes: .madeUp(workers))
            #expect(try rows(model, prompt: prompt, total: prompt + 30, width: 3) == reference, "\(workers)")
        }
    }

    @Test(arguments: GoldenModel.relatives, [ResidentFormat.fp8, .bf16, .int8, .int4, .expertsInt4])
    func residentFormats(golden: GoldenModel, format: ResidentFormat) throws {
        let model = try Model.load(golden.directory, format: format)
        let reference = try rows(model)
        for width in [2, 5, 16] { #expect(try rows(model, width: width) == reference, "width \(width)") }
        let cut = try Model.load(golden.directory, threads: 3, format: format, nodes: .madeUp([2, 1]))
        #expect(try rows(cut, width: 7) == reference, "two nodes")
    }

    @Test(arguments: GoldenModel.relatives)
    func promptsAndWindowsAreOneFunction(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        let chunk = try SingleText(model, context: Self.total)
        let tokens = model.tokens(Self.total, text: 3)
        chunk.run(tokens)
        chunk.computeLogits(first: Self.total - 1, count: 1)
        let expected = Array(chunk.logits(row: 0))
        let stepped = try SingleText(model, context: Self.total)
        for position in 0..<Self.total { stepped.run(tokens[position...position]) }
        stepped.computeLogits(first: 0, count: 1)
        #expect(zip(expected, stepped.logits(row: 0)).allSatisfy { abs($0 - $1) < 1e-3 })
    }
}
