import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// Times verify steps and drafts along known texts, in rounds that are cut by a schedule: every draft length in turn,
/// every number of accepted rows in turn.
final class StepTimer {
    private let sequence: TokenSequence
    private let pass: ChainPass
    private let sampler: Sampler
    private let isGreedy: Bool
    private let along: TextVerifier
    private let round: Round
    /// Drafts for positions before this are made right, the others wrong.
    private var wrongFrom = 0
    /// Nanoseconds by rows, by accepted rows, of later drafts, and of drawing a token where that is a step of its own.
    private var verify: [[Double]]
    private var firstDraft: [[Double]]
    private var laterDraft: [Double] = []
    private var drawing: [Double] = []
    private var contexts = Counts()

    init(_ verifier: Verifier, _ draftHead: MTPHead, _ pass: ChainPass, _ sampler: Sampler, isGreedy: Bool) {
        self.pass = pass
        sequence = pass.sequence
        self.sampler = sampler
        self.isGreedy = isGreedy
        along = TextVerifier(verifier)
        round = Round(along, DraftExperience(), source: nil)
        verify = .init(repeating: [], count: MTPHead.maximumDrafts + 1)
        firstDraft = .init(repeating: [], count: MTPHead.maximumDrafts + 1)
        round.source = PlantedDrafts(MTPDrafts(draftHead, verifier)) { [unowned self] _, position, guess in
            let token = along.text[position]
            if position < wrongFrom { return token }
            return guess != token ? guess : token > 0 ? token - 1 : token + 1
        }
    }

    /// Rounds timed of the width that was timed least.
    var fewest: Int { verify.map(\.count).min() ?? 0 }

    /// Times rounds along one text until its end: blocks of them for each draft length in turn, and undrafted ones
    /// between them.
    ///
    /// - Parameter proceed: asked before every block.
    /// - Returns: false when `proceed` said no.
    func run(_ record: TextRecord, proceed: () -> Bool) -> Bool {
        guard pass.readPrompt(record.tokens, record.promptCount, proceed: proceed) else { return false }
        along.text = record.tokens
        var request = GenerationRequest(prompt: [])
        request.maximumTokens = record.tokens.count - record.promptCount
        let session = Session(request, on: sequence, sampler, policy(0)) { _ in .proceed }
        session.emit(record.tokens[record.promptCount])
        var isFirst = true
        var length: Int? = 0
        while let next = length, session.reason == nil {
            guard proceed() else { return false }
            block(next, session)
            length = next > 0 ? 0 : nextLength(room: record.tokens.count + 1 - sequence.count, isFirst: isFirst)
            if next == 0 { isFirst = false }
        }
        return true
    }

    /// Of a fixed length, nothing too: the modules are to be shown all rows.
    private func policy(_ length: Int) -> DraftPolicy {
        DraftPolicy(.fixed(length), limit: MTPHead.maximumDrafts, isGreedy: isGreedy)
    }

    /// The draft length timed least, of those whose block fits into `room` tokens; a text's first block may be cut short.
    private func nextLength(room: Int, isFirst: Bool) -> Int? {
        (1...MTPHead.maximumDrafts).filter { Self.tokens(ofBlock: $0) <= room || (isFirst && $0 + 1 < room) }
            .min { verify[$0].count < verify[$1].count }
    }

    private static func warmups(_ length: Int) -> Int { length == 0 ? 4 : 2 }

    private static func rounds(_ length: Int) -> Int { warmups(length) + max(6, length + 1) }

    private static func taken(_ round: Int, _ length: Int) -> Int { 1 + round % (length + 1) }

    /// Tokens that a block goes through, its last window included.
    private static func tokens(ofBlock length: Int) -> Int {
        (0..<rounds(length)).reduce(length + 1) { $0 + taken($1, length) }
    }

    /// Rounds of one draft length, after 1…length + 1 accepted rows in turn. The first only warm the caches, in which a
    /// small model lives: undrafted steps find them full of drafting.
    private func block(_ length: Int, _ session: Session) {
        session.policy = policy(length)
        let sessions = [session]
        for i in 0..<Self.rounds(length) {
            guard sequence.count + length < along.text.count else { break }
            let newest = sequence.count - 1
            let waiting = min(sequence.waitingRowCount, firstDraft.count)
            wrongFrom = newest + Self.taken(i, length)
            let times = round.run(sessions)
            guard i >= Self.warmups(length) else { continue }
            verify[length].append(Double(times.verifying))
            drawing.append(Double(times.accepting) / Double(sequence.count - 1 - newest))
            contexts.add(Double(newest))
            if length > 0 { firstDraft[waiting - 1].append(Double(times.firstDrafts)) }
            if length > 1 { laterDraft.append(Double(times.laterDrafts) / Double(times.laterDraftCount)) }
        }
    }

    /// Medians. Widths that no text was long enough for are left out at the end; nil before anything was timed.
    func costs(bytesPerStep: Int, bandwidth: Double) -> Measurement.StepCosts? {
        let widths = verify.prefix { !$0.isEmpty }
        guard !widths.isEmpty else { return nil }
        // A number of accepted rows that never came up costs what the nearest smaller one did, or else larger one.
        let known = firstDraft.map { $0.isEmpty ? nil : median($0) }
        let first = known.indices.prefix(widths.count).compactMap { index in
            known[...index].compactMap(\.self).last ?? known.compactMap(\.self).first
        }
        return Measurement.StepCosts(
            verify: widths.map(median), firstDraft: first, laterDraft: laterDraft.isEmpty ? 0 : median(laterDraft),
            drawing: sampler.isUnfiltered ? 0 : median(drawing),
            meanContext: Int(contexts.hits / max(1, contexts.trials)), bytesPerStep: Double(bytesPerStep),
            bandwidth: bandwidth)
    }
}
