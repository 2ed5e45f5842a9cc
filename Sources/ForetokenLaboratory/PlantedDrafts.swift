import ForetokenModel
import ForetokenSpeculation

/// Another source's drafts, some of them replaced: proofs and timing need right and wrong ones in every order, also from
/// modules whose guesses never hold.
final class PlantedDrafts: DraftSource {
    private let source: any DraftSource
    private let plant: (_ session: Session, _ position: Int, _ guess: Int32) -> Int32

    init(
        _ source: any DraftSource, plant: @escaping (_ session: Session, _ position: Int, _ guess: Int32) -> Int32
    ) {
        self.source = source
        self.plant = plant
    }

    func begin(_ sessions: [Session]) { source.begin(sessions) }

    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        let first = drafts.count
        source.propose(sessions, made: made, into: &drafts)
        for (i, session) in sessions.enumerated() {
            drafts[first + i].token = plant(session, session.sequence.count + made, drafts[first + i].token)
        }
    }

    func extend(_ sessions: [Session]) { source.extend(sessions) }

    func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        source.take(session, row: row, count: count, firstPosition: firstPosition)
    }
}
