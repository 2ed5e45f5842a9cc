import ForetokenHardware
import ForetokenModel
import ForetokenWeights

/// Generates text: drafts with the MTP modules, verifies with the main model, keeps what the main model itself would
/// have said. Tokens are the same at every draft length. The context stays between requests, so a conversation goes on
/// where it ended.
public final class Generator {
    /// Tokens the context can hold.
    public let capacity: Int
    private let model: Model
    private let verifier: Verifier
    private let draftHead: MTPHead?
    private let tokens: UnsafeMutablePointer<Int32>
    /// Tokens in `tokens`: the verifier has seen all of them but, after a generation, the last.
    private var tokenCount = 0
    private let drawable: Int
    /// What costs and odds of drafting came to so far.
    private var experience = DraftExperience()

    /// Number of tokens in the context so far.
    public var contextCount: Int { tokenCount }

    /// Looks on at every step of the verifier.
    public var observer: (any StepObserver)? {
        get { verifier.observer }
        set { verifier.observer = newValue }
    }

    /// Replaces drafts, given their output position and the module's guess: a proof needs right and wrong ones in every
    /// order, also from modules whose guesses never hold.
    package var redraft: ((_ position: Int, _ guess: Int32) -> Int32)?

    /// - Parameters:
    ///   - capacity: context size in tokens.
    ///   - drafting: whether the MTP modules may be used; false saves their caches.
    ///   - drawable: ids from here on have no token and are never drawn; nil when all may be.
    /// - Throws: `HardwareError` when the caches' memory cannot be had.
    public init(
        model: Model, capacity: Int, cacheType: CacheType = .f32, drafting: Bool = true, drawable: Int? = nil
    ) throws {
        self.model = model
        self.capacity = capacity
        self.drawable = min(drawable ?? .max, model.configuration.vocabularySize)
        verifier = try model.makeVerifier(context: capacity, cacheType: cacheType)
        draftHead = drafting ? try model.makeMTPHead(context: capacity, cacheType: cacheType) : nil
        // Rejected drafts may lie past the end of the context.
        tokens = .allocate(capacity: capacity + MTPHead.maximumDrafts + 1)
    }

    deinit { tokens.deallocate() }

    /// Forgets the whole context.
    public func clear() {
        tokenCount = 0
        verifier.truncate(to: 0)
        draftHead?.clear()
    }

    /// Appends the prompt to the context and continues it.
    ///
    /// - Parameter observe: sees every event in order and may end the generation.
    /// - Throws: `GenerationError` when the prompt is empty, holds unknown ids or does not fit (nothing has been run then),
    ///   or when the model's logits overflow.
    public func generate(
        _ request: GenerationRequest, observe: (GenerationEvent) -> Continuation = { _ in .proceed }
    ) throws -> GenerationResult {
        try check(request)
        let limit = draftHead == nil ? 0 : MTPHead.maximumDrafts
        // Every emitted token but the last needs a place in the cache.
        let room = min(request.maximumTokens, capacity + 1 - tokenCount - request.prompt.count)
        var run = Run(
            policy: DraftPolicy(
                request.draft, limit: limit, isGreedy: request.sampling.isGreedy, experience),
            sampler: Sampler(request.sampling, limit: drawable, instructionSet: model.instructionSet),
            stopTokens: request.stopTokens,
            end: tokenCount + request.prompt.count + room,
            record: request.logProbabilities.map { LogProbabilityRecord(topCount: $0, capacity: room) })
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        let started = MonotonicClock.now
        let seen = verifier.position
        prefill(request.prompt, &run, observe)
        let promptCount = verifier.position - seen
        let traffic = model.traffic
        while run.reason == nil { round(&run, observe) }
        experience = run.policy.experience
        if let failure = run.failure { throw failure }
        return result(run, promptCount: promptCount, started: started, traffic: traffic)
    }

    /// The state of one generation.
    private struct Run {
        var policy: DraftPolicy
        let sampler: Sampler
        let stopTokens: [Int32]
        /// What stopped the generation for good.
        var failure: GenerationError?
        /// Token count at which the limit is reached.
        let end: Int
        var record: LogProbabilityRecord?
        var telemetry = Telemetry()
        var reason: FinishReason?
        var firstGenerated = 0
        var firstTokenTime: Int64 = 0
    }

    private func check(_ request: GenerationRequest) throws {
        try check(request.sampling)
        guard request.maximumTokens >= 1 else {
            throw GenerationError(description: "at least 1 token has to be generated, not \(request.maximumTokens)")
        }
        if let count = request.logProbabilities, !(0...GenerationRequest.maximumLogProbabilities).contains(count) {
            throw GenerationError(
                description: "log-probabilities of the \(count) likeliest tokens were asked for; "
                    + "0...\(GenerationRequest.maximumLogProbabilities) are possible")
        }
        let vocabulary = Int32(model.configuration.vocabularySize)
        if request.prompt.isEmpty {
            throw GenerationError(description: "the prompt is empty: there is nothing to continue")
        }
        if let index = request.prompt.firstIndex(where: { $0 < 0 || $0 >= vocabulary }) {
            throw GenerationError(
                description:
                    "prompt token \(index) is \(request.prompt[index]); ids of this model are 0...\(vocabulary - 1)")
        }
        if tokenCount + request.prompt.count > capacity {
            throw GenerationError(
                description:
                    "the prompt has \(request.prompt.count) tokens, but \(max(0, capacity - tokenCount)) of the context's "
                    + "\(capacity) are free; raise --context (this model allows \(model.configuration.maximumPositions)) "
                    + "or shorten the prompt")
        }
    }

    private func check(_ sampling: SamplingOptions) throws {
        if let problem = sampling.problem { throw GenerationError(description: problem) }
        let vocabulary = model.configuration.vocabularySize
        if let token = sampling.logitBias.keys.filter({ !(0..<vocabulary).contains($0) }).min() {
            throw GenerationError(
                description: "a logit bias is for token \(token); ids of this model are 0...\(vocabulary - 1)")
        }
        let bans = sampling.logitBias.filter { $0.key < drawable && $0.value <= -SamplingOptions.penaltyLimit }
        if bans.count == drawable {
            throw GenerationError(description: "logit biases ban all \(drawable) tokens: nothing is left to draw")
        }
    }

    // MARK: Prompt

    /// Runs everything the verifier has not seen, in chunks that end at absolute multiples of a constant, and draws the
    /// first token unless cancelled.
    private func prefill(_ prompt: [Int32], _ run: inout Run, _ observe: (GenerationEvent) -> Continuation) {
        for (i, token) in prompt.enumerated() { tokens[tokenCount + i] = token }
        tokenCount += prompt.count
        run.sampler.history.begin(UnsafeBufferPointer(start: tokens, count: tokenCount))
        let total = tokenCount - verifier.position
        while verifier.position < tokenCount {
            let start = verifier.position
            let count = verifier.nextChunk(to: tokenCount)
            verifier.forward(tokens + start, count: count)
            observer?.ended(.prompt)
            if verifier.position == tokenCount {
                verifier.computeLogits(first: count - 1, count: 1, rule: run.sampler.parallelRule)
            }
            if run.policy.mayDraft, let draftHead {
                draftHead.observe(
                    verifier.hidden(row: 0), stride: verifier.hiddenStride, count: count, firstRow: start)
                draftHead.catchUp(tokens, known: tokenCount)
            }
            let done = total - (tokenCount - verifier.position)
            if observe(.prompt(done: done, of: total)) != .proceed {
                run.reason = .cancelled
                run.firstGenerated = tokenCount
                return
            }
        }
        run.firstGenerated = tokenCount
        guard let first = draw(row: 0, &run) else { return }
        run.firstTokenTime = MonotonicClock.now
        emit(first, &run, observe)
    }

    // MARK: Rounds

    /// Drafts, verifies in one step, accepts the longest right prefix and the verifier's own next token.
    private func round(_ run: inout Run, _ observe: (GenerationEvent) -> Continuation) {
        let newest = tokenCount - 1
        let limit = run.policy.begin(room: run.end - tokenCount - 1)
        var times = RoundTimes()
        let length = draft(atMost: limit, &run, &times)
        let dropped = run.policy.made > length ? tokens[newest + 1 + length] : nil
        let drafted = MonotonicClock.now
        verifier.forward(tokens + newest, count: 1 + length)
        verifier.computeLogits(first: 0, count: 1 + length, rule: run.sampler.parallelRule)
        times.verifying = MonotonicClock.now - drafted
        let accepted = accept(length, &run, observe)
        // The newest token stays unseen, also when it was an accepted draft that ended the text: the next prompt must
        // find the same state at every draft length.
        let emitted = tokenCount - 1 - newest
        verifier.truncate(to: newest + emitted)
        if run.policy.mayDraft, let draftHead {
            draftHead.observe(
                verifier.hidden(row: 0), stride: verifier.hiddenStride, count: emitted, firstRow: newest)
            if draftHead.waitingRowCount > Self.waitingRows { draftHead.forgetAllButNewest(Self.waitingRows / 2) }
        }
        run.telemetry.record(drafted: length, accepted: accepted, emitted: emitted)
        observer?.ended(.verified(accepted: accepted))
        let droppedHeld =
            accepted == length && emitted > length ? dropped.map { $0 == tokens[newest + 1 + length] } : nil
        run.policy.record(
            drafted: length, accepted: accepted, emitted: emitted, droppedHeld: droppedHeld, times: times)
    }

    /// Most hidden rows kept while drafting is off; a probe catches up with the newest half or more of them, in one
    /// narrow step.
    static let waitingRows = 16

    /// Writes drafts behind the newest token, as many as the policy finds worth verifying, and returns their number. A
    /// draft is drawn like an output token, with the same noise, penalised as if the drafts before it had been accepted.
    private func draft(atMost limit: Int, _ run: inout Run, _ times: inout RoundTimes) -> Int {
        guard limit > 0, let draftHead else { return 0 }
        let begun = MonotonicClock.now
        var firstDone = begun
        defer {
            let done = MonotonicClock.now
            times.drafting = done - begun
            times.laterDrafts = done - firstDone
        }
        draftHead.catchUp(tokens, known: tokenCount)
        let history = run.sampler.history
        var pushed = 0
        defer { for i in (0..<pushed).reversed() { history.pop(tokens[tokenCount + i]) } }
        for i in 0..<limit {
            var choice = draftHead.drawDraft(rule: run.sampler.parallelRule, position: tokenCount + i)
            if !run.sampler.isUnfiltered {
                choice = run.sampler.choose(draftHead.logits(row: 0), position: tokenCount + i)
            }
            let guess = redraft.map { $0(tokenCount + i, choice.token) } ?? choice.token
            tokens[tokenCount + i] = guess
            if i == 0 { firstDone = MonotonicClock.now } else { times.laterDraftCount += 1 }
            switch run.policy.judge(lead: choice.lead, limit: limit) {
            case .extend:
                history.push(guess)
                pushed += 1
                draftHead.advance(guess)
            case .finish: return i + 1
            case .drop: return i
            }
        }
        return limit
    }

    /// The verifier's token for the next position, from row `row` of its step; nil when its logits overflowed.
    private func draw(row: Int, _ run: inout Run) -> Int32? {
        let logits = verifier.logits(row: row)
        let token =
            run.sampler.isUnfiltered ? verifier.drawn(row: row) : run.sampler.pick(logits, position: tokenCount)
        if logits[Int(token)].isFinite && run.record?.append(token, logits) != false { return token }
        run.reason = .cancelled
        run.failure = .overflow(position: tokenCount)
        return nil
    }

    /// Emits the verifier's token after each right draft, up to the first wrong one. Returns the drafts accepted.
    private func accept(_ length: Int, _ run: inout Run, _ observe: (GenerationEvent) -> Continuation) -> Int {
        for i in 0...length {
            let guess = i < length ? tokens[tokenCount] : -1
            guard let token = draw(row: i, &run) else { return i }
            emit(token, &run, observe)
            if token != guess || run.reason != nil { return token == guess ? i + 1 : i }
        }
        return length
    }

    private func emit(_ token: Int32, _ run: inout Run, _ observe: (GenerationEvent) -> Continuation) {
        tokens[tokenCount] = token
        tokenCount += 1
        run.sampler.history.push(token)
        switch observe(.token(token)) {
        case .proceed: break
        case .stop: run.reason = .stop
        case .cancel: run.reason = .cancelled
        }
        if run.reason == nil && run.stopTokens.contains(token) { run.reason = .stop }
        if run.reason == nil && tokenCount >= run.end { run.reason = .length }
    }

    private func result(
        _ run: Run, promptCount: Int, started: Int64, traffic before: [NodeTraffic]
    ) -> GenerationResult {
        let ended = MonotonicClock.now
        var timings = Timings()
        timings.promptCount = promptCount
        timings.promptNanoseconds = (run.firstTokenTime == 0 ? ended : run.firstTokenTime) - started
        timings.predictedCount = tokenCount - run.firstGenerated
        timings.predictedNanoseconds = run.firstTokenTime == 0 ? 0 : ended - run.firstTokenTime
        let generated = UnsafeBufferPointer(start: tokens + run.firstGenerated, count: timings.predictedCount)
        return GenerationResult(
            tokens: Array(generated), logProbabilities: run.record?.entries ?? [], reason: run.reason ?? .length,
            telemetry: run.telemetry, policy: run.policy.report, timings: timings,
            traffic: zip(model.traffic, before).map { $0 - $1 })
    }
}
