import ForetokenModel

/// A draft: a token, and how sure its source is of it.
package struct Draft: BitwiseCopyable {
    /// The token.
    package var token: Int32
    /// By how much its score surpassed the second best.
    package let lead: Float

    package init(token: Int32, lead: Float) {
        self.token = token
        self.lead = lead
    }
}

/// Proposes tokens for several texts at once, draft by draft. A round asks it: `begin`; then, for the texts that go on,
/// `propose` and `extend` in turn; and `take` when the verifier has spoken. Every text's newest drafts lie behind its
/// tokens.
package protocol DraftSource: AnyObject {
    /// Prepares for drafts behind the newest tokens of these texts.
    func begin(_ answers: [Answer])
    /// The next draft of each of these texts, in order; all have made `made` drafts.
    func propose(_ answers: [Answer], made: Int, into drafts: inout [Draft])
    /// Goes on behind the drafts that `propose` gave these texts.
    func extend(_ answers: [Answer])
    /// Takes note of the true rows of a text: `count` rows of the verifier's last step from `row` on, the first being the
    /// text's position `firstPosition`.
    func take(_ answer: Answer, row: Int, count: Int, firstPosition: Int)
}

/// The checkpoint's MTP modules as a source. A draft is drawn like an output token, with the same noise, penalised as if
/// the drafts before it had been accepted.
package final class MTPDrafts: DraftSource {
    private let head: MTPHead
    private let verifier: Verifier
    private var sequences: [TokenSequence] = []

    /// Most hidden rows kept while drafting is off; a probe catches up with the newest half or more of them, in one window.
    package static let waitingRows = 16

    package init(_ head: MTPHead, _ verifier: Verifier) {
        self.head = head
        self.verifier = verifier
        sequences.reserveCapacity(Step.windowRows)
    }

    private func gather(_ answers: [Answer]) {
        sequences.removeAll(keepingCapacity: true)
        for answer in answers { sequences.append(answer.sequence) }
    }

    package func begin(_ answers: [Answer]) {
        gather(answers)
        head.catchUp(sequences)
    }

    package func propose(_ answers: [Answer], made: Int, into drafts: inout [Draft]) {
        gather(answers)
        head.drawDrafts(sequences) { answers[$0].sampler.draw(position: answers[$0].sequence.count + made) }
        for (row, answer) in answers.enumerated() {
            var choice = head.drawn(row: row)
            if !answer.sampler.isUnfiltered {
                choice = answer.sampler.choose(head.logits(row: row), position: answer.sequence.count + made)
            }
            drafts.append(Draft(token: choice.token, lead: choice.lead))
        }
    }

    package func extend(_ answers: [Answer]) {
        gather(answers)
        head.advance(sequences)
    }

    package func take(_ answer: Answer, row: Int, count: Int, firstPosition: Int) {
        head.observe(
            answer.sequence, verifier.hidden(row: row), stride: verifier.hiddenStride, count: count,
            firstRow: firstPosition)
        if answer.sequence.waitingRowCount > Self.waitingRows {
            answer.sequence.forgetAllButNewest(Self.waitingRows / 2)
        }
    }
}

/// Another source's drafts, some of them replaced: a proof needs right and wrong ones in every order, also from modules
/// whose guesses never hold.
package final class PlantedDrafts: DraftSource {
    private let source: any DraftSource
    private let plant: (_ position: Int, _ guess: Int32) -> Int32

    package init(_ source: any DraftSource, plant: @escaping (_ position: Int, _ guess: Int32) -> Int32) {
        self.source = source
        self.plant = plant
    }

    package func begin(_ answers: [Answer]) { source.begin(answers) }

    package func propose(_ answers: [Answer], made: Int, into drafts: inout [Draft]) {
        let first = drafts.count
        source.propose(answers, made: made, into: &drafts)
        for (i, answer) in answers.enumerated() {
            drafts[first + i].token = plant(answer.sequence.count + made, drafts[first + i].token)
        }
    }

    package func extend(_ answers: [Answer]) { source.extend(answers) }

    package func take(_ answer: Answer, row: Int, count: Int, firstPosition: Int) {
        source.take(answer, row: row, count: count, firstPosition: firstPosition)
    }
}
