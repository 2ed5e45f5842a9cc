import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite("Experts move while texts are served", .serialized)
struct LivePlacementTests {
    private let prompts: [[Int32]] = [
        [0, 1043, 445, 1336, 517, 473, 386, 274], [0, 2463, 302, 426, 272], [0, 15, 3878, 1035, 625, 477],
    ]

    /// Two nodes with workers, the first of which reads ten times as fast, and one without.
    private let workers = [1, 1, 0]
    private let bandwidths = [1e11, 1e10, 3e9]

    private var nodes: NodeLayout {
        NodeLayout(nodes: zip(workers, bandwidths).map { .init(id: nil, workers: $0, bandwidth: $1) })
    }

    private func live(
        _ model: Model, _ settings: LivePlacement.Settings, capacity: Int = 1 << 30,
        _ tell: @escaping (LivePlacement.News) -> Void
    ) throws -> LivePlacement {
        let checkpoint = try Checkpoint(directory: Fixtures.demoModel)
        let description = try #require(
            try WeightLayout(checkpoint).placementModel(checkpoint, format: .stored, besides: 0))
        let configuration = model.configuration
        let header = try RoutingTraceHeader(
            model: description.fingerprint, layers: Array(1..<configuration.layerCount),
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
        let machine = PlacementMachine(
            fingerprint: "test",
            nodes: workers.indices.map {
                .init(id: $0, workers: workers[$0], capacity: capacity, bandwidth: bandwidths[$0])
            }, pieceSeconds: 2.5e-6, barrierSeconds: 2e-6)
        return LivePlacement(
            model, description: description, machine: machine, header: header, settings, tell: tell)
    }

    private func settings(turnBytes: Int) -> LivePlacement.Settings {
        var settings = LivePlacement.Settings(period: 0)
        (settings.leastWindows, settings.turnBytes, settings.planSeconds) = (40, turnBytes, 1)
        return settings
    }

    /// Serves the prompts together, until `isOver` or at most so many times over, and gives the answers by prompt.
    private func serve(
        _ model: Model, _ settings: LivePlacement.Settings, capacity: Int = 1 << 30, most: Int = 200,
        until isOver: ([LivePlacement.News]) -> Bool
    ) throws -> (answers: [Set<[Int32]>], news: [LivePlacement.News], betweenMoves: Int) {
        var engineSettings = Engine.Settings(context: 96)
        engineSettings.parallel = prompts.count
        let engine = try Engine(model, engineSettings)
        var news: [LivePlacement.News] = []
        let live = try live(model, settings, capacity: capacity) { news.append($0) }
        live.attach(to: engine)
        var (answers, steps) = ([Set<[Int32]>](repeating: [], count: prompts.count), 0)
        for _ in 0..<most where !isOver(news) {
            for (index, prompt) in prompts.enumerated() {
                var request = GenerationRequest(prompt: prompt)
                (request.maximumTokens, request.draft) = (60, .fixed(2))
                try engine.submit(
                    request,
                    observe: { _ in
                        if case .moving? = news.last { steps += 1 }
                        return .proceed
                    },
                    completion: { answers[index].insert((try? $0.get().tokens) ?? []) })
            }
            engine.run()
        }
        withExtendedLifetime(live) {}
        return (answers, news, steps)
    }

    @Test("Experts go where texts want them, some at a time, and no token changes")
    func moves() throws {
        let model = try Model.load(Fixtures.demoModel, nodes: nodes)
        let before = model.weights.experts.placements
        func hasMoved(_ news: [LivePlacement.News]) -> Bool {
            news.contains { if case .moved = $0 { true } else { false } }
        }
        let served = try serve(model, settings(turnBytes: 100_000), until: hasMoved)
        let still = try serve(Model.load(Fixtures.demoModel), .init(period: 1e9), most: 1) { !$0.isEmpty }
        #expect(hasMoved(served.news), "\(served.news)")
        #expect(served.news.contains { if case .moving(_, let gain) = $0 { gain > 0.02 } else { false } })
        #expect(served.betweenMoves > 0, "steps between the moves")
        #expect(model.weights.experts.placements != before)
        #expect(served.answers.allSatisfy { $0.count == 1 && $0.first?.count == 60 })
        #expect(still.news.isEmpty && served.answers == still.answers)
    }

    @Test("Where no plan is enough faster nothing moves; where there is no room, the reason is told")
    func stays() throws {
        let model = try Model.load(Fixtures.demoModel, nodes: nodes)
        let before = model.weights.experts.placements
        var demanding = settings(turnBytes: .max)
        demanding.leastGain = 100
        let kept = try serve(model, demanding) { !$0.isEmpty }
        #expect(kept.news.contains { if case .kept(let gain) = $0 { gain > 0 } else { false } }, "\(kept.news)")
        let full = try serve(model, settings(turnBytes: .max), capacity: 1000) { !$0.isEmpty }
        #expect(full.news.contains { if case .failed = $0 { true } else { false } }, "\(full.news)")
        #expect(model.weights.experts.placements == before)
    }
}
