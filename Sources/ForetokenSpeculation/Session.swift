import ForetokenHardware
import ForetokenModel

/// One request on its way: a text, how it is continued, and what has come of it so far.
package final class Session {
    package let sequence: TokenSequence
    let sampler: Sampler
    let observe: (GenerationEvent) -> Continuation
    package var policy: DraftPolicy
    /// Finds what may follow; nil where drafts are not looked up.
    private let finder: DraftFinder?
    /// What it found for the next draft's place.
    package private(set) var found: LookupMatch?
    private let stopTokens: [Int32]
    private let cancellation: Cancellation?
    /// Token count at which the limit is reached.
    let end: Int
    private var record: LogProbabilityRecord?
    /// While the prompt is read, where its tokens are to be scored, and what that gave.
    private var scorer: PromptScorer?
    private let promptTop: (count: Int, tokens: Range<Int>)?
    private var promptLogProbabilities: [TokenLogProbabilities] = []
    private let streamsLogProbabilities: Bool
    package private(set) var telemetry = Telemetry()
    /// How its steps were shared.
    private(set) var company = CompanyCounts()
    /// Why it ended; nil while it goes on.
    package private(set) var reason: FinishReason?
    /// What stopped it for good.
    package private(set) var failure: GenerationError?

    /// Drafts of the round in progress: those to be verified, and most that there may be.
    package private(set) var drafted = 0
    private(set) var draftLimit = 0
    /// By draft, a bit: whether the prediction has it, too, of those that were looked up.
    private var predicted: UInt16 = 0
    /// Drafts that count as history while later ones are drawn.
    private var pushed = 0

    private let started: Int64
    private let promptCount: Int
    private let cachedCount: Int
    private var firstGenerated = 0
    private var firstTokenTime: Int64 = 0

    /// - Parameters:
    ///   - sequence: has the prompt behind what it had before.
    ///   - sampler: made for the request's options.
    ///   - lookup: of the sequence's tokens.
    ///   - cached: tokens of the prompt that need not be run.
    package init(
        _ request: GenerationRequest, on sequence: TokenSequence, _ sampler: Sampler, _ policy: DraftPolicy,
        lookup: TextLookup? = nil, cached: Int = 0, observe: @escaping (GenerationEvent) -> Continuation
    ) {
        self.sequence = sequence
        self.policy = policy
        finder = lookup.map {
            DraftFinder($0, count: sequence.count, prediction: request.prediction, others: request.bases)
        }
        self.observe = observe
        self.sampler = sampler
        stopTokens = request.stopTokens
        cancellation = request.cancellation
        // Every emitted token but the last needs a place in the cache.
        let room = min(request.maximumTokens, sequence.capacity + 1 - sequence.count)
        end = sequence.count + room
        record = request.logProbabilities.map { LogProbabilityRecord(topCount: $0, capacity: room) }
        streamsLogProbabilities = request.streamsLogProbabilities
        promptTop = request.promptLogProbabilities.map {
            ($0, sequence.count - request.prompt.count..<sequence.count)
        }
        started = MonotonicClock.now
        promptCount = sequence.count - sequence.position
        cachedCount = cached
        firstGenerated = sequence.count
        sampler.history.begin(UnsafeBufferPointer(start: sequence.tokens, count: sequence.count))
    }

    /// Reads the prompt and draws the first token, unless cancelled.
    ///
    /// - Parameters:
    ///   - rest: called between slices of a chunk, which rests meanwhile; nil if it need not be divided.
    ///   - finished: called when verifier and modules have finished a step.
    func readPrompt(
        _ reader: inout PromptReader, _ verifier: Verifier, rest: (() -> Void)? = nil, finished: () -> Void = {}
    ) {
        let total = sequence.count - sequence.position
        scorer = promptTop.map { PromptScorer(topCount: $0.count, tokens: $0.tokens, verifier) }
        func proceeds() -> Bool {
            heedCancellation()
            return reason == nil
                && observe(.prompt(done: total - (sequence.count - sequence.position), of: total)) == .proceed
        }
        var first: Int32?
        var pause: (() -> Bool)?
        if let rest = rest ?? (cancellation == nil ? nil : {}) {
            pause = {
                rest()
                return proceeds()
            }
        }
        let isRead = reader.read(
            sequence, to: sequence.count, rest: pause,
            seen: { start, count in
                scorer?.take(verifier, start: start, count: count)
                guard sequence.position == sequence.count && end > sequence.count else { return true }
                verifier.computeLogits(first: count - 1, count: 1) { _ in
                    self.sampler.draw(position: self.sequence.count)
                }
                // Drawn now: the modules' chunk may rest, and windows have logits of their own.
                first = draw(verifier, row: 0)
                return failure == nil
            },
            proceed: {
                finished()
                return score(verifier, rest: pause) && proceeds()
            })
        guard isRead else {
            reason = reason ?? .cancelled
            return
        }
        if promptTop != nil { tellScores() }
        guard let first else { return reason = reason ?? .length }
        guard reason == nil else { return }
        firstTokenTime = MonotonicClock.now
        emit(first)
    }

    /// Scores the prompt's tokens as far as it has been read, resting between windows.
    /// - Returns: false when it has ended.
    private func score(_ verifier: Verifier, rest: (() -> Bool)?) -> Bool {
        guard let scorer else { return true }
        while scorer.hasRows {
            if let position = scorer.score(verifier, sequence.tokens) {
                (reason, failure) = (.cancelled, .overflow(position: position))
                return false
            }
            if let rest, !rest() { return false }
        }
        return true
    }

    private func tellScores() {
        promptLogProbabilities = scorer?.entries ?? []
        scorer = nil
        take(observe(.promptScored(promptLogProbabilities)))
    }

    /// Takes what the observer wants.
    private func take(_ wish: Continuation) {
        switch wish {
        case .proceed: break
        case .stop: reason = .stop
        case .cancel: reason = .cancelled
        }
    }

    /// Ends it, if its request has been given up.
    func heedCancellation() {
        if reason == nil && cancellation?.isRequested == true { reason = .cancelled }
    }

    /// Whether its request may be given up from outside.
    var isCancellable: Bool { cancellation != nil }

    // MARK: Rounds

    /// Begins a round with so many texts.
    func beginDrafts(atMost most: Int, texts: Int) {
        drafted = 0
        predicted = 0
        if let finder {
            finder.grow(to: sequence.count) { policy.learn($0, held: $0.token == $1) }
            look(finder, made: 0)
        }
        draftLimit = policy.begin(room: min(most, end - sequence.count - 1), found: found, texts: texts)
    }

    /// Looks for the place of the next draft, behind `made` others.
    private func look(_ finder: DraftFinder, made: Int) {
        found = finder.match(end: sequence.count + made)
        if let token = found?.token, sampler.mask?.allows(token) == false { found = nil }
        guard !policy.isGreedy, let token = found?.token else { return }
        policy.noise = sampler.noise(token, position: sequence.count + made)
    }

    /// Writes draft `made` behind those before it and decides what becomes of it.
    /// - Parameter rows: rows of the step so far, all texts'.
    func judge(_ draft: Draft, made: Int, rows: Int) -> DraftVerdict {
        // A source that does not know the mask, or found none of the tokens that it allows.
        guard sampler.mask?.allows(draft.token) != false else { return .drop }
        sequence.tokens[sequence.count + made] = draft.token
        policy.take(draft, found: found)
        if draft.origin == .lookup && found?.isPredicted == true { predicted |= 1 << UInt16(made) }
        sampler.mask?.push(draft.token)
        if let finder, made + 1 < draftLimit { look(finder, made: made + 1) }
        let verdict = policy.judge(next: found, limit: draftLimit, rows: rows)
        if verdict != .drop { drafted += 1 }
        if verdict == .extend {
            sampler.history.push(draft.token)
            pushed += 1
        }
        return verdict
    }

    /// Drafts are no history until they are accepted.
    func endDrafts() {
        sampler.mask?.popAll()
        while pushed > 0 {
            pushed -= 1
            sampler.history.pop(sequence.tokens[sequence.count + pushed])
        }
    }

    /// Emits the verifier's token after each right draft, up to the first wrong one. Row `row` of the last logits is the
    /// newest token's. Returns the drafts accepted and the tokens emitted.
    func accept(_ verifier: any RoundVerifier, row: Int) -> (accepted: Int, emitted: Int) {
        let newest = sequence.count - 1
        var accepted = drafted
        for i in 0...drafted {
            let guess = i < drafted ? sequence.tokens[sequence.count] : nil
            guard let token = verifier.token(for: self, row: row + i) else {
                accepted = i
                break
            }
            emit(token, fate(of: token, guess, draft: i))
            if token != guess || reason != nil {
                accepted = token == guess ? i + 1 : i
                break
            }
        }
        // The newest token stays unseen, also when it was an accepted draft that ended the text: the next prompt must find
        // the same state at every draft length.
        let emitted = sequence.count - 1 - newest
        sequence.truncate(to: newest + emitted)
        telemetry.record(
            drafted: drafted, modules: policy.madeByModules, predicted: predicted, accepted: accepted, emitted: emitted)
        return (accepted, emitted)
    }

    /// How the token of a place came about.
    /// - Parameter guess: what the round's draft `draft` said of the place; nil where there was none.
    private func fate(of token: Int32, _ guess: Int32?, draft: Int) -> TokenFate {
        guard let guess else { return .own }
        let source: TokenSource =
            draft < policy.madeByModules ? .mtp : predicted & 1 << UInt16(draft) != 0 ? .prediction : .lookup
        return token == guess
            ? TokenFate(source, draft: draft + 1)
            : TokenFate(ownInsteadOf: RejectedDraft(guess, source, draft: draft + 1))
    }

    func count(rows: Int, texts: Int) { company.count(rows: rows, texts: texts) }

    /// The verifier's token for the next position, from row `row` of its logits; nil when they overflowed.
    func draw(_ verifier: Verifier, row: Int) -> Int32? {
        let logits = verifier.logits(row: row)
        let token = sampler.isUnfiltered ? verifier.drawn(row: row) : sampler.pick(logits, position: sequence.count)
        guard token >= 0 else {
            (reason, failure) = (.cancelled, .nothingAllowed(position: sequence.count))
            return nil
        }
        if logits[Int(token)].isFinite && record?.append(token, logits) != false { return token }
        reason = .cancelled
        failure = .overflow(position: sequence.count)
        return nil
    }

    package func emit(_ token: Int32, _ fate: TokenFate = .own) {
        sequence.tokens[sequence.count] = token
        sequence.count += 1
        sampler.history.push(token)
        sampler.mask?.take(token)
        let logProbabilities = streamsLogProbabilities ? record?.newest : nil
        take(observe(.token(token, fate, logProbabilities: logProbabilities)))
        if reason == nil && (stopTokens.contains(token) || sampler.mask?.isOver == true) { reason = .stop }
        if reason == nil && sequence.count >= end { reason = .length }
    }

    /// What it came to.
    func result(traffic: [NodeTraffic]) -> GenerationResult {
        let ended = MonotonicClock.now
        var timings = Timings()
        timings.promptCount = promptCount - max(0, firstGenerated - sequence.position)
        timings.promptNanoseconds = (firstTokenTime == 0 ? ended : firstTokenTime) - started
        timings.predictedCount = sequence.count - firstGenerated
        timings.predictedNanoseconds = firstTokenTime == 0 ? 0 : ended - firstTokenTime
        let generated = UnsafeBufferPointer(start: sequence.tokens + firstGenerated, count: timings.predictedCount)
        return GenerationResult(
            tokens: Array(generated), logProbabilities: Array((record?.entries ?? []).prefix(timings.predictedCount)),
            promptLogProbabilities: promptLogProbabilities, cachedCount: cachedCount, reason: reason ?? .length,
            telemetry: telemetry, company: company, policy: policy.report, timings: timings, traffic: traffic)
    }
}

/// How a session's windows were shared with other texts.
public struct CompanyCounts: Sendable, Equatable {
    /// Windows it took part in.
    public private(set) var steps = 0
    /// Its rows in them.
    public private(set) var rows = 0
    /// Those of these windows that had other texts' rows as well.
    public private(set) var shared = 0

    mutating func count(rows: Int, texts: Int) {
        steps += 1
        self.rows += rows
        if texts > 1 { shared += 1 }
    }
}
