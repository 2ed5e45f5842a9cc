import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenWeights

/// Finds the placement that is fastest here: records what the router does with the user's texts, measures what experts
/// cost, plans, and runs the recorded rounds under the most promising plans.
public final class Tuner {
    /// How to go about it.
    public struct Settings: Sendable {
        /// Tokens to generate for each text.
        public var tokensPerText = 96
        /// How the texts are generated.
        public var draft = DraftMode.auto
        /// Where drafts may come from.
        public var sources = DraftSources.both
        /// Texts that are to share a step, 1...16: plans are made and tried for so many at once.
        public var parallel = 1
        /// Element type of the latent cache.
        public var cacheType = CacheType.f32
        /// Ids from here on are never drawn.
        public var drawable: Int?
        /// Seconds for measuring what experts cost.
        public var probeSeconds = 2.0
        /// Whether what experts cost is measured; otherwise the machine's description counts.
        public var measuresCosts = true
        /// Passes over the recorded rounds for each candidate; disturbed ones are made again, but never more than as many.
        public var passes = 3
        /// CPUs that nothing else should use meanwhile; nil does not look.
        public var watchedCPUs: [Int]?
        /// Plans to try for real, the plan without statistics included.
        public var candidates = 4

        /// The defaults.
        public init() {}
    }

    /// A plan that was tried.
    public struct Candidate: Sendable {
        /// Its place among the report's results.
        public let result: Int
        /// Predicted mean step, and experts with barriers and the shared expert.
        public let predicted: StepSeconds
        /// Medians over the passes; nil where interrupted before the first.
        public internal(set) var measured: StepSeconds?
        /// Whether `measured` cannot be relied on: something else used the machine, or passes could not be repeated.
        public internal(set) var isDisturbed = false
        /// Why it could not be tried; nil where it could.
        public internal(set) var problem: String?
    }

    /// What came of it.
    public struct Outcome: Sendable {
        /// The recorded trace.
        public let trace: RoutingTrace
        /// The same as a file.
        public let traceFile: [UInt8]
        /// The same, its texts put together: what plans were made from.
        public let shared: RoutingTrace
        /// The machine with measured costs.
        public let machine: PlacementMachine
        /// What disturbed the measurement of these costs; nil where nothing did.
        public let costsDisturbance: Interference?
        /// Steps under the placement that the model was loaded with; nil where these times cannot be relied on.
        public let present: StepSeconds?
        /// Every policy's prediction.
        public let report: PlanReport
        /// Plans that were run, in the order of prediction; on one node the only one.
        public internal(set) var candidates: [Candidate]
        /// Index of the plan to take in `candidates`; nil where not all were measured.
        public internal(set) var fastest: Int?
        /// What disturbed a candidate's times, in words; nil where nothing did.
        public internal(set) var disturbance: String?
        /// Whether it was ended before all passes: then only those count that every candidate has had.
        public internal(set) var isPartial = false
    }

    /// What is going on.
    public enum Stage: String, Sendable {
        case recording = "recording what the router does"
        case probing = "measuring what experts cost"
        case planning = "planning"
        case trying = "running the recorded rounds"
    }

    private let model: Model
    private let settings: Settings
    private let context: Int

    /// - Parameter context: positions for the longest text and its answer.
    public init(model: Model, context: Int, settings: Settings) {
        self.model = model
        self.context = context
        self.settings = settings
    }

    /// Does it all.
    ///
    /// - Parameters:
    ///   - description: the model as placements see it.
    ///   - machine: the machine. Its costs count where they are not measured.
    ///   - header: of traces of this model.
    ///   - progress: told stage and fraction; ends the work by returning false.
    /// - Returns: nil when ended before there was a plan.
    /// - Throws: for texts that do not fit, too few of them, traces too short to plan from, or memory that cannot be had.
    public func tune(
        _ texts: [TuneText], description: PlacementModel, machine: PlacementMachine, header: RoutingTraceHeader,
        progress: (Stage, Double) -> Bool
    ) throws -> Outcome? {
        let generator = try Generator(
            model: model, capacity: context, cacheType: settings.cacheType,
            drafting: settings.draft != .off && settings.sources.usesModules,
            drawable: settings.drawable)
        let recorder = TuneRecorder(
            generator: generator, header: header, draft: settings.draft, sources: settings.sources,
            tokensPerText: settings.tokensPerText)
        let recording = try recorder.record(texts) { progress(.recording, Double($0) / Double($1)) }
        guard progress(.probing, 0), let (machine, disturbance) = try measured(machine, progress),
            progress(.planning, 0)
        else { return nil }
        let together = try recording.trace.shared(by: settings.parallel)
        let sequences = try (0..<settings.parallel).map { _ in
            try model.makeSequence(context: context, cacheType: settings.cacheType, drafting: false)
        }
        let replay = StepReplay(model, sequences, recording, shared: together)
        guard let present = presentPlacement(replay, progress) else { return nil }
        let shared = Double(model.sharedExpertBytes) / machine.readersBandwidth
        var planner = try Planner(model: description, machine: machine, halves: try WindowHalves(of: together))
        let elsewhere = present.median.step - present.median.experts + shared
        planner.otherSeconds = max(0, elsewhere - planner.problem.denseSeconds)
        let report = planner.plan(isTimeUp: { !progress(.planning, 0.5) })
        var outcome = Outcome(
            trace: recording.trace, traceFile: recording.file, shared: together, machine: machine,
            costsDisturbance: disturbance, present: present.reliable, report: report,
            candidates: candidates(report, shared: shared), fastest: nil)
        try run(&outcome, replay, expected: present.tokens, progress)
        return outcome
    }

    private var watch: LoadWatch { LoadWatch(cpus: settings.watchedCPUs) }

    /// Most attempts at measuring costs on a machine that something else uses.
    private static let costAttempts = 3

    /// The machine with measured costs, if they are to be measured, and what disturbed that; nil when interrupted.
    private func measured(
        _ machine: PlacementMachine, _ progress: (Stage, Double) -> Bool
    ) throws -> (PlacementMachine, Interference?)? {
        guard settings.measuresCosts, let probe = PlacementProbe(model: model) else { return (machine, nil) }
        var last: (costs: PlacementCosts, disturbance: Interference?)?
        for attempt in 0..<Self.costAttempts {
            let made = watch.during {
                probe.measure(seconds: settings.probeSeconds) {
                    progress(.probing, Double(attempt) / Double(Self.costAttempts))
                }
            }
            let disturbance = made.interference.flatMap { $0.isDisturbing ? $0 : nil }
            if let costs = made.value { last = (costs, disturbance) }
            guard progress(.probing, Double(attempt + 1) / Double(Self.costAttempts)) else { return nil }
            if last != nil && disturbance == nil { break }
        }
        guard let last else { throw GenerationError.costs }
        return (machine.with(last.costs), last.disturbance)
    }

    /// Times under the placement that the model was loaded with, and the tokens of the recorded rounds; nil when interrupted.
    private func presentPlacement(
        _ replay: StepReplay, _ progress: (Stage, Double) -> Bool
    ) -> (median: StepSeconds, reliable: StepSeconds?, tokens: [Int32])? {
        // The first pass warms up.
        guard replay.run(goesOn: { progress(.planning, 0) }) != nil else { return nil }
        var passes = TimedPasses()
        var tokens: [Int32] = []
        for _ in 0..<2 * settings.passes where passes.reliable(wanted: settings.passes) == nil {
            let (pass, interference) = watch.during { replay.run(goesOn: { progress(.planning, 0) }) }
            guard let pass else { return nil }
            passes.add(pass.seconds, interference)
            tokens = pass.tokens
        }
        let reliable = passes.reliable(wanted: settings.passes)
        return (reliable ?? passes.median(first: .max)).map { ($0, reliable, tokens) }
    }

    /// The plans worth trying: the chosen one, the one that needs no statistics, then by predicted time.
    private func candidates(_ report: PlanReport, shared: Double) -> [Candidate] {
        let scored = report.results.indices.filter { report.results[$0].score != nil }
        let plain = scored.first { report.results[$0].policy == .sliced(pieces: nil) }
        let byTime = scored.sorted {
            (report.results[$0].score?.stepSeconds ?? 0) < (report.results[$1].score?.stepSeconds ?? 0)
        }
        var chosen: [Int] = []
        for index in [report.chosen, plain].compactMap({ $0 }) + byTime where chosen.count < settings.candidates {
            // Different policies may come to one plan.
            let layers = report.results[index].plan?.layers
            if !chosen.contains(where: { report.results[$0].plan?.layers == layers }) { chosen.append(index) }
        }
        return chosen.compactMap { index in
            report.results[index].score.map { score in
                Candidate(
                    result: index,
                    predicted: StepSeconds(step: score.stepSeconds, experts: score.placementSeconds + shared))
            }
        }
    }

    /// Moves the experts from plan to plan, as often as there are passes, and runs the recorded rounds under each.
    /// - Throws: `GenerationError` should a placement change a token.
    private func run(
        _ outcome: inout Outcome, _ replay: StepReplay, expected: [Int32], _ progress: (Stage, Double) -> Bool
    ) throws {
        let count = outcome.candidates.count
        var times = [TimedPasses](repeating: TimedPasses(), count: count)
        var whole = 0
        rounds: for round in 0..<2 * settings.passes {
            for index in 0..<count where times[index].reliable(wanted: settings.passes) == nil {
                let done = Double(min(round, settings.passes - 1) * count + index) / Double(settings.passes * count)
                guard let plan = try moved(to: index, of: &outcome) else { continue }
                let (made, interference) = watch.during { replay.run(goesOn: { progress(.trying, done) }) }
                guard let made else {
                    outcome.isPartial = true
                    break rounds
                }
                guard made.tokens == expected else { throw GenerationError.placement(plan.policy) }
                times[index].add(made.seconds, interference)
            }
            whole += 1
        }
        for index in 0..<count where outcome.candidates[index].problem == nil {
            let reliable = times[index].reliable(wanted: settings.passes)
            outcome.candidates[index].measured = reliable ?? times[index].median(first: whole)
            guard reliable == nil, !outcome.isPartial || times[index].disturbance != nil else { continue }
            outcome.candidates[index].isDisturbed = true
            outcome.disturbance = times[index].disturbance?.text ?? "passes over the same rounds took different times"
        }
        outcome.fastest = outcome.choice.best
    }

    /// Moves the experts to a candidate's plan; nil, with the reason in the candidate, where that is not possible.
    private func moved(to index: Int, of outcome: inout Outcome) throws -> PlacementPlan? {
        guard outcome.candidates[index].problem == nil,
            let plan = outcome.report.results[outcome.candidates[index].result].plan
        else { return nil }
        do {
            try model.weights.experts.move(to: plan)
            return plan
        } catch let error as HardwareError where error.kind == .memory {
            outcome.candidates[index].problem = error.description
            return nil
        }
    }
}

extension GenerationError {
    static let costs = GenerationError(
        description:
            "what experts cost cannot be measured: meetings of the workers take longer than the experts do, so the "
            + "machine is busy with other work; try again when it is not, or with --probe-seconds 10 or --no-probe",
        kind: .system)

    static func placement(_ policy: String) -> GenerationError {
        GenerationError(
            description:
                "placement \(policy) changed a token, which it never may: this is a fault of foretoken or of the memory "
                + "it runs in; please report it with the output of foretoken prove and doctor",
            kind: .system)
    }
}
