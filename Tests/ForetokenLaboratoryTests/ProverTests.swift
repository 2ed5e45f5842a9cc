import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite(.serialized)
struct ProverTests {
    private func settings(_ model: Model, promptCount: Int = 24) -> ProofSettings {
        let vocabulary = model.configuration.vocabularySize
        func prompt(_ count: Int) -> [Int32] { (0..<count).map { Int32($0 * $0 % vocabulary) } }
        var settings = ProofSettings(
            prompts: [
                ProofPrompt(name: "short", tokens: prompt(promptCount)),
                ProofPrompt(name: "long", tokens: prompt(Step.chunkRows + 44)),
            ])
        settings.isQuick = true
        settings.maximumTokens = 16
        settings.threads = 2
        settings.instructionSet = model.instructionSet
        return settings
    }

    private func pool(_ threads: Int) throws -> WorkerPool { try WorkerPool(threads: threads) }

    private func load(_ geometry: TinyGeometry) throws -> Model { try loadTwice(geometry).model }

    /// A model, and how to load its weights again, cut for other nodes.
    private func loadTwice(
        _ geometry: TinyGeometry
    ) throws -> (model: Model, placed: (NodeLayout) throws -> ModelWeights) {
        let folder = try TemporaryFolder()
        try TinyModel(geometry).write(to: folder)
        return (
            try Model.load(folder.path), { try Model.load(folder.path, nodes: $0).weights }
        )
    }

    @Test(arguments: [0, 1, 2])
    func everyWayIsTheSameOnModelsWithModules(modules: Int) throws {
        let (model, placed) = try loadTwice(TinyGeometry { $0.mtpModules = modules })
        let prover = Prover(
            weights: model.weights, settings: settings(model), loadPlaced: placed, makePool: pool)
        var fractions: [Double] = []
        let proof = try prover.prove { progress in
            fractions.append(progress.fraction)
            return true
        }
        #expect(proof.divergence == nil)
        #expect(!proof.isPartial)
        #expect(proof.ways.allSatisfy { $0.runs == $0.plannedRuns && $0.differingRuns == 0 && $0.values > 0 })
        #expect(proof.stepCount <= prover.plannedSteps)
        #expect(fractions.allSatisfy { (0...1).contains($0) } && fractions == fractions.sorted())
        #expect(proof.omissions.isEmpty == (modules > 0))
        #expect(proof.ways.contains { $0.title.hasPrefix("experts mixed") })
        // A random module's guesses hold by chance alone; planted ones always do.
        let planted = proof.ways.first { $0.title.hasPrefix("planted") }
        #expect((planted != nil) == (modules > 0))
        #expect((planted?.draftsAccepted ?? 1) > 0)
        let company = try #require(proof.ways.first { $0.title.hasPrefix("company") })
        #expect(modules == 0 || company.draftsCompared > 100)
        // Each run compares all of its texts.
        #expect(company.tokens > 3 * company.runs * 16)
    }

    /// Heads across scale blocks, a module without experts, a softmax in the routers.
    @Test(arguments: [TinyGeometry.glmFlash, .joyAI, .deepSeekV2]) func everyWayIsTheSameInOtherFamilies(
        geometry: TinyGeometry
    ) throws {
        let (model, placed) = try loadTwice(geometry)
        let proof = try Prover(
            weights: model.weights, settings: settings(model), loadPlaced: placed, makePool: pool
        ).prove()
        #expect(proof.divergence == nil && !proof.isPartial)
        #expect(proof.ways.contains { $0.title.hasPrefix("experts mixed") })
        #expect(proof.omissions.isEmpty == (geometry.mtpModules > 0))
    }

    @Test func allWaysOnAnotherGeometry() throws {
        let model = try load(
            TinyGeometry {
                $0.storage = .mixed
                $0.queryRank = nil
                $0.denseLayers = 0
                $0.layers = 2
                $0.sharedExperts = 0
            })
        var settings = settings(model)
        settings.isQuick = false
        settings.maximumTokens = 12
        let proof = try Prover(weights: model.weights, settings: settings, makePool: pool).prove()
        #expect(proof.divergence == nil)
        #expect(proof.ways.contains { $0.title.contains("1…8, auto; T 1.5, min-p") })
    }

    /// One weight differs by its lowest bit while three workers are at it.
    @Test func aFaultIsLocated() throws {
        let model = try load(TinyGeometry())
        let weight = UnsafeMutablePointer(mutating: model.weights.layers[1].feedForwardNorm.values + 5)
        let original = weight.pointee
        let proof = try Prover(weights: model.weights, settings: settings(model)) { threads in
            weight.pointee = threads == 3 ? Float(bitPattern: original.bitPattern ^ 1 << 12) : original
            return try WorkerPool(threads: threads)
        }.prove()
        let divergence = try #require(proof.divergence)
        #expect(divergence.kind == .values)
        #expect(divergence.way.hasPrefix("threads 1, 3"))
        #expect(divergence.run == "3 threads")
        #expect(divergence.position == 0)
        #expect(divergence.expectedSite == StepSite(layer: 1, operation: .feedForwardNorm, expert: nil))
        let element = try #require(divergence.element)
        #expect(element.index == 5)
        #expect(element.differing == 1)
        #expect(element.width == model.configuration.hiddenSize)
        #expect(element.expected.bitPattern != element.found.bitPattern)
        #expect(abs(element.expected - element.found) < 0.01)
        #expect(proof.ways.filter { $0.differingRuns > 0 }.allSatisfy { $0.title.hasPrefix("threads") })
    }

    /// One weight differs by a low bit while texts are served together.
    private func proofOfFaultyCompany(
        _ model: Model, _ weight: UnsafeMutablePointer<Float>
    ) throws -> Proof {
        let original = weight.pointee
        defer { weight.pointee = original }
        return try Prover(weights: model.weights, settings: settings(model), makePool: pool).prove { progress in
            let isFaulty = progress.title.hasPrefix("company")
            weight.pointee = isFaulty ? Float(bitPattern: original.bitPattern ^ 1 << 12) : original
            return true
        }
    }

    @Test func aFaultInCompanyIsLocated() throws {
        let model = try load(TinyGeometry())
        let proof = try proofOfFaultyCompany(
            model, UnsafeMutablePointer(mutating: model.weights.layers[1].feedForwardNorm.values + 5))
        let divergence = try #require(proof.divergence)
        #expect(divergence.way == "company of other texts" && divergence.run.hasPrefix("beside 5 other texts"))
        #expect(divergence.kind == .values && divergence.text != nil)
        #expect(divergence.expectedSite == StepSite(layer: 1, operation: .feedForwardNorm, expert: nil))
    }

    @Test func anotherDraftInCompanyIsFound() throws {
        let model = try load(TinyGeometry())
        let proof = try proofOfFaultyCompany(
            model, UnsafeMutablePointer(mutating: model.weights.modules[0].hiddenNorm.values + 5))
        let divergence = try #require(proof.divergence)
        #expect(divergence.way == "company of other texts")
        #expect(divergence.kind == .draft && divergence.token == nil)
        #expect(divergence.text != nil && divergence.draft.map { $0.expected != $0.found } == true)
    }

    @Test func anOverflowInOneWayIsADifference() throws {
        let model = try load(TinyGeometry())
        let weight = UnsafeMutablePointer(mutating: model.weights.finalNorm.values)
        let original = weight.pointee
        let proof = try Prover(weights: model.weights, settings: settings(model)) { threads in
            weight.pointee = threads == 1 ? .nan : original
            return try WorkerPool(threads: threads)
        }.prove()
        let divergence = try #require(proof.divergence)
        #expect(divergence.run == "1 thread")
        #expect(divergence.expectedSite?.operation == .finalNorm)
        #expect(divergence.element?.index == 0)
        #expect(divergence.element?.found.isNaN == true)
    }

    @Test func itEndsWhenAskedTo() throws {
        let model = try load(TinyGeometry())
        let prover = Prover(weights: model.weights, settings: settings(model), makePool: pool)
        var calls = 0
        let proof = try prover.prove { _ in
            calls += 1
            return calls < 100
        }
        #expect(proof.isPartial)
        #expect(proof.divergence == nil)
        #expect(calls == 100)
        let runs = proof.ways.reduce(0) { $0 + $1.runs }
        #expect(runs > 0 && runs < prover.plannedRuns)
    }

    @Test func oneTokenAndOneIDAreEnough() throws {
        let model = try load(TinyGeometry())
        var settings = settings(model, promptCount: 1)
        settings.maximumTokens = 1
        settings.prompts.removeLast()
        let proof = try Prover(weights: model.weights, settings: settings, makePool: pool).prove()
        #expect(proof.divergence == nil)
        #expect(!proof.ways.isEmpty)
    }

    @Test("Other weights on the made-up nodes are found")
    func otherWeightsAreFound() throws {
        let (model, _) = try loadTwice(TinyGeometry())
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry(), seed: 2).write(to: folder)
        let proof = try Prover(
            weights: model.weights, settings: settings(model),
            loadPlaced: { try Model.load(folder.path, nodes: $0).weights }, makePool: pool
        ).prove()
        let divergence = try #require(proof.divergence)
        #expect(divergence.way.hasPrefix("experts mixed"))
    }
}
