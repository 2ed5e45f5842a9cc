import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Times steps of one row of several texts each along the model's own greedy continuations, and what an engine makes of
/// them.
final class CompanyBench {
    /// Texts at once.
    static let sizes = [1, 2, 4, 8, 16]
    /// Tokens of each prompt.
    static let context = 32
    /// Most tokens that one sample generates for a text.
    private static let mostTokens = 64
    private static let sampleNanoseconds = 300_000_000.0

    /// Tokens that a text may come to.
    static let capacity = context + mostTokens

    private let model: Model
    private let texts: [TokenSequence]
    private let prompts: [[Int32]]
    private let weights: TouchedWeights
    private let plain, drafting: Engine
    private var step = Step()
    private var turn = 0
    /// By index in `sizes`.
    private var times, relatives, touched: [[Double]]
    private var plainSpeeds, draftingSpeeds: [[Double]]

    /// - Parameter tokens: what prompts are made of; each text begins elsewhere in them.
    /// - Throws: `HardwareError` without memory for the texts.
    init(_ model: Model, tokens: [Int32], cacheType: CacheType) throws {
        self.model = model
        let most = Self.sizes.last!
        prompts = (0..<most).map { text in
            (0..<Self.context).map { tokens[(text * tokens.count / most + $0) % tokens.count] }
        }
        let pool = try model.makePool(
            pages: most * LatentPool.pages(forPositions: Self.capacity), cacheType: cacheType, drafting: false)
        texts = try prompts.map { prompt in
            let text = try model.makeSequence(context: Self.capacity, in: pool)
            text.append(prompt)
            return text
        }
        weights = TouchedWeights(model)
        func engine(drafting: Bool) throws -> Engine {
            var settings = Engine.Settings(context: Self.capacity)
            settings.cacheType = cacheType
            settings.drafting = drafting
            settings.chunkShare = 1
            return try Engine(model, settings)
        }
        plain = try engine(drafting: false)
        drafting = try engine(drafting: true)
        let empty = [[Double]](repeating: [], count: Self.sizes.count)
        (times, relatives, touched, plainSpeeds, draftingSpeeds) = (empty, empty, empty, empty, empty)
    }

    /// Texts that there are pages for: of the steps, and of both engines.
    static let textCount = 3 * sizes.last!

    /// One sample of every number of texts: steps beside those of one text, then generation with and without drafts.
    /// - Returns: false when `proceed` said no.
    func run(proceed: () -> Bool) throws -> Bool {
        if texts[0].position == 0 { prepare() }
        for (i, size) in Self.sizes.enumerated() {
            guard proceed() else { return false }
            let begun = MonotonicClock.now
            repeat {
                turn += 1
                let position = Self.context + turn * 7 % (Self.mostTokens - 1)
                let alone = time(of: 1, at: position)
                let together = size == 1 ? alone : time(of: size, at: position)
                times[i].append(together)
                relatives[i].append(together / alone)
            } while Double(MonotonicClock.now - begun) < Self.sampleNanoseconds / 4
            let count = tokenCount(median(times[i]))
            for isDrafting in model.draftHead == nil ? [false] : [false, true] {
                guard proceed() else { return false }
                guard let speed = try generate(size, tokens: count, isDrafting, proceed) else { return false }
                if isDrafting { draftingSpeeds[i].append(speed) } else { plainSpeeds[i].append(speed) }
            }
        }
        return true
    }

    /// Reads the prompts, continues all texts greedily, and counts what steps along them read.
    private func prepare() {
        var reader = PromptReader(model, drafting: false)
        for text in texts { reader.read(text, to: Self.context - 1) }
        for position in Self.context - 1..<Self.capacity - 1 {
            _ = time(of: texts.count, at: position)
            for (row, text) in texts.enumerated() { text.append([model.verifier.drawn(row: row)]) }
        }
        model.verifier.observer = weights
        defer { model.verifier.observer = nil }
        for (i, size) in Self.sizes.enumerated() {
            for position in Self.context..<Self.capacity - 1 {
                weights.begin()
                _ = time(of: size, at: position)
                touched[i].append(weights.bytes)
            }
        }
    }

    private func tokenCount(_ step: Double) -> Int {
        max(4, min(Self.mostTokens, Int(Self.sampleNanoseconds / max(1, step))))
    }

    /// Nanoseconds of a step of one row of each of so many texts.
    private func time(of size: Int, at position: Int) -> Double {
        step.clear()
        for text in texts[..<size] {
            text.jump(to: position)
            step.add(text, count: 1)
        }
        let begun = MonotonicClock.now
        model.verifier.run(step)
        model.verifier.computeLogits(first: 0, count: size)
        return Double(MonotonicClock.now - begun)
    }

    /// Tokens a second of all texts, from the last one's first token on; nil when ended.
    private func generate(_ size: Int, tokens count: Int, _ isDrafting: Bool, _ proceed: () -> Bool) throws -> Double? {
        let engine = isDrafting ? drafting : plain
        var started: Int64 = 0
        var waiting = size
        var counted = 0
        var goesOn = true
        // The engine lets the workers rest.
        defer { model.pool.startSpinning() }
        try withoutActuallyEscaping(proceed) { proceed in
            for prompt in prompts[..<size] {
                var request = GenerationRequest(prompt: prompt)
                request.maximumTokens = count
                request.draft = isDrafting ? .auto : .off
                request.sources = .mtp
                var isFirst = true
                try engine.submit(
                    request,
                    observe: { event in
                        guard case .token = event else {
                            goesOn = goesOn && proceed()
                            return goesOn ? .proceed : .cancel
                        }
                        if isFirst {
                            isFirst = false
                            waiting -= 1
                            if waiting == 0 { started = MonotonicClock.now }
                        } else if waiting == 0 {
                            counted += 1
                        }
                        return goesOn ? .proceed : .cancel
                    }, completion: { _ in })
            }
            engine.run()
        }
        let ended = MonotonicClock.now
        guard goesOn && proceed() else { return nil }
        return Double(counted) / Double(ended - started) * 1e9
    }

    /// Empty before anything was timed.
    var results: [BenchReport.Company] {
        Self.sizes.indices.filter { !plainSpeeds[$0].isEmpty }.map { i in
            let relative = median(relatives[i])
            let bytes = mean(touched[i]) / mean(touched[0])
            let speed = median(plainSpeeds[i])
            return BenchReport.Company(
                texts: Self.sizes[i], time: median(times[i]), relative: relative, relativeBytes: bytes,
                tokensPerSecond: speed, overOne: speed / median(plainSpeeds[0]),
                overSteps: speed / (Double(Self.sizes[i]) / median(times[i]) * 1e9),
                byteBound: Double(Self.sizes[i]) / bytes,
                adaptiveTokensPerSecond: draftingSpeeds[i].isEmpty ? nil : median(draftingSpeeds[i]))
        }
    }
}

/// Counts the bytes of weights that a step reads: dense ones, and its distinct experts.
private final class TouchedWeights: StepObserver {
    let wantsValues = false
    private let denseBytes: Double
    private let expertBytes: [Int]
    /// By layer.
    private var experts: [DistinctExperts]

    init(_ model: Model) {
        denseBytes = Double(model.denseBytesPerStep)
        expertBytes = model.expertBytes
        let distinct = DistinctExperts(experts: model.configuration.routedExpertCount)
        experts = .init(repeating: distinct, count: expertBytes.count)
    }

    /// Begins a step.
    func begin() { for layer in experts.indices { experts[layer].begin() } }

    var bytes: Double {
        experts.indices.reduce(denseBytes) { $0 + Double(experts[$1].count * expertBytes[$1]) }
    }

    func saw(_ site: StepSite, _ rows: StepRows) {}

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        for i in 0..<rows.count * perRow { experts[layer].add(chosen[i]) }
    }
}
