import ForetokenModel
import ForetokenSpeculation

/// The main model along a known text: steps are run, and tokens drawn, as in generation, but what comes next is the text's
/// own token. So rounds can be timed with as many right drafts as is wanted.
final class TextVerifier: RoundVerifier {
    /// The text, prompt included.
    var text: [Int32] = []
    private let model: ModelVerifier

    init(_ verifier: Verifier) { model = ModelVerifier(verifier) }

    var now: Int64 { model.now }

    func verify(_ step: borrowing Step, of sessions: [Session]) { model.verify(step, of: sessions) }

    func token(for session: Session, row: Int) -> Int32? {
        model.token(for: session, row: row) == nil ? nil : text[session.sequence.count]
    }

    func ended(_ session: Session, accepted: Int) { model.ended(session, accepted: accepted) }
}
