/// The drafts made behind one token of a known text, each from the ones before it.
package struct Chain {
    /// Position of the newest token the drafts know; draft d (from 1) is for `position + d`.
    package let position: Int
    /// Draft d at index d − 1.
    package var drafts = SIMD8<Int32>(repeating: -1)
    /// By how much each draft's score surpassed the second best.
    package var leads = SIMD8<Float>(repeating: 0)
    /// Draft 1's own probability.
    var confidence: Float = 0
    /// What the verifier says at `position + 1`.
    var choice: Int32 = -1
    /// The two distributions behind draft 1 and `choice`; nil at temperature 0.
    var agreement: DistributionAgreement?

    /// No drafts yet.
    package init(position: Int) { self.position = position }
}
