import CForetokenAllocationProbe
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Draft, verify and accept allocate nothing. One worker, so that the whole round runs on the counted thread.
@Suite(.serialized, .enabled(if: foretoken_allocation_probe_is_active(), "sanitizers replace the allocator"))
struct AllocationTests {
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    @Test func theProbeCounts() {
        let before = foretoken_allocation_count()
        let array = [Int](unsafeUninitializedCapacity: 1000) { _, count in count = 0 }
        #expect(foretoken_allocation_count() > before)
        #expect(array.capacity >= 1000)
    }

    /// What a request may ask for beside its temperature.
    enum Wish: CaseIterable {
        case greedy, filtered, penalised, logProbabilities, masked
    }

    @Test(arguments: [DraftMode.off, .fixed(1), .fixed(4), .fixed(8), .auto], Wish.allCases)
    func roundsAllocateNothing(draft: DraftMode, wish: Wish) throws {
        let model = try Model.load(Fixtures.demoModel, threads: 1)
        let generator = try Generator(model: model, capacity: 512)
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = 200
        request.draft = draft
        request.sampling.temperature = wish == .greedy ? 0 : 0.9
        request.sampling.topP = wish == .filtered ? 0.95 : 1
        if wish == .penalised || wish == .logProbabilities {
            request.sampling.repetitionPenalty = 1.1
            request.sampling.frequencyPenalty = 0.3
            request.sampling.logitBias = [15: -1, 274: -100]
        }
        if wish == .logProbabilities { request.logProbabilities = 20 }
        if wish == .masked { request.mask = MadeUpMask() }
        var seen = 0
        var first: UInt64 = 0
        var last: UInt64 = 0
        _ = try generator.generate(request) { event in
            guard case .token = event else { return .proceed }
            seen += 1
            if seen == 5 { first = foretoken_allocation_count() }
            last = foretoken_allocation_count()
            return .proceed
        }
        #expect(seen == 200)
        #expect(last == first, "\(last - first) allocations in 195 tokens")
    }

    @Test(
        arguments: [DraftMode.fixed(2), .fixed(15), .auto],
        [(DraftSources.lookup, false), (.both, false), (.lookup, true), (.both, true)])
    func lookingUpAllocatesNothing(draft: DraftMode, places: (sources: DraftSources, more: Bool)) throws {
        let model = try Model.load(Fixtures.demoModel, threads: 1)
        let generator = try Generator(model: model, capacity: 512)
        var request = GenerationRequest(prompt: (0..<4).flatMap { _ in prompt })
        request.maximumTokens = 200
        request.draft = draft
        request.sources = places.sources
        if places.more {
            request.prediction = LookupBase([Array(prompt.dropFirst(3))])
            request.bases = [LookupBase([prompt.reversed(), prompt]), LookupBase([[1, 2, 3]])]
        }
        var (seen, first, last): (Int, UInt64, UInt64) = (0, 0, 0)
        let result = try generator.generate(request) { event in
            guard case .token = event else { return .proceed }
            seen += 1
            if seen == 5 { first = foretoken_allocation_count() }
            last = foretoken_allocation_count()
            return .proceed
        }
        #expect(seen == 200 && result.telemetry.lookup.accepted > 0, "\(result.telemetry)")
        #expect(last == first, "\(last - first) allocations in 195 tokens")
    }

    /// From when all prompts are read until the first text ends; of 20 texts, 16 have a turn.
    @Test(arguments: [4, 20], [DraftMode.off, .fixed(2), .auto])
    func windowsOfSeveralTextsAllocateNothing(texts: Int, draft: DraftMode) throws {
        try expectNoAllocations(texts, draft)
    }

    @Test(arguments: [4, 20]) func recordingThemAllocatesNothing(texts: Int) throws {
        let sink = ByteCount()
        try expectNoAllocations(texts, .fixed(2), into: sink)
        #expect(sink.count > 59 * texts * 12, "\(sink.count) bytes")
    }

    /// - Parameter sink: where routing is recorded; nil for no recording.
    private func expectNoAllocations(_ texts: Int, _ draft: DraftMode, into sink: ByteCount? = nil) throws {
        let model = try Model.load(Fixtures.demoModel, threads: 1)
        let recorder = try sink.map { RoutingRecorder(try Self.header(model), sink: $0) }
        var settings = Engine.Settings(context: 128)
        settings.parallel = texts
        // All prompts come first: reading them allocates.
        settings.chunkShare = 1
        let engine = try Engine(model, settings)
        engine.observer = recorder
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = 60
        request.draft = draft
        var (tokens, ended) = (0, 0)
        var (first, last): (UInt64, UInt64) = (0, 0)
        for text in 0..<texts {
            request.sampling.temperature = text % 2 == 0 ? 0 : 0.9
            request.sampling.seed = UInt64(text)
            let number = try engine.submit(
                request,
                observe: { event in
                    guard case .token = event else { return .proceed }
                    tokens += 1
                    if tokens == 8 * texts { first = foretoken_allocation_count() }
                    if ended == 0 { last = foretoken_allocation_count() }
                    return .proceed
                }, completion: { _ in ended += 1 })
            try recorder?.begin(domain: "code", text: number)
        }
        engine.run()
        recorder?.finish()
        #expect(tokens == 60 * texts && first > 0)
        #expect(last == first, "\(last - first) allocations")
    }

    @Test("Nor do they where copies are chosen and outputs summed apart")
    func roundsOnNodesAllocateNothing() throws {
        let single = try Model.load(Fixtures.demoModel, threads: 1)
        let plan = PlacementPlan.madeUp(single.configuration, nodes: 3) { layer, expert in
            expert % 2 == 0 ? .mirrored([0, 1]) : .shares([1 + layer % 3, 2, 1])
        }
        let model = try Model.load(Fixtures.demoModel, threads: 1, nodes: .madeUp([1, 1, 0]), placement: plan)
        let generator = try Generator(model: model, capacity: 512)
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = 100
        request.draft = .fixed(3)
        var (seen, first, last): (Int, UInt64, UInt64) = (0, 0, 0)
        let result = try generator.generate(request) { event in
            guard case .token = event else { return .proceed }
            seen += 1
            if seen == 5 { first = foretoken_allocation_count() }
            last = foretoken_allocation_count()
            return .proceed
        }
        #expect(last == first, "\(last - first) allocations")
        #expect(result.traffic.count == 3 && result.traffic.allSatisfy { $0.readBytes > 0 })
        #expect(result.traffic[2].remoteBytes > 0, "nobody sits beside the third node")
    }

    @Test(arguments: [DraftMode.off, .fixed(4), .auto]) func recordingAllocatesNothing(draft: DraftMode) throws {
        let model = try Model.load(Fixtures.demoModel, threads: 1)
        let generator = try Generator(model: model, capacity: 1024)
        let sink = ByteCount()
        let recorder = RoutingRecorder(try Self.header(model), sink: sink)
        try recorder.begin(domain: "code")
        generator.observer = recorder
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = 400
        request.draft = draft
        var seen = 0
        var first: UInt64 = 0
        var last: UInt64 = 0
        _ = try generator.generate(request) { event in
            guard case .token = event else { return .proceed }
            seen += 1
            if seen == 5 { first = foretoken_allocation_count() }
            last = foretoken_allocation_count()
            return .proceed
        }
        recorder.finish()
        #expect(seen == 400 && recorder.rowCount >= 400 && sink.count > 400 * 12)
        #expect(last == first, "\(last - first) allocations in 395 tokens")
    }

    private static func header(_ model: Model) throws -> RoutingTraceHeader {
        let configuration = model.configuration
        return try RoutingTraceHeader(
            model: "", layers: (0..<configuration.layerCount).filter { configuration.isMoE(layer: $0) },
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
    }
}

/// Counts what it is given.
private final class ByteCount: RoutingSink {
    private(set) var count = 0

    func write(_ records: UnsafeRawBufferPointer) { count += records.count }
}
