import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Measures how often a checkpoint's drafts hold, and what that buys on this machine.
public final class Measurer {
    private let model: Model
    private let plan: MeasuringPlan
    private let verifier: Verifier
    /// Makes the modules' drafts; nil where there are none to be made.
    private let draftHead: MTPHead?
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
    /// - Throws: `GenerationError` when modules alone are to draft and there are none; `HardwareError` without memory for the
    ///   caches.
    public init(
        model: Model, plan: MeasuringPlan, context: Int, cacheType: CacheType = .f32, drawable: Int? = nil
    ) throws {
        guard model.draftHead != nil || plan.sources.looksUp else {
            throw GenerationError(description: "the checkpoint has no MTP module, so there are no drafts to measure")
        }
        self.model = model
        self.plan = plan
        draftHead = plan.sources.usesModules ? model.draftHead : nil
        self.drawable = min(drawable ?? .max, model.configuration.vocabularySize)
        self.cacheType = cacheType
        verifier = model.verifier
        pass = ChainPass(
            model, draftHead, try model.makeSequence(context: context, cacheType: cacheType),
            depth: draftHead == nil ? 0 : plan.chainDepth, drawable: self.drawable)
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
            measurement.isPartial = try !time(&measurement, proceed)
        }
        return measurement
    }

    // MARK: Acceptance

    private func draft(
        _ texts: [MeasuredText], _ overlap: OverlapRecorder, _ proceed: (String, Double) -> Bool
    ) throws -> Bool {
        let continuer = try Continuer(
            model, texts: texts.count { $0.isContinued }, context: pass.sequence.capacity, cacheType: cacheType,
            drawable: drawable)
        var done = 0
        let total = plan.temperatures.reduce(0.0) { sum, temperature in
            sum + Double(texts.count { $0.isMeasured(temperature) })
        }
        for first in stride(from: 0, to: texts.count, by: continuer.parallel) {
            let some = texts[first..<min(first + continuer.parallel, texts.count)]
            for (order, temperature) in plan.temperatures.enumerated() {
                func goesOn() -> Bool { proceed("drafting", Double(done) / total) }
                let wanted = some.filter(\.isContinued).map {
                    (request: request($0, temperature), domain: $0.domain)
                }
                guard var made = try continuer.run(wanted, recorder: recorder, proceed: goesOn) else { return false }
                for text in some where text.isMeasured(temperature) {
                    let more = text.isContinued ? made.removeFirst()[...] : answer(text)
                    let tokens = text.tokens + more
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
        let recorder = !text.isContinued && overlap != nil ? recorder : nil
        try recorder?.begin(domain: text.domain, text: pass.sequence.number)
        verifier.observer = overlap.map { ObserverPair($0, recorder) }
        defer { verifier.observer = nil }
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        guard
            var chains = try pass.run(
                tokens, promptCount: promptCount, sampling: request.sampling, proceed: proceed)
        else { return nil }
        let isMadeToSay = text.answer != nil
        if isMadeToSay { for i in chains.indices { chains[i].choice = tokens[chains[i].position + 1] } }
        overlap?.finish(promptCount..<max(promptCount, tokens.count - 1))
        return TextRecord(
            domain: text.domain, tokens: tokens, promptCount: promptCount, isGiven: text.isGiven,
            isMadeToSay: isMadeToSay,
            limit: min(promptCount + request.maximumTokens, pass.sequence.capacity + 1),
            depth: draftHead == nil ? 0 : plan.chainDepth, chains: chains)
    }

    private func request(_ text: MeasuredText, _ temperature: Float) -> GenerationRequest {
        var request = GenerationRequest(prompt: text.tokens)
        request.maximumTokens = min(plan.maximumTokens, pass.sequence.capacity + 1)
        request.sampling = plan.sampling
        request.sampling.temperature = temperature
        request.stopTokens = plan.stopTokens
        request.sources = plan.sources
        return request
    }

    /// What is said behind a prompt whose answer is given.
    private func answer(_ text: MeasuredText) -> ArraySlice<Int32> {
        (text.answer ?? []).prefix(
            max(0, min(plan.maximumTokens, pass.sequence.capacity + 1 - text.tokens.count)))
    }

    private func condition(_ temperature: Float, _ records: [TextRecord]) throws -> Measurement.Condition {
        var names: [String] = []
        for record in records where !names.contains(record.domain) { names.append(record.domain) }
        var domains = try names.map { name in
            try Measurement.DomainAcceptance(name, records.filter { $0.domain == name }, plan)
        }
        if names.count > 1 {
            domains.append(
                try Measurement.DomainAcceptance("all", records.summed.map { records[$0] }, plan, isSummary: true))
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

    private func time(_ measurement: inout Measurement, _ proceed: (String, Double) -> Bool) throws -> Bool {
        // Not worth losing everything else for.
        let bandwidth = (try? model.pool.measureReadBandwidth(cacheBytes: plan.cacheBytes)) ?? 0
        for (order, temperature) in plan.temperatures.enumerated() where !records[order].isEmpty {
            var sampling = plan.sampling
            sampling.temperature = temperature
            let sampler = Sampler(sampling, limit: drawable, instructionSet: model.instructionSet)
            let timer = StepTimer(verifier, draftHead, pass, sampler, isGreedy: temperature == 0)
            let trial = SpeedTrial(
                model, pass, settings: plan.settings(hasModules: draftHead != nil), sampler,
                isGreedy: temperature == 0, texts: records[order].count)
            let goesOn = time(records[order], timer, trial, proceed)
            guard let costs = timer.costs(bytesPerStep: model.bytesPerStep, bandwidth: bandwidth) else { return goesOn }
            if measurement.costs == nil { measurement.costs = costs }
            if !trial.turns.isEmpty {
                let forecast = try Forecast(
                    trial.settings, turns: trial.turns, records[order], costs, scatter: timer.scatter(),
                    isGreedy: temperature == 0, seed: plan.sampling.seed)
                compare(trial, forecast, records[order], temperature, costs, &measurement)
                if order == 0, let auto = trial.settings.firstIndex(where: { $0.mode == .auto }) {
                    let texts = Set(records[order].summed).intersection(trial.turns).sorted()
                    measurement.adaptive = Measurement.AdaptiveChoice(trial.telemetry(auto, texts))
                }
            }
            guard goesOn else { return false }
        }
        return true
    }

    /// Times steps and lets the draft modes race, text by text in turns: what slows the machine down for a while then
    /// slows both down. Ends with the time, but not before everything was done a few times.
    private func time(
        _ records: [TextRecord], _ timer: StepTimer, _ trial: SpeedTrial, _ proceed: (String, Double) -> Bool
    ) -> Bool {
        // A given text has no continuation to race for, nor has one that ended at once.
        let racing = records.indices.filter { !records[$0].isGiven && !records[$0].chains.isEmpty }
        let started = MonotonicClock.now
        for turn in 0... {
            let spent = Double(MonotonicClock.now - started) / 1e9 / plan.timingSeconds
            func goesOn() -> Bool { proceed("timing", min(1, spent)) }
            // Short texts may never be long enough to time every width.
            if spent >= 1 && turn > 0 && (timer.fewest >= Self.fewestSamples || turn >= Self.mostTurns) { break }
            guard time(records, timer, turn, goesOn) else { return false }
            guard !racing.isEmpty else { continue }
            let index = racing[turn % racing.count]
            guard trial.run(records[index], text: index, proceed: goesOn) else { return false }
        }
        return true
    }

    /// Times steps along a few texts, about as long as one turn of a race.
    private func time(_ records: [TextRecord], _ timer: StepTimer, _ turn: Int, _ proceed: () -> Bool) -> Bool {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        for i in 0..<Self.textsPerTurn {
            let record = records[(turn * Self.textsPerTurn + i) % records.count]
            guard timer.run(record, proceed: proceed) else { return false }
        }
        return true
    }

    private static let textsPerTurn = 4
    private static let fewestSamples = 3
    /// Turns that time may be exceeded for.
    private static let mostTurns = 24

    /// What a race came to, beside what the costs foretell of it.
    private func compare(
        _ trial: SpeedTrial, _ forecast: Forecast, _ records: [TextRecord], _ temperature: Float,
        _ costs: Measurement.StepCosts, _ measurement: inout Measurement
    ) {
        let raced = Set(trial.turns).sorted()
        let all = Set(records.summed).intersection(raced).sorted()
        if !all.isEmpty {
            for setting in trial.settings.indices {
                measurement.speeds.append(
                    Measurement.SpeedComparison(trial, forecast, setting, temperature, records, all))
            }
        }
        guard plan.includesAuto else { return }
        for (domain, texts) in records.grouped(raced) {
            let context =
                texts.reduce(0) { $0 + Double(records[$1].promptCount + records[$1].tokens.count) / 2 }
                / Double(texts.count)
            if let speed = Measurement.DomainSpeed(
                domain, trial, forecast, temperature, texts, copyLimit: costs.copyLimit(context: context))
            {
                measurement.domainSpeeds.append(speed)
            }
        }
    }
}

extension MeasuredText {
    /// Whether the model itself goes on with it.
    var isContinued: Bool { !isGiven && answer == nil }

    /// Whether it is measured at a temperature: given answers stand for the likeliest tokens.
    func isMeasured(_ temperature: Float) -> Bool { answer == nil || temperature == 0 }
}

extension [TextRecord] {
    /// Places of those that are summed up as `all`: not those whose answers were given, unless all were.
    var summed: [Int] {
        let own = indices.filter { !self[$0].isMadeToSay }
        return own.isEmpty ? Array<Int>(indices) : own
    }

    /// These places by domain, in the order of the records.
    func grouped(_ places: [Int]) -> [(domain: String, texts: [Int])] {
        var groups: [(domain: String, texts: [Int])] = []
        for place in places {
            if let group = groups.firstIndex(where: { $0.domain == self[place].domain }) {
                groups[group].texts.append(place)
            } else {
                groups.append((self[place].domain, [place]))
            }
        }
        return groups
    }
}

extension Measurement.SpeedComparison {
    /// - Parameter texts: those to speak of; each was run.
    init(
        _ trial: SpeedTrial, _ forecast: Forecast, _ setting: Int, _ temperature: Float, _ records: [TextRecord],
        _ texts: [Int]
    ) {
        let telemetry = trial.telemetry(setting, texts)
        let tokens = texts.reduce(0) { $0 + records[$1].tokens.count - records[$1].promptCount - 1 }
        self.init(
            draft: trial.settings[setting].mode.name, sources: trial.settings[setting].sources.rawValue,
            temperature: temperature, predicted: setting == 0 ? 1 : forecast.times.ratio(setting, texts),
            measured: trial.times.speed(setting, texts),
            tokensPerSecond: Double(tokens) / trial.times.total(setting, texts) * 1e9,
            tokensPerRound: max(1, telemetry.tokensPerRound), prompts: texts.count,
            roundCost: forecast.roundCost(setting, texts))
        drafts.modules = telemetry.modules.drafted
        drafts.modulesHeld = telemetry.modules.accepted
        drafts.lookup = telemetry.lookup.drafted
        drafts.lookupHeld = telemetry.lookup.accepted
    }
}

extension Measurement.DomainSpeed {
    /// Nil where `auto` was not run.
    init?(
        _ domain: String, _ trial: SpeedTrial, _ forecast: Forecast, _ temperature: Float, _ texts: [Int],
        copyLimit: (rows: Int, speedup: Double)?
    ) {
        let settings = trial.settings
        guard let auto = settings.firstIndex(where: { $0.mode == .auto }),
            let best = settings.indices.filter({ settings[$0].mode != .auto })
                .max(by: { trial.times.ratio($0, texts) < trial.times.ratio($1, texts) })
        else { return nil }
        self.init(
            domain: domain, temperature: temperature, prompts: texts.count, auto: trial.times.speed(auto, texts),
            predicted: forecast.times.ratio(auto, texts), best: settings[best].mode.name,
            bestSpeed: trial.times.speed(best, texts), copyLimit: copyLimit?.speedup, copyRows: copyLimit?.rows)
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
