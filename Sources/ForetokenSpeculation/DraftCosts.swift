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
///
/// Attention takes time by rows and by the length of the texts, so samples are of one span of lengths at a time. Of the
/// other spans, and of earlier runs, the ratios to an undrafted step are known: guesses until there are samples.
struct DraftCosts {
    private static let widths = 16
    private var samples = InlineArray<16, RecentTimes>(repeating: RecentTimes())
    /// First drafts after undrafted rounds, which have much to catch up, and after drafting ones.
    private var coldDraft = RecentTimes()
    private var warmDraft = RecentTimes()
    private var furtherDraft = RecentTimes()
    /// A verify step by rows − 1; in undrafted steps before anything is timed.
    private var steps = InlineArray<16, Double>(repeating: 0)
    private var isTimed = false
    /// Rounds in this span of lengths.
    private var rounds = 0
    /// Rounds since an undrafted step was timed, and after which one is to be timed anew: sooner in the beginning.
    private var baselineAge = DraftCosts.trialLife
    private var baselineLife = DraftCosts.firstLife
    /// The same while there are not enough samples, but steps with drafts can be compared by known ratios.
    private static let trialLife = 8
    private static let firstLife = 64
    private static let longestLife = 128
    private static let stale = 6

    /// What is known of all spans, as of when each was left, and what of that counts in this one.
    private var ratios = CostRatios.BySpan(repeating: CostRatios())
    private var known = CostRatios()
    private var span = ContextSpan()

    /// Guesses before anything is known, in undrafted steps: low, as trying costs little and shows the truth.
    private static let rowGuess = 0.15
    private static let draftGuess = 0.15
    /// After so many rounds every width forgets a sample: one not used for long is to be tried anew.
    private static let forgetting = 64
    /// After so many rounds known ratios count no more, for the same reason.
    private static let faith = 512

    /// Most drafts to try: twice as many as have been timed, for the price of wide steps is not to be guessed far ahead.
    private(set) var reach = 1

    /// Whether there is an undrafted step of so many texts to compare anything with.
    func hasBaseline(texts: Int) -> Bool {
        samples[texts - 1].isSettled || (known.rows[texts - 1] > 0 && samples[texts - 1].median != nil)
    }

    /// Whether an undrafted step is to be timed before drafting goes on.
    func wantsBaseline(texts: Int) -> Bool {
        if samples[texts - 1].isSettled { return baselineAge >= baselineLife }
        return known.rows[texts - 1] == 0 || baselineAge >= Self.trialLife
    }

    /// A verify step of `rows` (1...16) rows.
    func step(rows: Int) -> Double { steps[rows - 1] }

    /// What another row adds to a verify step of `rows` rows; more than anything saves where there is no room for it.
    func row(behind rows: Int) -> Double { rows < Self.widths ? steps[rows] - steps[rows - 1] : .infinity }

    /// The first draft of a text's round and what it has to catch up.
    func firstDraft(afterIdle: Bool) -> Double {
        let warm = warmDraft.typical(guess: (known.warmDraft > 0 ? known.warmDraft : Self.draftGuess) * steps[0])
        guard afterIdle else { return warm }
        return coldDraft.typical(guess: known.coldDraft > 0 ? known.coldDraft * steps[0] : warm)
    }

    /// Each further draft.
    var laterDraft: Double {
        furtherDraft.typical(
            guess: known.laterDraft > 0
                ? known.laterDraft * steps[0] : min(Self.draftGuess * steps[0], firstDraft(afterIdle: false)))
    }

    /// Medians of what has been measured, for reports.
    func measured(rows: Int) -> Double? { samples[rows - 1].median }
    var measuredFirstDraft: Double? { warmDraft.median ?? coldDraft.median }
    var measuredLaterDraft: Double? { furtherDraft.median }

    mutating func record(rows: Int, texts: Int, _ times: RoundTimes) {
        isTimed = true
        rounds += 1
        if rounds == Self.faith { known = CostRatios() }
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

    // MARK: Steps that are not measured

    /// An unmeasured width costs what its ratio says, or as much more than its neighbour as rows did on average so far; one
    /// below all that were measured, of which nothing is known, as much as the first of these.
    private mutating func interpolate() {
        let first = samples.indices.first { samples[$0].median != nil }
        let base = base(first)
        var error = samples.indices.first { isCompared($0) }.map { self.error(of: $0, base) } ?? 1
        var row = Self.rowGuess * base
        steps[0] = base
        for width in 1..<steps.count {
            var guess = steps[width - 1] + row
            if known.rows[width] > 0 {
                guess = base + error * (known.rows[width] - 1) * base
            } else if let first, width < first {
                guess = steps[width - 1]
            }
            steps[width] = max(steps[width - 1], samples[width].typical(guess: guess))
            if isCompared(width) { error = self.error(of: width, base) }
            row = (steps[width] - base) / Double(width)
        }
    }

    /// An undrafted step of one text: as timed, or as the others and their ratios say, or as it was before.
    /// - Parameter first: the first width that was measured, if any.
    private func base(_ first: Int?) -> Double {
        guard let first else { return steps[0] > 0 ? steps[0] : 1 }
        let other = samples.indices.first { $0 > 0 && samples[$0].median != nil && known.rows[$0] > 0 }
        let guess = other.map { samples[$0].typical(guess: .infinity) / known.rows[$0] }
        return samples[0].typical(guess: guess ?? samples[first].typical(guess: .infinity))
    }

    /// Whether a known ratio can be judged by samples.
    private func isCompared(_ width: Int) -> Bool { width > 0 && samples[width].isSettled && known.rows[width] > 1 }

    /// What more rows add to a step, over what they were known to add. Where that is clearly wrong for one width, it will
    /// be so for those near it.
    private func error(of width: Int, _ base: Double) -> Double {
        let added = max(0, samples[width].typical(guess: base) - base)
        let error = added / ((known.rows[width] - 1) * base)
        return (0.75...1.33).contains(error) ? 1 : error
    }

    // MARK: Spans of lengths

    /// Prepares for a round of texts of that length, on average.
    mutating func enter(context: Int) {
        guard span.excludes(context) else { return }
        ratios[span.index] = updated()
        span = ContextSpan(context)
        samples = .init(repeating: RecentTimes())
        (coldDraft, warmDraft, furtherDraft) = (RecentTimes(), RecentTimes(), RecentTimes())
        // What an undrafted step took a moment ago will do for a while.
        (rounds, baselineAge, baselineLife) = (0, isTimed ? 0 : Self.trialLife, Self.firstLife)
        consult()
    }

    /// Takes what is known of this span, or of its neighbours; of others it would mislead.
    private mutating func consult() {
        known = ratios[span.index]
        if known.isEmpty && span.index > 0 { known = ratios[span.index - 1] }
        if known.isEmpty && span.index + 1 < ContextSpan.count { known = ratios[span.index + 1] }
        reach = max(1, known.mostDrafts)
        interpolate()
    }

    /// What is known of this span, with what the samples say.
    /// - Parameter forgetting: whether only these count.
    private func updated(forgetting: Bool = false) -> CostRatios {
        // What counts no more in this run is still kept.
        let before = known.isEmpty ? ratios[span.index] : known
        guard let base = samples[0].proven else { return before }
        func update(_ ratio: inout Double, _ samples: RecentTimes, least: Double = 0) {
            guard let time = samples.proven else { return }
            let new = max(least, time / base)
            // Few samples scatter.
            ratio = ratio > 0 ? (ratio + new) / 2 : new
        }
        var result = forgetting ? CostRatios() : before
        result.rows[0] = 1
        for width in 1..<Self.widths { update(&result.rows[width], samples[width], least: 1) }
        update(&result.coldDraft, coldDraft)
        update(&result.warmDraft, warmDraft)
        update(&result.laterDraft, furtherDraft)
        return result
    }

    // MARK: Runs

    /// Begins with what earlier runs learnt, which is possible.
    mutating func recall(_ costs: [DraftKnowledge.Costs]) {
        for one in costs { ratios[one.span] = one.ratios }
        consult()
    }

    /// What later runs are to know.
    /// - Parameter forgetting: whether steps that were not timed are to be forgotten.
    func knowledge(forgetting: Bool) -> [DraftKnowledge.Costs] {
        (0..<ContextSpan.count).compactMap { index in
            let known = index == span.index ? updated(forgetting: forgetting) : ratios[index]
            return known.isEmpty ? nil : DraftKnowledge.Costs(known, span: index)
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

    /// The typical time, where two disturbed samples no longer count.
    var proven: Double? { count >= 3 ? typical(guess: .infinity) : nil }

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
