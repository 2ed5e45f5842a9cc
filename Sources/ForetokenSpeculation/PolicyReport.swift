/// What the adaptive policy (`DraftMode.auto`) found and did in one generation. Times are medians of the generator's
/// newest samples, earlier requests included.
public struct PolicyReport: Sendable, Equatable {
    /// Nanoseconds of a step of 1...16 rows, by number of rows less one; nil where none has been timed.
    public let stepNanoseconds: [Double?]
    /// Nanoseconds of the first draft of a round, with what it has to catch up; nil before any is timed.
    public let firstDraftNanoseconds: Double?
    /// Nanoseconds of each further draft; nil before any is timed.
    public let laterDraftNanoseconds: Double?
    /// Rounds by number of drafts verified (0...15).
    public let rounds: [Int]
    /// Rounds that made a draft, though it may have been dropped unverified.
    public let draftingRounds: Int
    /// What such a round took beyond an undrafted step, in undrafted steps (mean of typical times); nil without any.
    public let extraSteps: Double?
    /// Drafts that held in such a round (mean); nil without any.
    public let extraTokens: Double?
    /// What the modules' drafts are expected to save in the next round, in undrafted steps; nil without modules and before
    /// such a step is timed.
    public let expectedGain: Double?
    /// Earlier runs from which something was known; 0 where drafting learnt from nothing.
    public let earlierRuns: Int

    /// Share of rounds that made a draft; 0 without rounds.
    public var draftingShare: Double {
        let total = rounds.reduce(0, +)
        return total == 0 ? 0 : Double(draftingRounds) / Double(total)
    }
}
