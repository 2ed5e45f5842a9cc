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
    /// The weights again, cut for made-up nodes.
    private var placedWeights: ModelWeights?
    private var references: [ProofSubject: ProofOutcome] = [:]
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
        plan = ProofPlan(settings, hasModules: !weights.modules.isEmpty, triesPlacements: loadPlaced != nil)
        samplings = ProofSampling.all(seed: settings.seed)
    }

    /// Does it all, or as much as it may.
    ///
    /// - Parameter progress: told between steps how far the proof is; ends it by returning false.
    /// - Throws: when workers or memory cannot be had, or the model's logits overflow.
    public func prove(progress: @escaping (ProofProgress) -> Bool = { _ in true }) throws -> Proof {
        self.progress = progress
        (passedSteps, stepCount, references) = (0, 0, [:])
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
            let reference = try reference(subject)
            for course in courses {
                let outcome = try perform(course, subject, planned: course.steps(subject))
                let (divergence, rows) = compare(outcome, with: reference, course, subject)
                proof.ways[index].add(outcome, rows: rows, differs: divergence != nil)
                guard let divergence, proof.ways[index].divergence == nil else { continue }
                proof.ways[index].divergence = divergence
                proof.ways[index].divergence?.element = try element(divergence, course, subject)
            }
        }
    }

    // MARK: Runs

    /// The subject's plain run: own threads, no drafts.
    private func reference(_ subject: ProofSubject) throws -> ProofOutcome {
        if let known = references[subject] { return known }
        let made = try perform(plainCourse, subject, planned: subject.steps)
        references[subject] = made
        return made
    }

    private var plainCourse: ProofCourse { ProofCourse(name: "draft off", threads: settings.threads) }

    /// Runs a course.
    /// - Parameter planned: steps it counts in the progress; 0 for a repetition.
    private func perform(
        _ course: ProofCourse, _ subject: ProofSubject, planned: Int, keeping target: StepTrace.Target? = nil
    ) throws -> ProofOutcome {
        let trace = StepTrace(keeping: target)
        defer { stepCount += trace.stepCount }
        let outcome =
            if let widths = course.widths {
                try force(widths, course, subject, trace, planned)
            } else if let company = course.company {
                try accompany(company, course, subject, trace, planned)
            } else {
                try generate(course, subject, trace, planned)
            }
        passedSteps += planned
        return outcome
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
                ?? Model(weights: weights, pool: makePool(threads), instructionSet: set),
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
        _ = try placed.experts.move(to: placement.plan(placed.configuration))
        let sizes = threads > 1 ? [threads - threads / 2, threads / 2] : [1]
        return try Model(
            weights: placed, pool: try WorkerPool(threads: threads, groupSizes: sizes), instructionSet: set)
    }

    private func request(_ course: ProofCourse, _ subject: ProofSubject) -> GenerationRequest {
        var request = GenerationRequest(
            prompt: Array(settings.prompts[subject.prompt].tokens.prefix(subject.promptCount)))
        request.maximumTokens = subject.tokens
        request.sampling = samplings[subject.sampling].options
        request.draft = course.draft
        return request
    }

    private func generate(
        _ course: ProofCourse, _ subject: ProofSubject, _ trace: StepTrace, _ planned: Int
    ) throws -> ProofOutcome {
        var request = request(course, subject)
        var lastToken = Int.max
        if let ending = subject.ending {
            if ending.isByToken {
                request.stopTokens = [try endToken(subject, ending)]
            } else {
                lastToken = ending.after
            }
        }
        let plant = try plant(course, subject)
        // After the references that had to be made first: they used the workers, too.
        let generator = try engine(course, subject).makeGenerator(subject.cacheType)
        generator.observer = trace
        if let plant, let source = generator.source { generator.source = PlantedDrafts(source, plant: plant) }
        var outcome = ProofOutcome(context: [], trace: trace)
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
                guard case .token(let token) = event else { return .proceed }
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
        _ course: ProofCourse, _ subject: ProofSubject
    ) throws -> ((_ position: Int, _ guess: Int32) -> Int32)? {
        guard course.drafts != .own else { return nil }
        let text = try reference(subject).context
        let vocabulary = Int32(min(settings.drawable ?? .max, weights.configuration.vocabularySize))
        let seed = settings.seed
        let isAlwaysRight = course.drafts == .right
        return { position, guess in
            guard position < text.count else { return guess }
            var noise = (UInt64(position) ^ seed) &* 0x9E37_79B9_7F4A_7C15
            noise = (noise ^ noise >> 29) &* 0xBF58_476D_1CE4_E5B9
            return isAlwaysRight || noise >> 62 != 0 ? text[position] : (text[position] + 1) % vocabulary
        }
    }

    /// The subject among other texts.
    private func accompany(
        _ company: ProofCompany, _ course: ProofCourse, _ subject: ProofSubject, _ trace: StepTrace, _ planned: Int
    ) throws -> ProofOutcome {
        let request = request(course, subject)
        _ = try reference(subject)
        var tokens: [Int32] = []
        let served = try engine(course, subject).serve(
            request, company, settings, cacheType: subject.cacheType, trace: trace,
            goesOn: { self.goesOn(trace.stepCount, planned) }, observe: { tokens.append($0) })
        var outcome = ProofOutcome(context: request.prompt + tokens, trace: trace)
        outcome.generated = tokens.count
        switch served {
        case .success(let result):
            if result.reason == .cancelled { throw CancellationError() }
            outcome.telemetry.add(result.telemetry)
        case .failure: outcome.hasFailed = true
        }
        outcome.takePositions()
        return outcome
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
        return ProofOutcome(context: text, positions: subject.promptCount..<end, trace: trace)
    }

    private func goesOn(_ steps: Int, _ planned: Int) -> Bool {
        let done = passedSteps + min(steps, planned)
        return progress(ProofProgress(title: title, fraction: Double(done) / Double(max(1, plannedSteps))))
    }

    // MARK: Comparisons

    /// What differs, if anything does, and the positions that were compared.
    private func compare(
        _ outcome: ProofOutcome, with reference: ProofOutcome, _ course: ProofCourse, _ subject: ProofSubject
    ) -> (Divergence?, rows: Range<Int>) {
        let common = zip(reference.context, outcome.context).prefix { $0 == $1 }.count
        // Up to there both have run the same tokens, the first that differs not included.
        let end = min(common, reference.positions.upperBound, outcome.positions.upperBound)
        let rows = min(end, max(reference.positions.lowerBound, outcome.positions.lowerBound))..<end
        var token: TokenDifference?
        if common < max(reference.context.count, outcome.context.count) {
            token = TokenDifference(
                position: common, expected: common < reference.context.count ? reference.context[common] : nil,
                found: common < outcome.context.count ? outcome.context[common] : nil)
        }
        let first = reference.trace.firstDifference(to: outcome.trace, positions: rows)
        guard let position = first?.position ?? token?.position else { return (nil, rows) }
        let kind: Divergence.Kind = first.map { $0.expected == $0.found ? .values : .order } ?? .token
        var divergence = Divergence(
            kind: kind, way: title, run: course.name, prompt: settings.prompts[subject.prompt].name,
            sampling: samplings[subject.sampling].name, position: position)
        divergence.token = token
        if let first {
            divergence.expectedSite = first.expected
            divergence.foundSite = first.found
            divergence.expectedPlace = first.expectedPlace
            divergence.foundPlace = first.foundPlace
        }
        return (divergence, rows)
    }

    /// Runs of which timing decides the course may take several attempts.
    private static let attempts = 3

    /// Runs both again and looks at the values themselves; nil when the difference does not show again.
    private func element(
        _ divergence: Divergence, _ course: ProofCourse, _ subject: ProofSubject
    ) throws -> Divergence.Element? {
        guard divergence.kind == .values, let site = divergence.expectedSite else { return nil }
        let target = StepTrace.Target(position: divergence.position, site: site)
        guard let expected = try perform(plainCourse, subject, planned: 0, keeping: target).trace.kept else {
            return nil
        }
        for _ in 0..<Self.attempts {
            guard let found = try perform(course, subject, planned: 0, keeping: target).trace.kept,
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

extension ProofWay {
    mutating func add(_ outcome: ProofOutcome, rows compared: Range<Int>, differs: Bool) {
        runs += 1
        differingRuns += differs ? 1 : 0
        tokens += outcome.generated
        rows += compared.count
        values += outcome.trace.valueCount(compared)
        draftsVerified += outcome.telemetry.drafted.reduce(0, +)
        draftsAccepted += outcome.telemetry.accepted.reduce(0, +)
    }
}
