import ForetokenHardware
import ForetokenModel

/// What checks the drafts of a round: the main model, or in the laboratory a record of what it chose.
package protocol RoundVerifier: AnyObject {
    /// Nanoseconds on the clock that rounds are timed by.
    var now: Int64 { get }
    /// Runs a round's rows and chooses the token behind each of them.
    func verify(_ step: borrowing Step, of sessions: [Session])
    /// The token behind row `row` of the step, which is the text's next; nil where there is none, which ends the text.
    func token(for session: Session, row: Int) -> Int32?
    /// Told how a text's round went.
    func ended(_ session: Session, accepted: Int)
}

/// The main model.
package final class ModelVerifier: RoundVerifier {
    private let verifier: Verifier

    package init(_ verifier: Verifier) { self.verifier = verifier }

    package var now: Int64 { MonotonicClock.now }

    package func verify(_ step: borrowing Step, of sessions: [Session]) {
        verifier.run(step)
        let spans = step.spans
        verifier.computeLogits(first: 0, count: step.rowCount) { row in
            var text = spans.count - 1
            while spans[text].firstRow > row { text -= 1 }
            return sessions[text].sampler.draw(position: spans[text].position + row - spans[text].firstRow + 1)
        }
    }

    package func token(for session: Session, row: Int) -> Int32? { session.draw(verifier, row: row) }

    package func ended(_ session: Session, accepted: Int) {
        verifier.observer?.ended(.verified(accepted: accepted), text: session.sequence.number)
    }
}
