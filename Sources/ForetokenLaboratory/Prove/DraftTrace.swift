import ForetokenModel
import ForetokenSpeculation

/// What modules and look-up proposed for a text. A proposal depends on the text up to its newest token and on the drafts behind
/// it, however the rounds before it were made up and whoever was served beside it.
final class DraftTrace {
    /// What a proposal may depend on.
    struct Place: Hashable {
        /// Position of the newest token.
        let newest: Int
        /// Drafts behind it.
        let made: Int
        /// Fingerprint of those drafts.
        let drafts: UInt64
        let origin: DraftOrigin
    }

    private(set) var proposals: [Place: DraftProposal] = [:]
    /// Whether rows were forgotten while nothing was drafted: later proposals lack them, as is allowed.
    private var hasGap = false

    func note(_ draft: Draft, _ sequence: TokenSequence, made: Int) {
        guard !hasGap else { return }
        var drafts: UInt64 = 0
        for i in 0..<made {
            drafts = (drafts ^ UInt64(UInt32(bitPattern: sequence.tokens[sequence.count + i]))) &* 0x9E37_79B9_7F4A_7C15
            drafts ^= drafts >> 29
        }
        let place = Place(newest: sequence.count - 1, made: made, drafts: drafts, origin: draft.origin)
        proposals[place] = DraftProposal(token: draft.token, lead: draft.lead)
    }

    /// Takes note that of `shown` more rows and those that waited so many wait now.
    func waits(_ now: Int, before: Int, shown: Int) {
        if now < before + shown { hasGap = true }
    }

    /// Forgets what was proposed behind a position: a next turn's rows may have been run by other kernels.
    func keep(before position: Int) { proposals = proposals.filter { $0.key.newest < position } }
}

/// A draft as its source proposed it.
public struct DraftProposal: Sendable, Equatable {
    /// The token.
    public let token: Int32
    /// By how much its score surpassed the second best.
    public let lead: Float

    /// Bit for bit.
    public static func == (left: DraftProposal, right: DraftProposal) -> Bool {
        left.token == right.token && left.lead.bitPattern == right.lead.bitPattern
    }
}

/// A draft that is not the one proposed in another run of the same text.
public struct DraftDifference: Sendable {
    /// Drafts before it in its round.
    public let made: Int
    /// What was proposed first.
    public let expected: DraftProposal
    /// What the run proposed.
    public let found: DraftProposal
}

/// What a proof does with one text's drafts.
struct DraftWatch {
    let trace: DraftTrace
    /// Gives the token in a guess's place; nil leaves them all.
    let plant: ((_ position: Int, _ guess: Int32) -> Int32)?

    /// A source whose drafts are noted for each text, and then replaced where that is wanted.
    /// - Parameter watch: by number of the text.
    static func source(_ source: any DraftSource, watch: @escaping (Int) -> DraftWatch) -> any DraftSource {
        PlantedDrafts(NotedDrafts(source) { watch($0).trace }) { session, position, guess in
            watch(session.sequence.number).plant?(position, guess) ?? guess
        }
    }
}

/// Another source's drafts, noted for each text.
private final class NotedDrafts: DraftSource {
    private let source: any DraftSource
    /// By number of the text.
    private let trace: (Int) -> DraftTrace

    init(_ source: any DraftSource, trace: @escaping (Int) -> DraftTrace) {
        self.source = source
        self.trace = trace
    }

    func begin(_ sessions: [Session]) { source.begin(sessions) }

    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        let first = drafts.count
        source.propose(sessions, made: made, into: &drafts)
        for (i, session) in sessions.enumerated() {
            trace(session.sequence.number).note(drafts[first + i], session.sequence, made: made)
        }
    }

    func extend(_ sessions: [Session]) { source.extend(sessions) }

    func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        let waiting = session.sequence.waitingRowCount
        source.take(session, row: row, count: count, firstPosition: firstPosition)
        trace(session.sequence.number).waits(session.sequence.waitingRowCount, before: waiting, shown: count)
    }
}
