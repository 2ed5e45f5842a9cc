import ForetokenHardware
import ForetokenModel
import ForetokenWeights

/// Serves many requests at once: reads prompts as soon as there is room for their texts, and generates for all texts that
/// are there in common steps. Each request gets exactly the tokens that it would get alone. To be used from one thread.
public final class Engine {
    /// What an engine has room for.
    public struct Settings: Sendable {
        /// Most texts at once, those whose prompt is being read among them.
        public var parallel = Step.windowRows
        /// Most tokens of one text.
        public var context: Int
        /// Pages of latents in all; nil for as many as the longest texts may need, and those of the cache.
        public var pages: Int?
        /// Most pages that hold prompts' beginnings for later prompts that begin alike; 0 for no such cache. Texts that need
        /// pages get those that nobody reads any more.
        public var cachePages = 0
        /// Element type of the latents.
        public var cacheType = CacheType.f32
        /// Whether the MTP modules may be used; false saves their part of the pages.
        public var drafting = true
        /// Ids from here on have no token and are never drawn; nil when all may be.
        public var drawable: Int?
        /// Share of time that a prompt is read in while other texts wait for their next token; 1 lets them wait.
        public var chunkShare = 0.5

        /// The defaults, for texts of up to `context` tokens.
        public init(context: Int) { self.context = context }
    }

    /// A request that waits for room.
    private struct Waiting {
        let request: GenerationRequest
        let number: Int
        let observe: (GenerationEvent) -> Continuation
        let completion: (Outcome) -> Void
    }

    /// A request that is served.
    private struct Running {
        let session: Session
        /// What is cached of its prompt; nil if nothing is to be.
        var path: PrefixCache.Path?
        let completion: (Outcome) -> Void
        /// What windows had read when its prompt was read.
        var traffic: [NodeTraffic] = []
    }

    /// What becomes of a request: its result, a `GenerationError`, or a `CancellationError` if it was never begun.
    public typealias Outcome = Result<GenerationResult, any Error>

    /// Looks on at every step of the verifier. Texts have the numbers of their requests there.
    public var observer: (any StepObserver)?

    /// Called between windows, and between the phases of a prompt: the place to take requests and to give others up. Costs
    /// nothing to speak of where there is nothing to do.
    package var interlude: (() -> Void)?

    /// Called before each window and each prompt, when no step is under way, not even one that rests: the place to move
    /// experts.
    public var betweenSteps: (() -> Void)?

    /// Where drafts come from.
    package var source: (any DraftSource)? {
        get { round.source }
        set { round.source = newValue }
    }

    /// Most tokens of one text.
    public var context: Int { settings.context }
    /// Most texts at once.
    public var parallel: Int { settings.parallel }
    /// Pages of latents in all.
    public var pages: Int { pool.pageCount }
    /// Most pages that beginnings of prompts are kept in.
    public var cachePages: Int { settings.cachePages }
    /// The steps that generated tokens so far.
    public var windows: WindowCounts { model.windows }
    /// Pages that nothing lies in.
    public var freePages: Int { pool.freePageCount }
    /// What is cached of prompts' beginnings.
    public var cacheCounts: PrefixCacheCounts { cache?.counts ?? PrefixCacheCounts() }

    private let model: Model
    private let settings: Settings
    private let drawable: Int
    private let pool: LatentPool
    private let cache: PrefixCache?
    /// The request that there were not enough pages for, and how many there were.
    private var refused = (number: -1, pages: 0)
    /// What drafting has learnt, from all texts.
    package let experience = DraftExperience()
    private let round: Round
    private var waiting: [Waiting] = []
    private var running: [Running] = []
    private var sessions: [Session] = []
    private var submitted = 0
    /// When the last window ended, and what it took.
    private var lastWindow: (end: Int64, time: Int64) = (0, 0)

    /// - Throws: `HardwareError` when the pages' memory cannot be had.
    public init(_ model: Model, _ settings: Settings) throws {
        precondition(settings.parallel > 0 && settings.context > 0 && settings.chunkShare > 0)
        self.model = model
        self.settings = settings
        drawable = min(settings.drawable ?? .max, model.configuration.vocabularySize)
        pool = try model.makePool(
            pages: settings.pages
                ?? settings.parallel * LatentPool.pages(forPositions: settings.context) + settings.cachePages,
            cacheType: settings.cacheType, drafting: settings.drafting)
        let modules = settings.drafting ? model.draftHead?.moduleCount ?? 0 : 0
        cache = settings.cachePages > 0 ? PrefixCache(pool, pages: settings.cachePages, modules: modules) : nil
        round = Round(
            ModelVerifier(model.verifier), experience, source: Round.source(model, drafting: settings.drafting))
        sessions.reserveCapacity(Step.windowRows)
        running.reserveCapacity(settings.parallel)
    }

    /// Half of the bytes that memory and address space leave beside the buffers of products, for pages; nil where neither
    /// is limited or known.
    public static func spareBytes(_ model: Model) -> Int? {
        let space = AddressSpace.available.map {
            max(0, $0 - model.pool.workerCount * AddressSpace.productBuffer)
        }
        return [MemoryBudget.read().available, space].compactMap(\.self).min().map { $0 / 2 }
    }

    /// Pages for as many of these texts at once as there is memory for, at most `parallel`, whichever of them these are.
    ///
    /// - Parameters:
    ///   - capacities: positions that each text may come to.
    ///   - available: bytes that may be used; nil where it is not known.
    /// - Returns: how many texts, at least 1, and pages for them.
    public static func room(
        for capacities: [Int], parallel: Int, _ model: Model, cacheType: CacheType, drafting: Bool, available: Int?
    ) -> (parallel: Int, pages: Int) {
        let sizes = capacities.sorted(by: >).prefix(parallel).map { LatentPool.pages(forPositions: $0) }
        let bytes = model.pageBytes(cacheType: cacheType, drafting: drafting)
        var (count, pages) = (0, 0)
        for size in sizes {
            if count > 0, let available, (pages + size) * bytes > available { break }
            (count, pages) = (count + 1, pages + size)
        }
        return (max(1, count), max(1, pages))
    }

    /// Takes a request, which waits until there is room for it. May be called while the engine runs, from inside a closure
    /// it was given.
    ///
    /// - Parameters:
    ///   - observe: sees every event of this request in order and may end it.
    ///   - completion: told what became of it.
    /// - Returns: the number that its text has where steps are observed.
    /// - Throws: `GenerationError` for one that can never be served; neither closure is called then.
    @discardableResult
    public func submit(
        _ request: GenerationRequest, observe: @escaping (GenerationEvent) -> Continuation = { _ in .proceed },
        completion: @escaping (Outcome) -> Void
    ) throws -> Int {
        try request.check(model.configuration, drawable: drawable, before: 0, capacity: settings.context)
        let pages = LatentPool.pages(forPositions: capacity(of: request))
        guard pages <= pool.pageCount else {
            throw GenerationError(
                description:
                    "the text may need \(pages) pages of latents, but there are \(pool.pageCount) for all texts; "
                    + "give the cache more memory, or ask for fewer tokens", kind: .system)
        }
        waiting.append(
            Waiting(request: request, number: submitted, observe: observe, completion: completion))
        submitted += 1
        return submitted - 1
    }

    /// Gives up all requests that have not been begun.
    public func withdrawWaiting() {
        let given = waiting
        waiting = []
        for one in given { refuse(one, CancellationError()) }
    }

    /// Positions that a text may come to.
    private func capacity(of request: GenerationRequest) -> Int {
        let (sum, isBeyondAll) = request.prompt.count.addingReportingOverflow(request.maximumTokens)
        return isBeyondAll ? settings.context : min(sum, settings.context)
    }

    /// Works until no request is left. Not to be called from inside a closure that the engine was given.
    public func run() {
        model.verifier.observer = observer
        model.pool.startSpinning()
        defer {
            model.pool.stopSpinning()
            model.verifier.observer = nil
        }
        while true {
            interlude?()
            betweenSteps?()
            heedCancellations()
            if let next = admit() {
                read(next)
            } else if !running.isEmpty {
                runWindow()
            } else if waiting.isEmpty {
                return
            }
        }
    }

    // MARK: Admission

    /// The oldest request that waits, if there is room for its text.
    private func admit() -> Running? {
        guard let next = waiting.first, running.count < settings.parallel else { return nil }
        let capacity = capacity(of: next.request)
        let found: (sequence: TokenSequence, path: PrefixCache.Path?)?
        do {
            found = try makeSequence(next, capacity: capacity)
        } catch {
            // Memory for its rows: others may give some back.
            if running.isEmpty { refuse(waiting.removeFirst(), error) }
            return nil
        }
        guard let (sequence, path) = found else { return nil }
        waiting.removeFirst()
        sequence.number = next.number
        let policy = DraftPolicy(
            next.request, hasModules: settings.drafting && model.draftHead != nil, experience)
        return Running(
            session: Session(
                next.request, on: sequence,
                Sampler(
                    next.request.sampling, limit: drawable, instructionSet: model.instructionSet,
                    mask: next.request.mask), policy,
                lookup: policy.looksUp ? TextLookup(sequence.tokens, capacity: capacity + 1) : nil,
                cached: path?.positions ?? 0, observe: next.observe),
            path: path, completion: next.completion)
    }

    /// A request's text with its prompt, and what is cached of it; nil without pages for it.
    /// - Throws: `HardwareError` when memory for its rows cannot be had.
    private func makeSequence(
        _ next: Waiting, capacity: Int
    ) throws -> (sequence: TokenSequence, path: PrefixCache.Path?)? {
        let needed = LatentPool.pages(forPositions: capacity)
        guard let cache else {
            guard needed <= pool.freePageCount else { return nil }
            let sequence = try model.makeSequence(context: capacity, in: pool)
            sequence.append(next.request.prompt)
            return (sequence, nil)
        }
        // Looking again is worth it only where there are other pages than there were.
        guard refused != (next.number, pool.availablePageCount) else { return nil }
        // Whoever wants the prompt scored needs all of its rows.
        let isScored = next.request.promptLogProbabilities != nil
        let path = cache.find(isScored ? [] : next.request.prompt, salt: next.request.cacheSalt)
        guard cache.makeRoom(pages: needed - path.pages, beside: path) else {
            refused = (next.number, pool.availablePageCount)
            return nil
        }
        let sequence = try cache.begin(model, next.request.prompt, capacity: capacity, path)
        return (sequence, isScored ? nil : path)
    }

    /// Reads a prompt; the texts that are there already get windows between its phases.
    private func read(_ next: Running) {
        var next = next
        // What is cached has the modules' rows, too, whoever read it first.
        let isCached = next.path != nil
        var reader = PromptReader(
            model, drafting: next.session.policy.keepsRows || isCached && settings.drafting)
        let isShared = !running.isEmpty && settings.chunkShare < 1
        let isDivided =
            isShared || interlude != nil || next.session.isCancellable
            || running.contains { $0.session.isCancellable }
        func rest() {
            interlude?()
            heedCancellations()
            if isShared { giveWindow() }
        }
        next.session.readPrompt(
            &reader, model.verifier, rest: isDivided ? rest : nil,
            finished: { if isCached { cache?.keep(next.session.sequence, &next.path!) } })
        next.traffic = model.traffic
        if !finish(next) { running.append(next) }
        giveWindow()
    }

    /// Ends what has been given up from outside: requests that wait, and texts that are there.
    private func heedCancellations() {
        var place = 0
        while place < waiting.count {
            if waiting[place].request.cancellation?.isRequested == true {
                refuse(waiting.remove(at: place), CancellationError())
            } else {
                place += 1
            }
        }
        for one in running { one.session.heedCancellation() }
        finishEnded()
    }

    /// Runs a window beside a prompt, if it is the other texts' turn.
    private func giveWindow() {
        guard !running.isEmpty else { return }
        let pause = Double(lastWindow.time) * settings.chunkShare / (1 - settings.chunkShare)
        if Double(MonotonicClock.now - lastWindow.end) >= pause { runWindow() }
    }

    // MARK: Windows

    /// One round of the texts whose turn it is: of more texts than rows, those that have waited longest.
    private func runWindow() {
        let started = MonotonicClock.now
        heedCancellations()
        let count = min(running.count, Step.windowRows)
        guard count > 0 else { return }
        sessions.removeAll(keepingCapacity: true)
        for i in 0..<count { sessions.append(running[i].session) }
        round.run(sessions)
        sessions.removeAll(keepingCapacity: true)
        let isCrowded = running.count > count
        var kept = 0
        for i in 0..<count {
            let one = running[i]
            if finish(one) { continue }
            running[kept] = one
            kept += 1
        }
        if kept < count { running.removeSubrange(kept..<count) }
        if isCrowded { putBehind(kept) }
        let now = MonotonicClock.now
        lastWindow = (now, now - started)
    }

    /// Puts the first `count` texts, which had their turn, behind those that wait for one.
    private func putBehind(_ count: Int) {
        reverse(0..<count)
        reverse(count..<running.count)
        reverse(0..<running.count)
    }

    private func reverse(_ range: Range<Int>) {
        for i in 0..<range.count / 2 { running.swapAt(range.lowerBound + i, range.upperBound - 1 - i) }
    }

    /// Tells that a request was never begun.
    private func refuse(_ one: Waiting, _ error: any Error) {
        observer?.left(text: one.number)
        one.completion(.failure(error))
    }

    private func finishEnded() {
        var place = 0
        while place < running.count {
            let one = running[place]
            if one.session.reason == nil {
                place += 1
            } else {
                running.remove(at: place)
                finish(one)
            }
        }
    }

    /// Tells what became of a request that has ended.
    /// - Returns: false while it goes on.
    @discardableResult
    private func finish(_ one: Running) -> Bool {
        guard one.session.reason != nil else { return false }
        observer?.left(text: one.session.sequence.number)
        if let failure = one.session.failure {
            one.completion(.failure(failure))
        } else {
            let traffic = zip(model.traffic, one.traffic).map { $0 - $1 }
            one.completion(.success(one.session.result(traffic: traffic)))
        }
        return true
    }
}
