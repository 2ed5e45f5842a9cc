import ForetokenModel

/// What the parts of one round took, in nanoseconds.
package struct RoundTimes {
    /// Catch-up and all drafts.
    package var drafting: Int64 = 0
    /// Of that, the drafts after the first ones.
    package var laterDrafts: Int64 = 0
    /// How many drafts after the first ones the modules made.
    package var laterDraftCount = 0
    /// Texts whose modules drafted; look-up's drafts take no time that counts.
    package var draftingTexts = 0
    /// Whether a text's modules drafted that had not in its last round, which have much to catch up.
    package var isAfterIdle = false
    /// The verify step.
    package var verifying: Int64 = 0
    /// Accepting and emitting its tokens.
    package var accepting: Int64 = 0

    /// The first drafts, and what they had to catch up with.
    package var firstDrafts: Int64 { drafting - laterDrafts }

    package init() {}
}

/// What steps and drafts typically cost here, in nanoseconds: steps by their rows, whose texts these are; drafts by text.
struct DraftCosts {
    private static let widths = 16
    private var samples = InlineArray<16, RecentTimes>(repeating: RecentTimes())
    /// First drafts after undrafted rounds, which have much to catch up, and after drafting ones.
    private var coldDraft = RecentTimes()
    private var warmDraft = RecentTimes()
    private var furtherDraft = RecentTimes()
    /// A verify step by rows − 1.
    private var steps = InlineArray<16, Double>(repeating: 0)
    private var rounds = 0
    /// Rounds since an undrafted step was timed, and after which one is to be timed anew: sooner in the beginning.
    private var baselineAge = 0
    private var baselineLife = 64
    private static let longestLife = 128
    private static let stale = 6

    /// Guesses before anything is measured, in undrafted steps: low, as trying costs little and shows the truth.
    private static let rowGuess = 0.15
    private static let draftGuess = 0.15
    /// After so many rounds every width forgets a sample: one not used for long is to be tried anew.
    private static let forgetting = 64

    /// Most drafts to try: twice as many as have been timed, for the price of wide steps is not to be guessed far ahead.
    private(set) var reach = 1

    /// Whether undrafted steps of so many texts have been timed often enough to compare anything with them.
    func hasBaseline(texts: Int) -> Bool { samples[texts - 1].isSettled }

    /// Whether an undrafted step is to be timed before drafting goes on.
    func wantsBaseline(texts: Int) -> Bool { !hasBaseline(texts: texts) || baselineAge >= baselineLife }

    /// A verify step of `rows` (1...16) rows.
    func step(rows: Int) -> Double { steps[rows - 1] }

    /// What another row adds to a verify step of `rows` rows; more than anything saves where there is no room for it.
    func row(behind rows: Int) -> Double { rows < Self.widths ? steps[rows] - steps[rows - 1] : .infinity }

    /// The first draft of a text's round and what it has to catch up.
    func firstDraft(afterIdle: Bool) -> Double {
        let guess = Self.draftGuess * steps[0]
        return afterIdle ? coldDraft.typical(guess: warmDraft.typical(guess: guess)) : warmDraft.typical(guess: guess)
    }

    /// Each further draft.
    var laterDraft: Double {
        furtherDraft.typical(guess: min(Self.draftGuess * steps[0], firstDraft(afterIdle: false)))
    }

    /// Medians of what has been measured, for reports.
    func measured(rows: Int) -> Double? { samples[rows - 1].median }
    var measuredFirstDraft: Double? { warmDraft.median ?? coldDraft.median }
    var measuredLaterDraft: Double? { furtherDraft.median }

    mutating func record(rows: Int, texts: Int, _ times: RoundTimes) {
        rounds += 1
        let drafted = rows - texts
        if drafted == 0 && baselineAge >= baselineLife {
            // One new sample has to count: drafting on a baseline from a slow moment may lose for long.
            for _ in 0..<Self.stale { samples[rows - 1].forget() }
            baselineLife = min(2 * baselineLife, Self.longestLife)
        }
        baselineAge = drafted == 0 ? 0 : baselineAge + 1
        samples[rows - 1].add(Double(times.verifying))
        if drafted >= reach && samples[rows - 1].isSettled { reach = min(2 * reach, Self.widths - 1) }
        if times.draftingTexts > 0 {
            let first = Double(times.firstDrafts) / Double(times.draftingTexts)
            if times.isAfterIdle { coldDraft.add(first) } else { warmDraft.add(first) }
        }
        if times.laterDraftCount > 0 { furtherDraft.add(Double(times.laterDrafts) / Double(times.laterDraftCount)) }
        if rounds % Self.forgetting == 0 {
            for width in texts..<samples.count { samples[width].forget() }
            furtherDraft.forget()
        }
        interpolate()
    }

    /// An unmeasured width costs as much more than its neighbour as rows did on average so far; one below all that were
    /// measured as much as the first of these.
    private mutating func interpolate() {
        let first = samples.indices.first { samples[$0].median != nil } ?? 0
        let base = samples[first].typical(guess: .infinity)
        for width in 0...first { steps[width] = base }
        var row = Self.rowGuess * base
        for width in first + 1..<max(first + 1, steps.count) {
            steps[width] = max(steps[width - 1], samples[width].typical(guess: steps[width - 1] + row))
            row = (steps[width] - base) / Double(width - first)
        }
    }
}

/// The newest samples of a time. Their median is not moved by a step that was preempted.
struct RecentTimes {
    private var samples = InlineArray<11, Double>(repeating: 0)
    private var count = 0
    /// The middle sample, the lower one of two.
    private(set) var median: Double?
    private var smallest: Double?

    /// Whether one disturbed sample no longer counts.
    var isSettled: Bool { count >= 2 }

    /// The median; of few samples the smallest, for the first find caches and code cold; of one, or the guess, the smaller.
    func typical(guess: Double) -> Double {
        guard let median, let smallest else { return guess }
        return count >= Self.enough ? median : isSettled ? smallest : min(smallest, guess)
    }

    private static let enough = 6

    mutating func add(_ sample: Double) {
        if count == samples.count { forget() }
        samples[count] = sample
        count += 1
        summarise()
    }

    /// Drops the oldest sample.
    mutating func forget() {
        guard count > 0 else { return }
        for i in 1..<max(1, count) { samples[i - 1] = samples[i] }
        count -= 1
        summarise()
    }

    private mutating func summarise() {
        guard count > 0 else {
            (median, smallest) = (nil, nil)
            return
        }
        var sorted = samples
        for i in 1..<count {
            let next = sorted[i]
            var j = i
            while j > 0 && next < sorted[j - 1] {
                sorted[j] = sorted[j - 1]
                j -= 1
            }
            sorted[j] = next
        }
        median = sorted[(count - 1) / 2]
        smallest = sorted[0]
    }
}
