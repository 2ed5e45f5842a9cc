import ForetokenModel

/// Reads prompts and given texts: the one place where they are cut into steps.
public struct PromptReader {
    private let verifier: Verifier
    private let draftHead: MTPHead?
    private var step = Step()

    /// - Parameter drafting: whether the MTP modules read along.
    public init(_ model: Model, drafting: Bool = true) {
        verifier = model.verifier
        draftHead = drafting ? model.draftHead : nil
    }

    /// Runs a text's tokens from where it stands up to `end`.
    ///
    /// - Parameters:
    ///   - rest: called between the phases of a chunk, which may then rest while windows run; ends the reading by returning
    ///     false.
    ///   - seen: told each finished step's first row and number of rows, while the verifier still has its hidden states;
    ///     ends the reading by returning false.
    ///   - visit: told the modules' rows, as `MTPHead.read` does.
    ///   - proceed: asked when verifier and modules have finished a step.
    /// - Returns: whether all of it was read.
    @discardableResult
    public mutating func read(
        _ sequence: TokenSequence, to end: Int, rest: (() -> Bool)? = nil,
        seen: (_ start: Int, _ count: Int) -> Bool = { _, _ in true },
        visit: ((MTPHead.CommittedRows) -> Void)? = nil, proceed: () -> Bool = { true }
    ) -> Bool {
        while sequence.position < end {
            let start = sequence.position
            step.readPrompt(sequence, to: end)
            guard verifier.run(step, rest: rest) else { return false }
            verifier.observer?.ended(.prompt, text: sequence.number)
            guard seen(start, step.rowCount) else { return false }
            if let draftHead {
                let isRead = draftHead.read(
                    sequence, verifier.hidden(row: 0), stride: verifier.hiddenStride, count: step.rowCount,
                    firstRow: start, rest: rest, visit: visit)
                guard isRead else { return false }
            }
            guard proceed() else { return false }
        }
        return true
    }
}
