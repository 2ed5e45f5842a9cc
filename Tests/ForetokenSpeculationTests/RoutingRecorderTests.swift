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

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        if steps.last.map({ $0.layers.last! >= layer }) ?? true { steps.append(Step(position: rows.firstPosition)) }
        steps[steps.count - 1].layers.append(layer)
        steps[steps.count - 1].experts.append(
            (0..<rows.count).map { Array(UnsafeBufferPointer(start: chosen + $0 * perRow, count: perRow)) })
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

    /// Of each text: its domain, and by window position, kinds and experts.
    private func texts(_ trace: RoutingTrace) -> [Int: [String]] {
        var texts: [Int: [String]] = [:]
        for window in trace.windows {
            let rows = window.rows.map { row in
                "\(trace.kinds[row]) \(trace.layers.indices.map { Array(trace.chosen(row: row, layer: $0)) })"
            }
            texts[window.text, default: []].append("\(trace.domains[window.domain]) \(window.position) \(rows)")
        }
        return texts
    }

    /// Six texts, four at a time, one of them with a chunk of 512 rows; with and without windows beside it.
    @Test(arguments: [DraftMode.off, .fixed(1), .fixed(3)], [0.05, 1])
    func inCompanyEveryTextHasTheRowsThatItHasAlone(draft: DraftMode, chunkShare: Double) throws {
        let requests = (0..<6).map { text in
            let length = text == 2 ? 540 : 14 - 2 * text
            var request = request(
                (0..<length).map { Self.prompt[($0 * 5 + text) % Self.prompt.count] }, draft, tokens: 12 + 5 * text)
            request.sampling.temperature = text % 2 == 0 ? 0 : 0.9
            return request
        }
        var settings = Engine.Settings(context: 600)
        settings.parallel = 4
        settings.chunkShare = chunkShare
        let engine = try Engine(model, settings)
        var shared = 0
        let together = try trace { recorder in
            engine.observer = recorder
            for (index, request) in requests.enumerated() {
                let text = try engine.submit(request) { shared += (try? $0.get())?.company.shared ?? 0 }
                try recorder.begin(domain: index % 2 == 0 ? "code" : "prose", text: text)
            }
            engine.run()
        }
        let alone = try trace { recorder in
            let generator = try Generator(model: model, capacity: 600)
            generator.observer = recorder
            for (index, request) in requests.enumerated() {
                generator.clear()
                try recorder.begin(domain: index % 2 == 0 ? "code" : "prose")
                _ = try generator.generate(request)
            }
        }
        // Texts come in one order, so their numbers are the same. One whose prompt ends later is still the later one.
        #expect(together.textCount == 6 && alone.textCount == 6)
        #expect(texts(together) == texts(alone))
        #expect(together.domains == ["code", "prose"] && alone.steps.count == alone.windows.count)
        let company = together.steps.filter { $0.count > 1 }
        #expect(company.reduce(0) { $0 + $1.count } == shared && company.contains { $0.count == 4 })
        for step in together.steps {
            #expect(Set(step.map { together.windows[$0].text }).count == step.count)
            #expect(
                step.count == 1 || step.allSatisfy { together.kinds[together.windows[$0].rows.lowerBound] == .newest })
        }
        // What was recorded alone, put together, is what was recorded in company while all windows waited for prompts.
        if chunkShare == 1, draft == .off {
            let put = try alone.shared(by: 4)
            let steps = put.steps.map { step in step.map { put.windows[$0].position } }
            #expect(steps == together.steps.prefix(steps.count).map { $0.map { together.windows[$0].position } })
        }
    }

    /// However many texts come and go, only those that are there are remembered.
    @Test func textsThatHaveEndedAreForgotten() throws {
        var settings = Engine.Settings(context: 80)
        settings.parallel = 2
        let engine = try Engine(model, settings)
        var (most, submitted) = (0, 0)
        let trace = try trace { recorder in
            engine.observer = recorder
            func submit() throws {
                submitted += 1
                let number = try engine.submit(request(Array(Self.prompt.prefix(4)), .off, tokens: 3)) { _ in
                    most = max(most, recorder.namedTextCount)
                    if submitted < 40 { #expect(throws: Never.self) { try submit() } }
                }
                try recorder.begin(domain: "code", text: number)
            }
            for _ in 0..<3 { try submit() }
            var withdrawn = request(Self.prompt, .off)
            let cancellation = Cancellation()
            withdrawn.cancellation = cancellation
            try recorder.begin(domain: "text", text: engine.submit(withdrawn) { _ in })
            cancellation.request()
            engine.run()
            #expect(recorder.namedTextCount == 0)
        }
        #expect(most <= 3 && texts(trace).count == 40)
    }

    @Test func stepsWithATextThatNobodyNamedAreNotRecorded() throws {
        let trace = try trace { recorder in
            var settings = Engine.Settings(context: 64)
            settings.chunkShare = 1
            let engine = try Engine(model, settings)
            engine.observer = recorder
            for index in 0..<2 {
                let text = try engine.submit(request(Self.prompt, .off, tokens: 4 + index)) { _ in }
                if index == 1 { try recorder.begin(domain: "x", text: text) }
            }
            engine.run()
        }
        // Its prompt, and the step it had alone.
        #expect(trace.windows.map(\.rows.count) == [Self.prompt.count, 1] && trace.windows.map(\.text) == [0, 0])
    }

    /// The trace grows by texts that begin behind those it has.
    @Test func textsOfAnEarlierRecordingAreNotGoneOnWith() throws {
        let first = Collected()
        let work = { (recorder: RoutingRecorder) in
            let generator = try Generator(model: model, capacity: 64)
            generator.observer = recorder
            try recorder.begin(domain: "x")
            _ = try generator.generate(request(Self.prompt, .off, tokens: 3))
            recorder.finish()
        }
        try work(RoutingRecorder(header, sink: first))
        let survey = try RoutingTraceFile.Survey(header.bytes + first.blocks.joined())
        #expect(survey.textCount == 1)
        try work(RoutingRecorder(header, domains: survey.domains, textCount: survey.textCount, sink: first))
        let trace = try RoutingTraceFile(header.bytes + first.blocks.joined()).trace
        #expect(trace.windows.map(\.text) == [0, 0, 0, 1, 1, 1] && trace.domains == ["x"])
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
