/// How many tokens a round drafts.
public enum DraftMode: Sendable, Equatable {
    /// None: plain decoding.
    case off
    /// Always this many (1...8), unless fewer can still be emitted.
    case fixed(Int)
    /// What measured times and measured acceptance make fastest, each round anew; zero is a choice.
    case auto
}

/// Chooses each round's draft length from measured cost and measured acceptance: the length with the most expected
/// tokens per second. It decides speed alone; the output is the same whatever it says.
struct DraftPolicy {
    private let mode: DraftMode
    private let limit: Int

    /// Nanoseconds of a verify step by number of drafts (rows − 1); 0 while unmeasured.
    private var verify = Lengths(repeating: 0)
    /// Nanoseconds of drafting by number of drafts, catch-up included; 0 while unmeasured.
    private var drafting = Lengths(repeating: 0)
    /// Chance that draft j is right, given that the drafts before it were.
    private var acceptance = Lengths(repeating: 0.65)
    private var roundsSinceProbe = 0
    private var probesLeft = 0
    private var chosen = 0
    private var rounds = 0

    private typealias Lengths = SIMD16<Double>

    init(_ mode: DraftMode, limit: Int) {
        self.limit = limit
        self.mode = limit == 0 ? .off : mode
    }

    /// Whether hidden rows have to be kept for drafting at all.
    var mayDraft: Bool { mode != .off }

    /// Drafts for the next round, at most `room`.
    mutating func next(room: Int) -> Int {
        switch mode {
        case .off: return 0
        case .fixed(let length): return max(0, min(length, room, limit))
        case .auto: return min(adaptive(), max(0, room))
        }
    }

    private mutating func adaptive() -> Int {
        rounds += 1
        // One measured round each of the lengths everything else is estimated from.
        if verify[1] == 0 { return 1 }
        if verify[0] == 0 { return 0 }
        if probesLeft > 0 {
            probesLeft -= 1
            return 1
        }
        chosen = best()
        if chosen > 0 {
            roundsSinceProbe = 0
            return chosen
        }
        roundsSinceProbe += 1
        guard roundsSinceProbe >= probeInterval else { return 0 }
        roundsSinceProbe = 0
        probesLeft = Self.probeLength - 1
        return 1
    }

    /// Rounds of one probe: enough to notice that drafting pays again.
    private static let probeLength = 2
    /// Share of elapsed time that probing may cost.
    private static let probeBudget = 0.008

    /// Undrafted rounds between probes, so that the time a probe loses stays within the budget.
    private var probeInterval: Int {
        let loss = Double(Self.probeLength) * max(0, time(1) - expectedTokens(1) * time(0))
        return max(24, Int(loss / (Self.probeBudget * time(0))))
    }

    private func best() -> Int {
        var best = 0
        var bestRate = 1 / time(0)
        for length in 1...limit {
            let rate = expectedTokens(length) / time(length)
            if rate > bestRate {
                bestRate = rate
                best = length
            }
            // Beyond one unmeasured length nothing is known; it will be measured if it looks best.
            if verify[length] == 0 { break }
        }
        return best
    }

    private func expectedTokens(_ length: Int) -> Double {
        var tokens = 1.0
        var chance = 1.0
        for draft in 1...max(1, length) where draft <= length {
            chance *= acceptance[draft]
            tokens += chance
        }
        return tokens
    }

    /// Round time at a length; an unmeasured one costs as much more than its neighbour as the neighbour did.
    private func time(_ length: Int) -> Double { estimate(verify, length) + estimate(drafting, length) }

    private func estimate(_ times: Lengths, _ length: Int) -> Double {
        guard length > 0, times[length] == 0 else { return times[length] }
        let below = estimate(times, length - 1)
        return below + max(0, below - (length > 1 ? estimate(times, length - 2) : 0))
    }

    /// Takes what a round took and brought.
    mutating func record(drafted: Int, accepted: Int, draftNanoseconds: Int64, verifyNanoseconds: Int64) {
        guard mode == .auto else { return }
        blend(\.verify, drafted, Double(verifyNanoseconds))
        if drafted > 0 { blend(\.drafting, drafted, Double(draftNanoseconds)) }
        guard drafted > 0 else { return }
        for draft in 1...drafted where draft <= accepted + 1 {
            let hit = draft <= accepted ? 1.0 : 0.0
            acceptance[draft] += (hit - acceptance[draft]) / 16
            // What is learnt about one draft is the best guess for deeper ones that are never tried.
            if draft == drafted {
                for deeper in draft + 1..<16 { acceptance[deeper] += (hit - acceptance[deeper]) / 32 }
            }
        }
    }

    /// A running mean that one preempted step cannot spoil, not even when it is a length's first.
    private mutating func blend(_ times: WritableKeyPath<Self, Lengths>, _ length: Int, _ sample: Double) {
        let old = self[keyPath: times][length]
        let bound = old > 0 ? 2 * old : length > 1 ? 1.5 * estimate(self[keyPath: times], length) : sample
        let next = min(sample, bound)
        self[keyPath: times][length] = old == 0 ? next : old + (next - old) / 8
    }
}
