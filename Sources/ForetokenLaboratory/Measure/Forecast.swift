import ForetokenPlacement
import ForetokenSpeculation

/// What a race of draft modes would have come to by the costs of steps and drafts: the same texts in the same order, with
/// the same policy, which learns on the way. Times scatter as they were seen to, for the policy has to live with that.
struct Forecast {
    let times: TrialTimes
    /// [setting][text]
    private var parts: [[Parts]]

    /// Nanoseconds and rounds.
    private struct Parts {
        var elapsed = 0.0
        var drafting = 0.0
        var rounds = 0.0

        static func + (a: Parts, b: Parts) -> Parts {
            Parts(elapsed: a.elapsed + b.elapsed, drafting: a.drafting + b.drafting, rounds: a.rounds + b.rounds)
        }

        static func - (a: Parts, b: Parts) -> Parts {
            Parts(elapsed: a.elapsed - b.elapsed, drafting: a.drafting - b.drafting, rounds: a.rounds - b.rounds)
        }

        init(elapsed: Double = 0, drafting: Double = 0, rounds: Double = 0) {
            (self.elapsed, self.drafting, self.rounds) = (elapsed, drafting, rounds)
        }

        init(_ replay: PolicyReplay) {
            self.init(
                elapsed: replay.elapsed, drafting: replay.drafting, rounds: Double(replay.telemetry.rounds))
        }
    }

    /// - Parameters:
    ///   - settings: the race's.
    ///   - turns: texts in the order in which they were run.
    ///   - records: those of the texts.
    ///   - scatter: times over typical ones, as they occur.
    ///   - seed: of the noise.
    /// - Throws: `HardwareError` without memory.
    init(
        _ settings: [DraftSetting], turns: [Int], _ records: [TextRecord], _ costs: Measurement.StepCosts,
        scatter: [Double], isGreedy: Bool, seed: UInt64
    ) throws {
        let replays = settings.map { setting in
            let limits = setting.limits(hasModules: true)
            var random = SplitMix64(seed: 0xA409_3822_299F_31D0)
            return PolicyReplay(
                setting.mode, costs, isGreedy: isGreedy, usesModules: limits.modules > 0, looksUp: limits.lookup > 0,
                seed: seed
            ) { scatter.isEmpty ? $0 : $0 * scatter[random.index(below: scatter.count)] }
        }
        var times = TrialTimes(settings: settings.count, texts: records.count)
        parts = .init(repeating: .init(repeating: Parts(), count: records.count), count: settings.count)
        for text in turns {
            var taken: [Double] = []
            for (setting, replay) in replays.enumerated() {
                let before = Parts(replay)
                try replay.run(records[text])
                let part = Parts(replay) - before
                parts[setting][text] = parts[setting][text] + part
                taken.append(part.elapsed)
            }
            times.add(taken, text: text)
        }
        self.times = times
    }

    /// What a round takes along these texts, in undrafted steps; nil for the setting that others are compared with.
    func roundCost(_ setting: Int, _ texts: [Int]) -> Measurement.RoundCost? {
        func sum(_ setting: Int) -> Parts { texts.reduce(Parts()) { $0 + parts[setting][$1] } }
        let (plain, own) = (sum(0), sum(setting))
        let all = own.rounds * plain.elapsed / plain.rounds
        guard setting > 0, all > 0 else { return nil }
        return Measurement.RoundCost(checking: (own.elapsed - own.drafting) / all, drafting: own.drafting / all)
    }
}
