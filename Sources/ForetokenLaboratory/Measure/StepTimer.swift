import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// Times verify steps and drafts along known texts, in rounds that are made like those of generation but cut by a
/// schedule: every draft length in turn, every number of accepted rows in turn.
final class StepTimer {
    private let verifier: Verifier
    private let draftHead: MTPHead
    private let sequence: TokenSequence
    private let texts: [TokenSequence]
    private var step = Step()
    private let pass: ChainPass
    private let sampler: Sampler
    /// Nanoseconds by rows, by accepted rows, of later drafts, and of drawing a token where that is a step of its own.
    private var verify: [[Double]]
    private var firstDraft: [[Double]]
    private var laterDraft: [Double] = []
    private var drawing: [Double] = []
    private var contexts = Counts()

    init(_ verifier: Verifier, _ draftHead: MTPHead, _ pass: ChainPass, _ sampler: Sampler) {
        self.verifier = verifier
        self.draftHead = draftHead
        self.pass = pass
        sequence = pass.sequence
        texts = [sequence]
        self.sampler = sampler
        verify = .init(repeating: [], count: MTPHead.maximumDrafts + 1)
        firstDraft = .init(repeating: [], count: MTPHead.maximumDrafts + 1)
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
        var newest = record.promptCount
        var isFirst = true
        var length: Int? = 0
        while let next = length {
            guard proceed() else { return false }
            newest = block(newest, next, record)
            length = next > 0 ? 0 : nextLength(room: record.tokens.count - newest, isFirst: isFirst)
            if next == 0 { isFirst = false }
        }
        return true
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
    private func block(_ start: Int, _ length: Int, _ record: TextRecord) -> Int {
        var newest = start
        for i in 0..<Self.rounds(length) {
            guard newest + length + 1 < record.tokens.count else { break }
            let taken = Self.taken(i, length)
            round(newest, length: length, taken: taken, isCounted: i >= Self.warmups(length), record)
            newest += taken
        }
        return newest
    }

    /// Drafts `length` tokens behind the one at `newest`, verifies them, and keeps `taken` rows.
    private func round(_ newest: Int, length: Int, taken: Int, isCounted: Bool, _ record: TextRecord) {
        let waiting = sequence.waitingRowCount
        sequence.count = newest + 1
        let begun = MonotonicClock.now
        let firstDone = draft(newest, length)
        let drafted = MonotonicClock.now
        takeDrafts(record, newest, length)
        step.clear()
        step.add(sequence, count: length + 1)
        verifier.run(step)
        verifier.computeLogits(first: 0, count: length + 1) { self.sampler.draw(position: newest + 1 + $0) }
        let verified = MonotonicClock.now
        if !sampler.isUnfiltered { _ = sampler.pick(verifier.logits(row: 0), position: newest + 1) }
        let drawn = MonotonicClock.now
        sequence.truncate(to: newest + taken)
        for target in newest + 1...newest + 1 + length { sequence.tokens[target] = record.tokens[target] }
        if isCounted {
            verify[length].append(Double(verified - drafted))
            drawing.append(Double(drawn - verified))
            contexts.add(Double(newest))
            if length > 0 { firstDraft[waiting - 1].append(Double(firstDone - begun)) }
            if length > 1 { laterDraft.append(Double(drafted - firstDone) / Double(length - 1)) }
        }
        draftHead.observe(
            sequence, verifier.hidden(row: 0), stride: verifier.hiddenStride, count: taken, firstRow: newest)
        if sequence.waitingRowCount > Self.mostWaiting { sequence.forgetAllButNewest(Self.mostWaiting) }
    }

    /// Most rows a catch-up is timed for.
    private static let mostWaiting = MTPHead.maximumDrafts + 1

    /// Returns when the first of `length` drafts was finished.
    private func draft(_ newest: Int, _ length: Int) -> Int64 {
        var firstDone: Int64 = 0
        if length > 0 { draftHead.catchUp(texts) }
        for d in 0..<length {
            let target = newest + 1 + d
            draftHead.drawDrafts(texts) { _ in self.sampler.draw(position: target) }
            var guess = draftHead.drawn(row: 0).token
            if !sampler.isUnfiltered { guess = sampler.pick(draftHead.logits(row: 0), position: target) }
            if d == 0 { firstDone = MonotonicClock.now }
            sequence.tokens[target] = guess
            if d + 1 < length { draftHead.advance(texts) }
        }
        return firstDone
    }

    /// Puts what a real round would verify behind the newest token: its drafts, as far as there are any.
    private func takeDrafts(_ record: TextRecord, _ newest: Int, _ length: Int) {
        let drafts = record.chains[newest - record.promptCount].drafts
        for d in 0..<length {
            sequence.tokens[newest + 1 + d] = drafts[d] >= 0 ? drafts[d] : record.tokens[newest + 1 + d]
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
