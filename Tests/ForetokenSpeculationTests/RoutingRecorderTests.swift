import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Keeps what it is given.
private final class Collected: RoutingSink {
    private(set) var blocks: [[UInt8]] = []

    func write(_ records: UnsafeRawBufferPointer) { blocks.append(Array(records)) }
}

/// Remembers every step's experts, without being told how it ended.
private final class Onlooker: StepObserver {
    struct Step {
        let position: Int
        var layers: [Int] = []
        /// [layer][row][expert].
        var experts: [[[Int32]]] = []
    }

    private(set) var steps: [Step] = []
    let wantsValues = false

    func saw(_ site: StepSite, _ rows: StepRows) {}

    func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        if steps.last.map({ $0.layers.last! >= layer }) ?? true { steps.append(Step(position: rows.firstPosition)) }
        steps[steps.count - 1].layers.append(layer)
        steps[steps.count - 1].experts.append(
            (0..<rows.count).map { Array(UnsafeBufferPointer(start: experts + $0 * perRow, count: perRow)) })
    }
}

/// What is recorded is what the verifier does.
@Suite(.serialized)
struct RoutingRecorderTests {
    private let model: Model
    private let header: RoutingTraceHeader
    private static let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws {
        model = try Model.load(Fixtures.demoModel)
        let configuration = model.configuration
        header = try RoutingTraceHeader(
            model: "demo", layers: (0..<configuration.layerCount).filter { configuration.isMoE(layer: $0) },
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
    }

    /// The trace of what a recorder sees.
    private func trace(_ work: (RoutingRecorder) throws -> Void) throws -> RoutingTrace {
        let sink = Collected()
        let recorder = RoutingRecorder(header, sink: sink)
        try work(recorder)
        recorder.finish()
        for end in 0...sink.blocks.count {
            let file = try RoutingTraceFile(header.bytes + sink.blocks[..<end].joined())
            #expect(file.droppedByteCount == 0, "blocks hold whole records")
        }
        let trace = try RoutingTraceFile(header.bytes + sink.blocks.joined()).trace
        #expect(recorder.windowCount == trace.windows.count && recorder.rowCount == trace.rowCount)
        return trace
    }

    private func request(_ prompt: [Int32], _ draft: DraftMode, tokens: Int = 60) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = tokens
        request.draft = draft
        return request
    }

    private func expectSame(_ trace: RoutingTrace, _ steps: [Onlooker.Step]) {
        #expect(trace.windows.map(\.position) == steps.map(\.position))
        #expect(steps.allSatisfy { $0.layers == trace.layers })
        for (window, step) in zip(trace.windows, steps) {
            #expect(step.experts.allSatisfy { $0.count == window.rows.count })
            for (index, row) in window.rows.enumerated() {
                for layer in trace.layers.indices {
                    #expect(trace.chosen(row: row, layer: layer).map { Int32($0) } == step.experts[layer][index])
                }
            }
        }
    }

    @Test(arguments: [DraftMode.off, .fixed(1), .fixed(4)], [Float(0), 0.9])
    func generationIsRecordedAsItHappens(draft: DraftMode, temperature: Float) throws {
        var request = request(Self.prompt, draft)
        request.sampling.temperature = temperature
        let onlooker = Onlooker()
        let watched = try Generator(model: model, capacity: 128)
        watched.observer = onlooker
        let expected = try watched.generate(request)
        let recorded = try Generator(model: model, capacity: 128)
        var result: GenerationResult?
        let trace = try trace { recorder in
            recorded.observer = recorder
            try recorder.begin(domain: "code")
            result = try recorded.generate(request)
        }
        #expect(result?.tokens == expected.tokens, "looking on changes nothing")
        #expect(trace.domains == ["code"] && trace.model == "demo")
        expectSame(trace, onlooker.steps)
        let telemetry = expected.telemetry
        let rounds = trace.windows.filter { trace.kinds[$0.rows.lowerBound] == .newest }
        #expect(rounds.count == telemetry.rounds)
        #expect(trace.kinds.count { $0 == .prompt } == Self.prompt.count)
        for draft in telemetry.drafted.indices {
            let kinds = rounds.compactMap { window in
                window.rows.count > draft + 1 ? trace.kinds[window.rows.lowerBound + 1 + draft] : nil
            }
            #expect(kinds.count == telemetry.drafted[draft])
            #expect(kinds.count { $0 == .accepted } == telemetry.accepted[draft])
        }
    }

    @Test func conversationsAndDomains() throws {
        let generator = try Generator(model: model, capacity: 900)
        let long = (0..<600).map { Int32($0 * 7 % 4000) }
        let trace = try trace { recorder in
            generator.observer = recorder
            try recorder.begin(domain: "long")
            _ = try generator.generate(request(long, .fixed(2), tokens: 20))
            _ = try generator.generate(request(Self.prompt, .fixed(2), tokens: 20))
            generator.clear()
            try recorder.begin(domain: "short")
            _ = try generator.generate(request(Self.prompt, .off, tokens: 5))
        }
        #expect(trace.domains == ["long", "short"])
        let prompts = trace.windows.filter { trace.kinds[$0.rows.lowerBound] == .prompt }
        // The second turn's prompt begins with the last token of the first answer, and is cut at position 1024.
        #expect(prompts.map(\.rows.count) == [512, 88, Self.prompt.count + 1, Self.prompt.count])
        #expect(prompts.map(\.position) == [0, 512, 619, 0] && prompts.map(\.domain) == [0, 0, 0, 1])
        let last = trace.windows.suffix(5)
        #expect(last.map(\.domain) == [1, 1, 1, 1, 1] && last.dropFirst().allSatisfy { $0.rows.count == 1 })
    }

    @Test func whatNobodySaysTheEndOfIsNotRecorded() throws {
        let trace = try trace { recorder in
            try recorder.begin(domain: "x")
            let text = try SingleText(model, context: 64)
            model.verifier.observer = recorder
            defer { model.verifier.observer = nil }
            text.run(Self.prompt[..<3])
            text.run(Self.prompt[3..<5])
            recorder.ended(.verified(accepted: 0), text: 0)
            recorder.ended(.verified(accepted: 0), text: 0)
        }
        #expect(trace.windows == [.init(rows: 0..<2, domain: 0, position: 3)] && trace.kinds == [.newest, .rejected])
    }
}
