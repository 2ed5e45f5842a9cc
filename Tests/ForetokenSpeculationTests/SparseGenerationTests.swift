import CForetokenAllocationProbe
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Generation with sparse attention: what is chosen is the reference's, the output does not depend on drafts or cached
/// prefixes, and rounds allocate nothing.
@Suite(.serialized)
struct SparseGenerationTests {
    /// Notes what rows chose: by layer, by position.
    private final class Choices: StepObserver {
        let wantsValues = false
        var chosen: [Int: [Int: [Int32]]] = [:]

        func saw(_ site: StepSite, _ rows: StepRows) {}
        func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
        func chose(layer: Int, entries: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
            for row in 0..<rows.count {
                let list = UnsafeBufferPointer(start: entries + row * perRow, count: perRow)
                chosen[layer, default: [:]][rows.firstPosition + row] = Array(list)
            }
        }
    }

    /// Prompts as chunks, and the same tokens one at a time and sixteen at a time.
    @Test(arguments: GoldenModel.sparse) func choosesWhatTheReferenceChooses(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        let tensors = try golden.tensors()
        let sparse = try #require(model.configuration.sparseAttention)
        for (index, prompt) in try golden.prompts().enumerated() {
            let tokens = prompt.prompt_ids
            for width in [Step.chunkRows, 1, 16] {
                let choices = Choices()
                model.verifier.observer = choices
                defer { model.verifier.observer = nil }
                let text = try model.makeSequence(context: tokens.count)
                text.append(tokens)
                var step = Step()
                while text.position < tokens.count {
                    if width == Step.chunkRows {
                        step.readPrompt(text, to: tokens.count)
                    } else {
                        step.clear()
                        step.add(text, count: min(width, tokens.count - text.position))
                    }
                    model.verifier.run(step)
                }
                for layer in 0..<model.configuration.layerCount {
                    let expected = tensors.integers("p\(index).layer\(layer).index")
                    #expect(expected.isEmpty == !sparse.hasOwnIndexer(layer: layer))
                    for position in sparse.chosenCount..<tokens.count where !expected.isEmpty {
                        let row = expected[position * sparse.chosenCount..<(position + 1) * sparse.chosenCount]
                        #expect(
                            choices.chosen[layer]?[position] == Array(row),
                            "prompt \(index), layer \(layer), position \(position), width \(width)")
                    }
                }
            }
        }
    }

    private func model(threads: Int = 2) throws -> Model {
        let folder = try TemporaryFolder()
        let geometry = TinyGeometry {
            $0.layers = 4
            $0.positions = 2048
            $0.indexer = TinyIndexer(chosen: 24, pattern: "FSFS")
        }
        try TinyModel(geometry, seed: 3).write(to: folder)
        return try Model.load(folder.path, threads: threads)
    }

    private func request(_ count: Int, tokens: Int, draft: DraftMode, temperature: Float = 0) -> GenerationRequest {
        var request = GenerationRequest(prompt: (0..<Int32(count)).map { ($0 * 37 + $0 / 7 * 5) % 96 })
        request.maximumTokens = tokens
        request.draft = draft
        request.sampling.temperature = temperature
        request.logProbabilities = 0
        return request
    }

    @Test(arguments: [Float(0), 0.9]) func everyDraftLengthGivesTheSameTokens(temperature: Float) throws {
        let generator = try Generator(model: try model(), capacity: 512)
        func run(_ draft: DraftMode) throws -> GenerationResult {
            generator.clear()
            return try generator.generate(request(60, tokens: 80, draft: draft, temperature: temperature))
        }
        let reference = try run(.off)
        for draft in (1...8).map(DraftMode.fixed) + [.auto] {
            let result = try run(draft)
            #expect(result.tokens == reference.tokens, "\(draft)")
            #expect(
                result.logProbabilities.map(\.logProbability) == reference.logProbabilities.map(\.logProbability))
        }
    }

    /// Pages of a prefix hold index keys as well.
    @Test func aCachedPrefixGivesTheSameBits() throws {
        let model = try model()
        let request = request(1100, tokens: 30, draft: .fixed(3))
        let expected = try Generator(model: model, capacity: 1400).generate(request)
        var settings = Engine.Settings(context: 1400)
        settings.cachePages = 64
        settings.pages = 64
        let engine = try Engine(model, settings)
        for cached in [0, 1024, 1024] {
            var outcome: Engine.Outcome?
            try engine.submit(request, observe: { _ in .proceed }, completion: { outcome = $0 })
            engine.run()
            let result = try #require(try outcome?.get())
            #expect(result.cachedCount == cached && result.tokens == expected.tokens)
            #expect(
                result.logProbabilities.map(\.logProbability) == expected.logProbabilities.map(\.logProbability))
            #expect(result.telemetry.drafted == expected.telemetry.drafted)
            #expect(result.telemetry.accepted == expected.telemetry.accepted)
        }
    }

    @Test(.enabled(if: foretoken_allocation_probe_is_active(), "sanitizers replace the allocator"))
    func roundsAllocateNothing() throws {
        for draft in [DraftMode.off, .fixed(4), .auto] {
            let generator = try Generator(model: try model(threads: 1), capacity: 512)
            var (seen, first, last): (Int, UInt64, UInt64) = (0, 0, 0)
            _ = try generator.generate(request(60, tokens: 120, draft: draft)) { event in
                guard case .token = event else { return .proceed }
                seen += 1
                if seen == 5 { first = foretoken_allocation_count() }
                last = foretoken_allocation_count()
                return .proceed
            }
            #expect(seen == 120 && last == first, "\(last - first) allocations in 115 tokens")
        }
    }
}
