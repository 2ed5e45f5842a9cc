import ForetokenModel

/// Where a draft comes from.
package enum DraftOrigin: BitwiseCopyable {
    /// An MTP module.
    case module
    /// What followed an earlier place of the text.
    case lookup
}

/// A draft: a token, and how sure its source is of it.
package struct Draft: BitwiseCopyable {
    /// The token.
    package var token: Int32
    /// By how much its score surpassed the second best; 0 from look-up, which has no scores.
    package let lead: Float
    package let origin: DraftOrigin

    package init(token: Int32, lead: Float, origin: DraftOrigin = .module) {
        self.token = token
        self.lead = lead
        self.origin = origin
    }
}

/// Proposes tokens for several texts at once, draft by draft. A round asks it: `begin`; then, for the texts that go on,
/// `propose` and `extend` in turn; and `take` when the verifier has spoken. Every text's newest drafts lie behind its
/// tokens.
package protocol DraftSource: AnyObject {
    /// Prepares for drafts behind the newest tokens of these texts.
    func begin(_ sessions: [Session])
    /// The next draft of each of these texts, in order; all have made `made` drafts.
    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft])
    /// Goes on behind the drafts that `propose` gave these texts.
    func extend(_ sessions: [Session])
    /// Takes note of the true rows of a text: `count` rows of the verifier's last step from `row` on, the first being the
    /// text's position `firstPosition`.
    func take(_ session: Session, row: Int, count: Int, firstPosition: Int)
}

/// The checkpoint's MTP modules as a source. A draft is drawn like an output token, with the same noise, penalised as if
/// the drafts before it had been accepted.
package final class MTPDrafts: DraftSource {
    private let head: MTPHead
    private let verifier: Verifier
    /// The texts of a call; empty between calls, so that none is kept.
    private var sequences: [TokenSequence] = []

    /// Most hidden rows kept while drafting is off; a probe catches up with the newest half or more of them, in one window.
    package static let waitingRows = 16

    package init(_ head: MTPHead, _ verifier: Verifier) {
        self.head = head
        self.verifier = verifier
        sequences.reserveCapacity(Step.windowRows)
    }

    private func with(_ sessions: [Session], _ body: ([TokenSequence]) -> Void) {
        for session in sessions { sequences.append(session.sequence) }
        body(sequences)
        sequences.removeAll(keepingCapacity: true)
    }

    package func begin(_ sessions: [Session]) {
        with(sessions) { head.catchUp($0) }
    }

    package func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        with(sessions) { sequences in
            head.drawDrafts(sequences) { sessions[$0].sampler.draw(position: sequences[$0].count + made) }
        }
        for (row, session) in sessions.enumerated() {
            var choice = head.drawn(row: row)
            if !session.sampler.isUnfiltered {
                choice = session.sampler.choose(head.logits(row: row), position: session.sequence.count + made)
            }
            drafts.append(Draft(token: choice.token, lead: choice.lead))
        }
    }

    package func extend(_ sessions: [Session]) {
        with(sessions) { head.advance($0) }
    }

    package func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        head.observe(
            session.sequence, verifier.hidden(row: row), stride: verifier.hiddenStride, count: count,
            firstRow: firstPosition)
        if session.sequence.waitingRowCount > Self.waitingRows {
            session.sequence.forgetAllButNewest(Self.waitingRows / 2)
        }
    }
}
