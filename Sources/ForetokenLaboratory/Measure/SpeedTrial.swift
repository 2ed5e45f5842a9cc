import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation

/// Runs recorded texts again, in several draft modes that take turns, and compares their times. Steps, drafts and tokens
/// are computed as in generation; the tokens emitted are the record's, which are the same unless they were given.
final class SpeedTrial {
    let settings: [DraftSetting]
    /// Nanoseconds from the first token to the last.
    private(set) var times: TrialTimes
    /// [setting][text]
    private var telemetry: [[Telemetry]]
    /// The texts in the order in which they were run.
    private(set) var turns: [Int] = []
    private let model: Model
    private let pass: ChainPass
    private let sampler: Sampler
    private let isGreedy: Bool
    private let along: TextVerifier
    /// By setting: its rounds, and what it has learnt.
    private let rounds: [(round: Round, experience: DraftExperience)]
    private let lookup: TextLookup

    /// - Parameters:
    ///   - pass: reads the prompts.
    ///   - settings: the first is what the others are compared with.
    ///   - texts: how many there are.
    init(
        _ model: Model, _ pass: ChainPass, settings: [DraftSetting], _ sampler: Sampler, isGreedy: Bool, texts: Int
    ) {
        self.model = model
        self.pass = pass
        self.settings = settings
        self.sampler = sampler
        self.isGreedy = isGreedy
        let along = TextVerifier(model.verifier)
        self.along = along
        rounds = settings.map { _ in
            let experience = DraftExperience()
            return (Round(along, experience, source: Round.source(model, drafting: true)), experience)
        }
        lookup = TextLookup(pass.sequence.tokens, capacity: pass.sequence.capacity + 1)
        times = TrialTimes(settings: settings.count, texts: texts)
        telemetry = .init(repeating: .init(repeating: Telemetry(), count: texts), count: settings.count)
    }

    /// Runs text `index` once in every mode, in an order that turns from call to call.
    /// - Returns: false when `proceed` said no; the unfinished turn does not count.
    func run(_ record: TextRecord, text index: Int, proceed: () -> Bool) -> Bool {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        guard pass.readPrompt(record.tokens, record.promptCount, proceed: proceed) else { return false }
        along.text = record.tokens
        var nanoseconds = [Double](repeating: 0, count: settings.count)
        var counts = [Telemetry](repeating: Telemetry(), count: settings.count)
        let turn = turns.count
        let order = settings.indices.map { ($0 + turn) % settings.count }
        for setting in turn % 2 == 0 ? order : order.reversed() {
            pass.rewind(record.promptCount)
            let session = session(setting, record)
            session.emit(record.tokens[record.promptCount])
            let sessions = [session]
            let started = MonotonicClock.now
            var done = 0
            while session.reason == nil {
                done += 1
                if done % Self.patience == 0 && !proceed() { return false }
                rounds[setting].round.run(sessions)
            }
            nanoseconds[setting] = Double(MonotonicClock.now - started)
            counts[setting] = session.telemetry
            guard proceed() else { return false }
        }
        turns.append(index)
        for setting in settings.indices { telemetry[setting][index].add(counts[setting]) }
        times.add(nanoseconds, text: index)
        return true
    }

    /// What a setting drafted along these texts.
    func telemetry(_ setting: Int, _ texts: [Int]) -> Telemetry {
        texts.reduce(into: Telemetry()) { $0.add(telemetry[setting][$1]) }
    }

    /// Rounds between two looks at whether to go on: looking takes time.
    private static let patience = 16

    private func session(_ setting: Int, _ record: TextRecord) -> Session {
        let sequence = pass.sequence
        let (modules, looks) = settings[setting].limits(hasModules: model.draftHead != nil)
        var request = GenerationRequest(prompt: [])
        request.maximumTokens = record.limit - record.promptCount
        let policy = DraftPolicy(
            settings[setting].mode, limit: modules, lookup: looks, isGreedy: isGreedy, rounds[setting].experience)
        lookup.clear()
        return Session(
            request, on: sequence, sampler, policy, lookup: looks > 0 ? lookup : nil,
            observe: { _ in sequence.count < record.tokens.count ? .proceed : .stop })
    }
}

/// Nanoseconds that texts took in several settings that took turns.
struct TrialTimes {
    /// [setting][text][turn]
    private var all: [[[Double]]]

    init(settings: Int, texts: Int) {
        all = .init(repeating: .init(repeating: [], count: texts), count: settings)
    }

    /// - Parameter times: by setting.
    mutating func add(_ times: [Double], text: Int) {
        for (setting, time) in times.enumerated() { all[setting][text].append(time) }
    }

    /// Turns of these texts.
    func turns(of texts: [Int]) -> Int { texts.reduce(0) { $0 + all[0][$1].count } }

    /// What the texts take, by the medians of their turns.
    func total(_ setting: Int, _ texts: [Int]) -> Double { texts.reduce(0) { $0 + median(all[setting][$1]) } }

    /// Speed over the first setting's.
    func ratio(_ setting: Int, _ texts: [Int]) -> Double { total(0, texts) / total(setting, texts) }

    /// The same with an interval from resampled texts and, within them, resampled turns.
    func speed(_ setting: Int, _ texts: [Int]) -> Estimate {
        var random = SplitMix64(seed: 0x1319_8A2E_0370_7344)
        let samples = (0..<Self.resampleCount).map { _ -> Double in
            var (plain, drafted) = (0.0, 0.0)
            for _ in texts {
                let text = texts[random.index(below: texts.count)]
                let turns = all[setting][text].indices.map { _ in random.index(below: all[setting][text].count) }
                plain += median(turns.map { all[0][text][$0] })
                drafted += median(turns.map { all[setting][text][$0] })
            }
            return plain / drafted
        }
        return Estimate(
            ratio(setting, texts), Bootstrap.percentiles(samples.sorted()), orWider: nil, count: turns(of: texts))
    }

    private static let resampleCount = 500
}
