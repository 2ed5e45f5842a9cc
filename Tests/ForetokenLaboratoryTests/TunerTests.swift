import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite(.serialized)
struct TunerTests {
    private static let workers = [1, 1, 0]

    private let prompts: [[Int32]] = [
        [0, 1043, 445, 1336, 517, 473, 386, 274], [0, 2463, 302, 426, 272], [0, 15, 3878, 1035, 625, 477],
    ]

    private func machine(_ workers: [Int], capacity: Int) -> PlacementMachine {
        PlacementMachine(
            fingerprint: "test",
            nodes: workers.enumerated().map {
                .init(id: $0, workers: $1, capacity: capacity, bandwidth: $1 > 0 ? 1e11 : 3e10)
            }, pieceSeconds: 2.5e-6, barrierSeconds: 2e-6)
    }

    private func tune(
        workers: [Int], parallel: Int = 1, progress: (Tuner.Stage, Double) -> Bool = { _, _ in true }
    ) throws -> (Model, Tuner.Outcome?) {
        let checkpoint = try Checkpoint(directory: Fixtures.demoModel)
        let layout = try WeightLayout(checkpoint)
        let model = try Model.load(Fixtures.demoModel, nodes: .madeUp(workers))
        var settings = Tuner.Settings()
        (settings.tokensPerText, settings.draft, settings.passes) = (40, .fixed(2), 1)
        settings.parallel = parallel
        // Tests run beside each other: what would be measured says nothing.
        settings.measuresCosts = false
        let description = try #require(try layout.placementModel(checkpoint, format: .stored, besides: 0))
        let configuration = model.configuration
        let header = try RoutingTraceHeader(
            model: description.fingerprint, layers: Array(1..<configuration.layerCount),
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
        let outcome = try Tuner(model: model, context: 64, settings: settings).tune(
            prompts.map { TuneText(domain: "code", prompt: $0) }, description: description,
            machine: machine(workers, capacity: 1 << 30), header: header, progress: progress)
        return (model, outcome)
    }

    @Test("Plans are tried for real, and the store ends with the last one")
    func triesPlans() throws {
        let (model, outcome) = try tune(workers: Self.workers)
        let found = try #require(outcome)
        #expect(found.candidates.count > 1)
        #expect(Set(found.candidates.map(\.result)).count == found.candidates.count)
        #expect(found.candidates.allSatisfy { ($0.measured?.step ?? 0) > 0 && $0.problem == nil })
        #expect(found.candidates.allSatisfy { $0.predicted.step > $0.predicted.experts && $0.predicted.experts > 0 })
        let fastest = try #require(found.fastest)
        let limit = (found.candidates.compactMap { $0.measured?.step }.min() ?? 0) * 1.01
        #expect((found.candidates[fastest].measured?.step ?? .infinity) <= limit)
        #expect(found.machine == machine(Self.workers, capacity: 1 << 30))
        // The trace has the rounds of all texts, and can be read again.
        #expect(try RoutingTraceFile(found.traceFile).trace == found.trace)
        #expect(found.trace.windows.count { found.trace.kinds[$0.rows.lowerBound] == .newest } > prompts.count)
        let result = try #require(found.candidates.last).result
        let last = try #require(found.report.results[result].plan)
        #expect(model.weights.experts.placements[1] == last.layers[1])
    }

    @Test("Several texts at once: each begins when another ends, and no plan changes a token")
    func severalTexts() throws {
        let found = try #require(try tune(workers: Self.workers, parallel: 2).1)
        #expect(found.fastest != nil && found.candidates.allSatisfy { $0.problem == nil })
        #expect(found.trace.steps.allSatisfy { $0.count == 1 } && found.shared.textCount == 3)
        #expect(found.report.windows.textsPerStep == 2 && found.report.windows.tokensPerStep >= 2)
        #expect(throws: PlacementError.self, "three texts") { try tune(workers: [2], parallel: 4) }
    }

    @Test("One node: one plan, measured beside its prediction")
    func oneNode() throws {
        let (_, outcome) = try tune(workers: [2])
        #expect(outcome?.candidates.count == 1 && outcome?.fastest == 0)
    }

    @Test("Interrupted before there is a plan, there is no outcome; afterwards there is what was measured")
    func interruptions() throws {
        for stage in [Tuner.Stage.probing, .planning] {
            #expect(try tune(workers: Self.workers) { now, _ in now != stage }.1 == nil)
        }
        let ended = try tune(workers: Self.workers) { now, _ in now != .trying }.1
        let late = try #require(ended)
        #expect(late.fastest == nil && late.candidates.allSatisfy { $0.measured == nil })
    }
}
