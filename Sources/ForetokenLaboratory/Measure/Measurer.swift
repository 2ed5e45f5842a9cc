import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Measures how often a checkpoint's drafts hold, and what that buys on this machine.
public final class Measurer {
    private let model: Model
    private let plan: MeasuringPlan
    private let generator: Generator
    private let verifier: Verifier
    private let draftHead: MTPHead
    private let pass: ChainPass
    private let drawable: Int
    private let cacheType: CacheType
    /// Records the rounds of the generated texts, and the rows of given ones, each text under its domain. What is run
    /// again, for drafts behind every token or for times, is not recorded.
    public var recorder: RoutingRecorder?
    /// By temperature.
    package private(set) var records: [[TextRecord]]

    /// - Parameters:
    ///   - context: tokens of the longest text with its continuation.
    ///   - drawable: ids from here on have no token and are never drawn; nil when all may be.
    /// - Throws: `GenerationError` when the checkpoint has no MTP module; `HardwareError` without memory for the caches.
    public init(
        model: Model, plan: MeasuringPlan, context: Int, cacheType: CacheType = .f32, drawable: Int? = nil
    ) throws {
        guard let draftHead = model.draftHead else {
            throw GenerationError(description: "the checkpoint has no MTP module, so there are no drafts to measure")
        }
        self.model = model
        self.plan = plan
        self.draftHead = draftHead
        self.drawable = min(drawable ?? .max, model.configuration.vocabularySize)
        self.cacheType = cacheType
        verifier = model.verifier
        generator = try Generator(model: model, capacity: context, cacheType: cacheType, drawable: drawable)
        pass = ChainPass(
            model, draftHead, try model.makeSequence(context: context, cacheType: cacheType), depth: plan.chainDepth,
            drawable: self.drawable)
        records = .init(repeating: [], count: plan.temperatures.count)
    }

    /// Measures along the texts, domains in turn, so that what is there after an interruption tells of all of them.
    ///
    /// - Parameter proceed: told what is going on and the fraction done of it; false ends the work with what there is.
    /// - Throws: `GenerationError` for texts the model cannot take or logits that overflow; `HardwareError`.
    public func run(
        _ texts: [MeasuredText], proceed: (_ stage: String, _ fraction: Double) -> Bool
    ) throws -> Measurement {
        let texts = Self.interleaved(texts)
        var measurement = Measurement()
        let overlap = OverlapRecorder(
            layers: model.configuration.layerCount, experts: model.configuration.routedExpertCount)
        measurement.isPartial = try !draft(texts, overlap, proceed)
        measurement.conditions = try zip(plan.temperatures, records).compactMap { temperature, records in
            records.isEmpty ? nil : try condition(temperature, records)
        }
        measurement.overlap = overlap.layers
        if !measurement.isPartial && plan.timingSeconds > 0 {
            measurement.isPartial = try !time(texts, &measurement, proceed)
        }
        return measurement
    }

    // MARK: Acceptance

    private func draft(
        _ texts: [MeasuredText], _ overlap: OverlapRecorder, _ proceed: (String, Double) -> Bool
    ) throws -> Bool {
        let continuer = try Continuer(
            model, texts: texts.count { !$0.isGiven }, context: generator.capacity, cacheType: cacheType,
            drawable: drawable)
        var done = 0
        let total = Double(texts.count * plan.temperatures.count)
        for first in stride(from: 0, to: texts.count, by: continuer.parallel) {
            let some = texts[first..<min(first + continuer.parallel, texts.count)]
            for (order, temperature) in plan.temperatures.enumerated() {
                func goesOn() -> Bool { proceed("drafting", Double(done) / total) }
                let wanted = some.filter { !$0.isGiven }.map { (request: request($0, temperature), domain: $0.domain) }
                guard var made = try continuer.run(wanted, recorder: recorder, proceed: goesOn) else { return false }
                for text in some {
                    let tokens = text.tokens + (text.isGiven ? [] : made.removeFirst())
                    let overlap = order == 0 ? overlap : nil
                    guard let record = try record(text, tokens, temperature, overlap, goesOn) else { return false }
                    records[order].append(record)
                    done += 1
                }
            }
        }
        return true
    }

    private func record(
        _ text: MeasuredText, _ tokens: [Int32], _ temperature: Float, _ overlap: OverlapRecorder?,
        _ proceed: () -> Bool
    ) throws -> TextRecord? {
        let promptCount = text.isGiven ? 1 : text.tokens.count
        let request = request(text, temperature)
        // A given text's rows are the same at every temperature.
        let recorder = text.isGiven && overlap != nil ? recorder : nil
        try recorder?.begin(domain: text.domain, text: pass.sequence.number)
        verifier.observer = overlap.map { ObserverPair($0, recorder) }
        defer { verifier.observer = nil }
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        guard
            let chains = try pass.run(
                tokens, promptCount: promptCount, sampling: request.sampling, proceed: proceed)
        else { return nil }
        overlap?.finish(promptCount..<max(promptCount, tokens.count - 1))
        return TextRecord(
            domain: text.domain, tokens: tokens, promptCount: promptCount, isGiven: text.isGiven,
            limit: min(promptCount + request.maximumTokens, generator.capacity + 1), depth: plan.chainDepth,
            chains: chains)
    }

    private func request(_ text: MeasuredText, _ temperature: Float) -> GenerationRequest {
        var request = GenerationRequest(prompt: text.tokens)
        request.maximumTokens = min(plan.maximumTokens, generator.capacity + 1)
        request.sampling = plan.sampling
        request.sampling.temperature = temperature
        request.stopTokens = plan.stopTokens
        request.sources = .mtp
        return request
    }

    private func condition(_ temperature: Float, _ records: [TextRecord]) throws -> Measurement.Condition {
        var names: [String] = []
        for record in records where !names.contains(record.domain) { names.append(record.domain) }
        var domains = try names.map { name in
            try Measurement.DomainAcceptance(
                name, records.filter { $0.domain == name }, depth: plan.depth, lengths: plan.lengths)
        }
        if names.count > 1 {
            domains.append(
                try Measurement.DomainAcceptance(
                    "all", records, depth: plan.depth, lengths: plan.lengths, isSummary: true))
        }
        return Measurement.Condition(temperature: temperature, domains: domains)
    }

    /// One text of each domain in turn.
    private static func interleaved(_ texts: [MeasuredText]) -> [MeasuredText] {
        var seen: [String: Int] = [:]
        let ranked = texts.enumerated().map { index, text in
            seen[text.domain, default: 0] += 1
            return (rank: seen[text.domain]!, index: index, text: text)
        }
        return ranked.sorted { ($0.rank, $0.index) < ($1.rank, $1.index) }.map(\.text)
    }

    // MARK: Time

    private func time(
        _ texts: [MeasuredText], _ measurement: inout Measurement, _ proceed: (String, Double) -> Bool
    ) throws -> Bool {
        // Not worth losing everything else for.
        let bandwidth = (try? model.pool.measureReadBandwidth(cacheBytes: plan.cacheBytes)) ?? 0
        for (order, temperature) in plan.temperatures.enumerated() {
            var sampling = plan.sampling
            sampling.temperature = temperature
            let timer = StepTimer(
                verifier, draftHead, pass,
                Sampler(sampling, limit: drawable, instructionSet: model.instructionSet), isGreedy: temperature == 0)
            let trial = SpeedTrial(generator, modes: modes, prompts: texts.count)
            let goesOn = try time(texts, order, timer, trial, proceed)
            guard let costs = timer.costs(bytesPerStep: model.bytesPerStep, bandwidth: bandwidth) else { return goesOn }
            if order == 0 { measurement.costs = costs }
            let raced = records[order].indices.filter { trial.hasRaced($0) }.map { records[order][$0] }
            if !raced.isEmpty {
                measurement.speeds += try speeds(trial, raced, temperature, costs)
                if order == 0, plan.includesAuto, let telemetry = trial.telemetry.last {
                    measurement.adaptive = Measurement.AdaptiveChoice(telemetry)
                }
            }
            guard goesOn else { return false }
        }
        return true
    }

    /// Times steps and lets the draft modes race, text by text in turns: what slows the machine down for a while then
    /// slows both down. Ends with the time, but not before everything was done a few times.
    private func time(
        _ texts: [MeasuredText], _ order: Int, _ timer: StepTimer, _ trial: SpeedTrial,
        _ proceed: (String, Double) -> Bool
    ) throws -> Bool {
        let started = MonotonicClock.now
        for turn in 0... {
            let spent = Double(MonotonicClock.now - started) / 1e9 / plan.timingSeconds
            func goesOn() -> Bool { proceed("timing", min(1, spent)) }
            // Short texts may never be long enough to time every width.
            if spent >= 1 && turn > 0 && (timer.fewest >= Self.fewestSamples || turn >= 3 * texts.count) { break }
            guard time(order, timer, turn, goesOn) else { return false }
            // A given text has no continuation to race for.
            let index = turn % texts.count
            if texts[index].isGiven { continue }
            let request = request(texts[index], plan.temperatures[order])
            guard try trial.run(request, prompt: index, proceed: goesOn) else { return false }
        }
        return true
    }

    /// Times steps along a few texts, about as long as one turn of a race.
    private func time(_ order: Int, _ timer: StepTimer, _ turn: Int, _ proceed: () -> Bool) -> Bool {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        for i in 0..<Self.textsPerTurn {
            let record = records[order][(turn * Self.textsPerTurn + i) % records[order].count]
            guard timer.run(record, proceed: proceed) else { return false }
        }
        return true
    }

    private static let textsPerTurn = 4
    private static let fewestSamples = 3

    private var modes: [DraftMode] {
        [.off] + plan.lengths.map { DraftMode.fixed($0) } + (plan.includesAuto ? [.auto] : [])
    }

    private func speeds(
        _ trial: SpeedTrial, _ raced: [TextRecord], _ temperature: Float, _ costs: Measurement.StepCosts
    ) throws -> [Measurement.SpeedComparison] {
        try trial.modes.indices.compactMap { index in
            let predicted: Double? =
                switch trial.modes[index] {
                case .off: 1
                case .auto: try replay(raced, temperature, costs)
                case .fixed(let length):
                    costs.speedup(drafts: length, tokens: try raced.tokensPerRound(length: length))
                }
            return trial.comparison(index, temperature: temperature, predicted: predicted)
        }
    }

    /// Speed-up that the adaptive policy would reach if every step took its median time.
    private func replay(
        _ records: [TextRecord], _ temperature: Float, _ costs: Measurement.StepCosts
    ) throws -> Double? {
        let modes = [DraftMode.off, .auto].map { PolicyReplay($0, costs, isGreedy: temperature == 0) }
        for record in records where !record.isGiven {
            for mode in modes { try mode.run(record) }
        }
        return modes[1].elapsed > 0 ? modes[0].elapsed / modes[1].elapsed : nil
    }
}

extension Measurement.AdaptiveChoice {
    init(_ telemetry: Telemetry) {
        // Rounds that verified at least k drafts.
        let atLeast = [telemetry.rounds] + telemetry.drafted + [0]
        shares = (0..<atLeast.count - 1).map {
            Double(atLeast[$0] - atLeast[$0 + 1]) / Double(max(1, telemetry.rounds))
        }
    }
}
