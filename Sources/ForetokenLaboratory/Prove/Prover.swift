import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Runs the same texts in many ways that must not matter, and compares tokens and the bits of everything computed.
public final class Prover {
    /// Runs of a whole proof, references included.
    public var plannedRuns: Int { plan.runs }
    /// Steps of the verifier in a whole proof, at most: accepted drafts save some.
    public var plannedSteps: Int { plan.steps }

    private let weights: ModelWeights
    private let settings: ProofSettings
    private let makePool: (Int) throws -> WorkerPool
    private let loadPlaced: ((NodeLayout) throws -> ModelWeights)?
    private let plan: ProofPlan
    private let samplings: [ProofSampling]
    private var engine: ProofEngine?
    /// The hosts that share the weights with this one; nil where there are none.
    package var others: OtherHosts?
    /// The weights again, cut for made-up nodes.
    private var placedWeights: ModelWeights?
    private var references: [ProofSubject: ProofOutcome] = [:]
    private var comparison: ProofComparison
    /// Of the run in progress.
    private var traces: [StepTrace] = []
    private var progress: (ProofProgress) -> Bool = { _ in true }
    private var title = ""
    private var passedSteps = 0
    private var stepCount = 0

    /// - Parameters:
    ///   - settings: what to cover; there is a prompt, every prompt has a token, all ids are the model's.
    ///   - loadPlaced: loads the same weights again, cut for other nodes; called once at most. nil leaves placements out.
    ///   - makePool: workers, given their number. One pool exists at a time.
    public init(
        weights: ModelWeights, settings: ProofSettings, loadPlaced: ((NodeLayout) throws -> ModelWeights)? = nil,
        makePool: @escaping (Int) throws -> WorkerPool
    ) {
        self.weights = weights
        self.settings = settings
        self.makePool = makePool
        self.loadPlaced = loadPlaced
        plan = ProofPlan(
            settings, hasModules: !weights.modules.isEmpty, triesPlacements: loadPlaced != nil,
            isShared: weights.host.isPart)
        samplings = ProofSampling.all(seed: settings.seed)
        comparison = ProofComparison(settings, samplings)
    }

    /// Does it all, or as much as it may.
    ///
    /// - Parameter progress: told between steps how far the proof is; ends it by returning false.
    /// - Throws: when workers or memory cannot be had, or the model's logits overflow.
    public func prove(progress: @escaping (ProofProgress) -> Bool = { _ in true }) throws -> Proof {
        self.progress = progress
        (passedSteps, stepCount, references) = (0, 0, [:])
        comparison = ProofComparison(settings, samplings)
        defer {
            engine = nil
            placedWeights = nil
            self.progress = { _ in true }
        }
        var proof = Proof()
        proof.omissions = plan.omissions
        do {
            for trial in plan.trials { try run(trial, into: &proof) }
        } catch is CancellationError {
            proof.isPartial = true
        }
        proof.stepCount = stepCount
        return proof
    }

    private func run(_ trial: ProofTrial, into proof: inout Proof) throws {
        title = trial.title
        proof.ways.append(ProofWay(title: trial.title, plannedRuns: trial.runs))
        let index = proof.ways.count - 1
        for (subject, courses) in trial.cases {
            _ = try reference(subject)
            for course in courses {
                let runs = try perform(course, subject, planned: course.steps(subject))
                var first: (divergence: Divergence, run: ProofRun)?
                for run in runs {
                    let result = comparison.compare(
                        run, with: try reference(run.subject), way: title, name: course.name)
                    proof.ways[index].add(run.outcome, result)
                    if first == nil, let divergence = result.divergence { first = (divergence, run) }
                }
                proof.ways[index].runs += 1
                guard let first else { continue }
                proof.ways[index].differingRuns += 1
                guard proof.ways[index].divergence == nil else { continue }
                proof.ways[index].divergence = first.divergence
                proof.ways[index].divergence?.element = try element(first.divergence, course, subject, first.run)
            }
        }
    }

    // MARK: Runs

    /// The subject's plain run: own threads, no drafts.
    private func reference(_ subject: ProofSubject) throws -> ProofOutcome {
        if let known = references[subject] { return known }
        let made = try perform(plainCourse, subject, planned: subject.steps)[0].outcome
        references[subject] = made
        return made
    }

    private var plainCourse: ProofCourse { ProofCourse(name: "draft off", threads: settings.threads) }

    /// Runs a course: the subject first, then those beside it.
    ///
    /// - Parameters:
    ///   - planned: steps it counts in the progress; 0 for a repetition.
    ///   - target: values to keep.
    ///   - text: whose they are; nil for the subject's.
    private func perform(
        _ course: ProofCourse, _ subject: ProofSubject, planned: Int, keeping target: StepTrace.Target? = nil,
        of text: Int? = nil
    ) throws -> [ProofRun] {
        // Who needs a reference first performs that in between.
        let outer = traces
        traces = []
        defer {
            stepCount += traces.reduce(0) { $0 + $1.stepCount }
            traces = outer
        }
        let runs: [ProofRun]
        if let company = course.company {
            runs = try accompany(company, course, subject, planned) { $0 == text ?? 1 ? target : nil }
        } else {
            let trace = makeTrace(target)
            let outcome =
                if let widths = course.widths {
                    try force(widths, course, subject, trace, planned)
                } else {
                    try generate(course, subject, trace, planned)
                }
            runs = [ProofRun(subject: subject, outcome: outcome)]
        }
        passedSteps += planned
        return runs
    }

    private func makeTrace(_ target: StepTrace.Target?) -> StepTrace {
        let trace = StepTrace(keeping: target)
        traces.append(trace)
        return trace
    }

    private func engine(_ course: ProofCourse, _ subject: ProofSubject) throws -> ProofEngine {
        let (threads, set, placement) = (course.threads, subject.instructionSet, course.placement)
        if let engine, engine.threads == threads, engine.model.instructionSet == set, engine.placement == placement {
            return engine
        }
        // The old workers go before new ones are pinned.
        engine = nil
        let made = ProofEngine(
            model: try placement.map { try placed($0, threads, set) }
                ?? Model(weights: weights, pool: makePool(threads), instructionSet: set, others: others),
            placement: placement, capacity: settings.positions, drawable: settings.drawable)
        engine = made
        return made
    }

    /// The model on made-up nodes, its experts moved to where the placement wants them.
    private func placed(_ placement: ProofPlacement, _ threads: Int, _ set: String) throws -> Model {
        guard let placed = try placedWeights ?? loadPlaced?(ProofPlacement.nodes) else {
            preconditionFailure("courses with placements are planned only where their weights can be loaded")
        }
        placedWeights = placed
        try placed.experts.move(to: placement.plan(placed.experts))
        let sizes = threads > 1 ? [threads - threads / 2, threads / 2] : [1]
        return try Model(
            weights: placed, pool: try WorkerPool(threads: threads, teamSizes: sizes), instructionSet: set)
    }

    private func request(_ draft: DraftMode, _ subject: ProofSubject) -> GenerationRequest {
        var request = GenerationRequest(
            prompt: Array(settings.prompts[subject.prompt].tokens.prefix(subject.promptCount)))
        request.maximumTokens = subject.tokens
        request.sampling = samplings[subject.sampling].options
        request.sampling.seed &+= subject.ownSeed
        request.draft = draft
        return request
    }

    private func generate(
        _ course: ProofCourse, _ subject: ProofSubject, _ trace: StepTrace, _ planned: Int
    ) throws -> ProofOutcome {
        var request = request(course.draft, subject)
        request.sources = course.sources
        var lastToken = Int.max
        if let ending = subject.ending {
            if ending.isByToken {
                request.stopTokens = [try endToken(subject, ending)]
            } else {
                lastToken = ending.after
            }
        }
        let watch = DraftWatch(trace: DraftTrace(), plant: try plant(course.drafts, subject))
        // After the references that had to be made first: they used the workers, too.
        let generator = try engine(course, subject).makeGenerator(subject.cacheType)
        generator.observer = trace
        if let source = generator.source { generator.source = DraftWatch.source(source) { _ in watch } }
        var outcome = ProofOutcome(context: [], trace: trace, drafts: watch.trace)
        let isReference = references[subject] == nil
        try extend(&outcome, generator, request, after: lastToken, planned, mayFail: !isReference)
        if let ending = subject.ending, !outcome.hasFailed {
            request.prompt = (0..<ending.nextCount).map { request.prompt[$0 % request.prompt.count] }
            request.maximumTokens = ending.nextTokens
            request.stopTokens = []
            try extend(&outcome, generator, request, after: .max, planned, mayFail: !isReference)
        }
        outcome.takePositions()
        return outcome
    }

    /// The token that a run without an early end gives in that place.
    private func endToken(_ subject: ProofSubject, _ ending: ProofSubject.Ending) throws -> Int32 {
        var whole = subject
        whole.ending = nil
        return try reference(whole).context[subject.promptCount + ending.after - 1]
    }

    /// Continues the outcome's text by a request and its answer.
    ///
    /// - Parameter mayFail: whether logits that overflow are a difference to be found, not the model's own fault.
    private func extend(
        _ outcome: inout ProofOutcome, _ generator: Generator, _ request: GenerationRequest, after: Int,
        _ planned: Int, mayFail: Bool
    ) throws {
        var tokens: [Int32] = []
        do {
            let result = try generator.generate(request) { event in
                guard goesOn(outcome.trace.stepCount, planned) else { return .cancel }
                guard case .token(let token, _, _) = event else { return .proceed }
                tokens.append(token)
                return tokens.count >= after ? .stop : .proceed
            }
            if result.reason == .cancelled { throw CancellationError() }
            outcome.telemetry.add(result.telemetry)
        } catch let error as GenerationError {
            guard mayFail else { throw error }
            outcome.hasFailed = true
        }
        outcome.context += request.prompt + tokens
        outcome.generated += tokens.count
    }

    private func plant(
        _ drafts: ProofCourse.Drafts, _ subject: ProofSubject
    ) throws -> ((_ position: Int, _ guess: Int32) -> Int32)? {
        guard drafts != .own else { return nil }
        let text = try reference(subject).context
        let vocabulary = Int32(min(settings.drawable ?? .max, weights.configuration.vocabularySize))
        let seed = settings.seed
        let isAlwaysRight = drafts == .right
        return { position, guess in
            guard position < text.count else { return guess }
            var noise = (UInt64(position) ^ seed) &* 0x9E37_79B9_7F4A_7C15
            noise = (noise ^ noise >> 29) &* 0xBF58_476D_1CE4_E5B9
            return isAlwaysRight || noise >> 62 != 0 ? text[position] : (text[position] + 1) % vocabulary
        }
    }

    /// The subject and those beside it, who may not all have come.
    private func accompany(
        _ company: (visitors: [ProofVisitor], rules: ProofCompany), _ course: ProofCourse, _ subject: ProofSubject,
        _ planned: Int, target: (_ text: Int) -> StepTrace.Target?
    ) throws -> [ProofRun] {
        func part(_ visitor: ProofVisitor?) throws -> CompanyRun.Part {
            let own = visitor?.subject ?? subject
            let answer = try reference(own).context[own.promptCount...]
            var request = request(visitor?.draft ?? course.draft, own)
            if let token = visitor?.stopToken(answer) { request.stopTokens = [token] }
            let watch = DraftWatch(
                trace: DraftTrace(), plant: try plant(visitor?.drafts ?? course.drafts, own))
            return CompanyRun.Part(request: request, visitor: visitor, trace: StepTrace(), watch: watch)
        }
        // References first: they use the workers, too.
        var parts = try [part(nil)] + company.visitors.map(part)
        for i in parts.indices { parts[i].trace = makeTrace(target(i + 1)) }
        let engine = try engine(course, subject).makeEngine(
            company.rules.engineSettings(
                settings, cacheType: subject.cacheType,
                sizes: [subject.positions] + company.visitors.map(\.subject.positions)))
        let traces = traces
        let run = CompanyRun(parts, on: engine) {
            self.goesOn(traces.reduce(0) { $0 + $1.stepCount }, planned)
        }
        try run.run()
        return try run.parts.enumerated().compactMap { index, part in
            guard let served = part.outcome else { return nil }
            let own = part.visitor?.subject ?? subject
            var outcome = ProofOutcome(
                context: part.request.prompt + part.tokens, trace: part.trace, drafts: part.watch.trace)
            outcome.generated = part.tokens.count
            var cached = 0
            switch served {
            case .success(let result):
                outcome.telemetry.add(result.telemetry)
                cached = result.cachedCount
            case .failure(is GenerationError): outcome.hasFailed = true
            case .failure(let error): throw error
            }
            outcome.takePositions(cached: cached)
            let answer = try reference(own).context[own.promptCount...]
            return ProofRun(
                subject: own, text: index + 1, tokenCount: part.visitor?.tokenCount(answer), outcome: outcome)
        }
    }

    private func force(
        _ widths: [Int], _ course: ProofCourse, _ subject: ProofSubject, _ trace: StepTrace, _ planned: Int
    ) throws -> ProofOutcome {
        let text = try reference(subject).context
        let engine = try engine(course, subject)
        let verifier = engine.model.verifier
        defer { verifier.observer = nil }
        let sequence = try engine.prefilled(subject, text, observer: trace)
        let end = text.count - 1
        var step = Step()
        var index = 0
        while sequence.position < end {
            guard goesOn(trace.stepCount, planned) else { throw CancellationError() }
            let count = min(widths[index % widths.count], end - sequence.position)
            index += 1
            step.clear()
            step.add(sequence, count: count)
            verifier.run(step)
            verifier.computeLogits(first: 0, count: count)
        }
        return ProofOutcome(
            context: text, positions: subject.promptCount..<end, trace: trace, drafts: DraftTrace())
    }

    private func goesOn(_ steps: Int, _ planned: Int) -> Bool {
        let done = passedSteps + min(steps, planned)
        return progress(ProofProgress(title: title, fraction: Double(done) / Double(max(1, plannedSteps))))
    }

    // MARK: Elements

    /// Runs of which timing decides the course may take several attempts.
    private static let attempts = 3

    /// Runs both again and looks at the values themselves; nil when the difference does not show again.
    private func element(
        _ divergence: Divergence, _ course: ProofCourse, _ subject: ProofSubject, _ run: ProofRun
    ) throws -> Divergence.Element? {
        guard divergence.kind == .values, let site = divergence.expectedSite else { return nil }
        let target = StepTrace.Target(position: divergence.position, site: site)
        let plain = try perform(plainCourse, run.subject, planned: 0, keeping: target)
        guard let expected = plain[0].outcome.trace.kept else { return nil }
        for _ in 0..<Self.attempts {
            let again = try perform(course, subject, planned: 0, keeping: target, of: run.text)
            guard let found = again.first(where: { $0.text == run.text })?.outcome.trace.kept,
                found.count == expected.count
            else { continue }
            let differing = expected.indices.filter { expected[$0].bitPattern != found[$0].bitPattern }
            guard let first = differing.first else { continue }
            return Divergence.Element(
                index: first, width: expected.count, expected: expected[first], found: found[first],
                differing: differing.count)
        }
        return nil
    }
}
