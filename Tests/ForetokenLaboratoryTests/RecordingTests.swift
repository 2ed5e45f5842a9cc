import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What is recorded while the laboratory works is what a checkpoint's router does with its texts, once.
@Suite(.serialized)
struct RecordingTests {
    private let model: Model
    private static let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    /// The trace of what a recorder sees.
    private func trace(_ work: (RoutingRecorder) throws -> Void) throws -> RoutingTrace {
        let configuration = model.configuration
        let header = try RoutingTraceHeader(
            model: "demo", layers: (0..<configuration.layerCount).filter { configuration.isMoE(layer: $0) },
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
        let memory = TraceMemory(header)
        let recorder = RoutingRecorder(header, sink: memory)
        try work(recorder)
        recorder.finish()
        return try RoutingTraceFile(memory.bytes).trace
    }

    @Test(arguments: [4096, 20]) func scoringRecordsEveryRowOfAWindowOnce(context: Int) throws {
        let scorer = Scorer(model: model, context: context)
        var score: Score?
        let trace = try trace { recorder in
            try recorder.begin(domain: "x")
            scorer.observer = recorder
            score = try scorer.score(Self.prompt + Self.prompt, mtp: true, mtpDepth: context > 20 ? 2 : 0)
        }
        #expect(trace.kinds.allSatisfy { $0 == .prompt })
        #expect(trace.windows.count == score?.windows.count && trace.windows.allSatisfy { $0.position == 0 })
        #expect(trace.windows.map(\.rows.count) == (context > 20 ? [28] : [20, 20]))
    }

    @Test func measuringRecordsRoundsAndGivenTexts() throws {
        var plan = MeasuringPlan()
        plan.lengths = [1]
        plan.temperatures = [0, 0.8]
        plan.maximumTokens = 24
        plan.timingSeconds = 0.05
        let measurer = try Measurer(model: model, plan: plan, context: 64)
        let given = (0..<40).map { Int32($0 * 11 % 4000) }
        let trace = try trace { recorder in
            measurer.recorder = recorder
            _ = try measurer.run([
                MeasuredText(domain: "code", tokens: Self.prompt, isGiven: false),
                MeasuredText(domain: "given", tokens: given, isGiven: true),
            ]) { _, _ in true }
        }
        #expect(trace.domains == ["code", "given"])
        let rows = TraceStatistics(trace).domains.map(\.rows)
        // A prompt and its rounds at each temperature: all tokens but the last were the newest once, or accepted.
        #expect(rows[0].prompt == 2 * Self.prompt.count && rows[0].newest + rows[0].accepted == 2 * 23)
        #expect(rows[1].prompt == 39 && rows[1].all == 39, "its last token foresees nothing")
    }
}
