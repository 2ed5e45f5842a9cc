import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenWeights

/// What is to be measured, and for how long.
public struct BenchPlan: Sendable {
    /// Seconds to measure for; everything is measured once at least.
    public var seconds = 20.0
    /// Tokens before steps, ascending; those that do not fit the model are left out.
    public var contexts = [128, 1024, 4096]
    /// Lengths of prompts, ascending; those that do not fit the model are left out.
    public var promptLengths = [128, 512, 1024, 3584]
    /// Contexts, ascending, behind which few rows and a prompt's chunk are timed as well.
    public var depths: [Int] = []
    /// Whether several texts at once are timed.
    public var measuresCompany = true
    /// Whether roofs and panel products are measured; without them, shares are unknown.
    public var measuresMachine = true
    /// Bytes of all last-level caches.
    public var cacheBytes = 0
    /// The shape of which the model is a part; nil when the model is whole.
    public var shape: SyntheticShape?
    /// How rows of a made-up model overlap in their experts; all measurements are of the first one, the projection is made
    /// for each. Empty leaves its router as it is.
    public var overlaps: [ExpertOverlap] = []

    /// The defaults.
    public init() {}

    /// Measures these contexts, ascending, and of the rest only what they are compared with.
    public mutating func look(at depths: [Int]) {
        self.depths = depths
        contexts = [contexts[0]]
        promptLengths = []
        measuresCompany = false
    }

    /// The largest context that can be looked at where the model takes `limit` tokens.
    public static func deepest(limit: Int) -> Int { limit - BenchText.stretch }

    /// Leaves out what a context of `limit` tokens cannot hold.
    public mutating func fit(limit: Int) {
        contexts = contexts.filter { $0 + BenchText.stretch < limit }
        promptLengths = promptLengths.filter { $0 < limit }
        depths = depths.filter { $0 <= Self.deepest(limit: limit) }
    }

    /// Tokens that the caches must hold.
    public var capacity: Int {
        max(
            max((contexts.last ?? 0) + BenchText.stretch, promptLengths.last ?? 0) + Step.windowRows,
            depths.last.map(DepthBench.capacity) ?? 0)
    }

    /// Tokens of every text that there will be pages for.
    public var texts: [Int] {
        [capacity]
            + (measuresCompany ? .init(repeating: CompanyBench.capacity, count: CompanyBench.textCount) : [])
            + (promptLengths.last.map(StreamBench.capacities) ?? [])
    }

    /// Bytes of memory for measuring the machine itself with so many workers.
    public func machineBytes(workers: Int) -> Int {
        measuresMachine ? RoofBench.byteCount(cacheBytes: cacheBytes, workers: workers) : 0
    }
}

/// Measures a model on this machine, beside its roofs. All measurements take turns until the time
/// is up, so that whatever slows the machine down for a while slows all of them.
public final class Benchmark {
    private let model: Model
    private let plan: BenchPlan
    private let sequence: TokenSequence
    private let cacheType: CacheType
    private var company: CompanyBench?
    private var stream: StreamBench?
    private var steps: [StepBench] = []
    private let textOverlap: TextOverlap
    private var projection: ProjectionBench?
    private var prompts: [PromptBench] = []
    private var depths: [DepthBench] = []
    private var roofs: RoofBench?
    /// Seconds of a chunk without a context, once it was timed.
    private var firstChunk: Double?
    private var report = BenchReport()

    /// - Throws: `HardwareError` without memory for the caches.
    public init(model: Model, plan: BenchPlan, cacheType: CacheType = .f32) throws {
        self.model = model
        self.plan = plan
        self.cacheType = cacheType
        textOverlap = TextOverlap(model)
        sequence = try model.makeSequence(context: plan.capacity, cacheType: cacheType)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - tokens: what prompts are made of, at least one.
    ///   - proceed: told what is going on and the fraction done of it; false ends the work with what there is.
    /// - Throws: `HardwareError` without memory.
    public func run(
        _ tokens: [Int32], proceed: (_ stage: String, _ fraction: Double) -> Bool
    ) throws -> BenchReport {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        report.isPartial = try !(prepare(tokens, proceed) && measure(proceed))
        collect()
        return report
    }

    /// Tokens that several texts at once are taken from.
    private static let companyTokens = 512

    // MARK: Preparation

    private func prepare(_ source: [Int32], _ proceed: (String, Double) -> Bool) throws -> Bool {
        let text = BenchText(source, model, sequence, isSynthetic: plan.shape != nil)
        var reached: [Int] = []
        let contexts = plan.contexts + plan.depths.filter { $0 > plan.contexts.last ?? 0 }
        for (i, context) in contexts.enumerated() {
            let estimate = text.estimate(context) / 1e9
            guard i == 0 || estimate < longest else {
                leaveOut("steps behind \(context) tokens", seconds: estimate)
                break
            }
            let fraction = Double(i) / Double(contexts.count)
            let isRead = textOverlap.watch(upTo: context) {
                text.extend(to: context) { proceed("reading", fraction) }
            }
            guard isRead else { return false }
            reached.append(context)
        }
        // Made-up text has no routing of its own.
        report.overlap = plan.shape == nil ? textOverlap.windows : []
        let whole = try plan.shape.map { try WholeShape($0) }
        let usual = reached.filter(plan.contexts.contains)
        if let whole, !usual.isEmpty {
            let context = usual[usual.count / 2]
            projection = try ProjectionBench(model, whole, plan.overlaps, cacheType: cacheType) {
                StepBench(model, sequence, tokens: text.tokens, context: context, timesPlaces: true)
            }
        }
        steps = usual.map { StepBench(model, sequence, tokens: text.tokens, context: $0) }
        depths = plan.depths.filter { $0 <= reached.last ?? 0 }.map {
            DepthBench(
                model, sequence, tokens: { source[$0 % source.count] }, context: $0, whole: whole, cacheType: cacheType)
        }
        prompts = plan.promptLengths.map { PromptBench(model, sequence, tokens: text.prompt($0)) }
        if plan.measuresCompany {
            company = try CompanyBench(model, tokens: text.prompt(Self.companyTokens), cacheType: cacheType)
        }
        stream = try plan.promptLengths.last.map {
            try StreamBench(model, prompt: text.prompt($0), cacheType: cacheType)
        }
        report.memory = BenchReport.Memory(
            resident: ProcessMemory.read()?.resident, weights: model.weights.byteCount,
            cache: sequence.pageByteCount)
        if plan.measuresMachine {
            roofs = try RoofBench(
                pool: model.pool, instructionSet: model.instructionSet, cacheBytes: plan.cacheBytes)
        }
        return proceed("measuring", 0)
    }

    /// Seconds that one measurement may take, where it can be told before.
    private var longest: Double { max(1, plan.seconds / 2) }

    private func leaveOut(_ what: String, seconds: Double) {
        report.leftOut.append(
            "\(what): would take about \(Int(seconds.rounded(.up))) s each time; raise --seconds for it")
    }

    // MARK: Measuring

    /// All measurements in turns. After the first turn the time may end one in the middle.
    private func measure(_ proceed: (String, Double) -> Bool) throws -> Bool {
        let started = MonotonicClock.now
        var spent: Double { Double(MonotonicClock.now - started) / 1e9 / plan.seconds }
        func goesOn() -> Bool { proceed("measuring", min(1, spent)) }
        while report.turns == 0 || spent < 1 {
            for probe in probes {
                guard goesOn() else { return false }
                guard report.turns == 0 || spent < 1 else { return true }
                guard try probe(goesOn) else { return false }
            }
            report.turns += 1
        }
        return true
    }

    /// One measurement: asks whether to go on where it takes long, and returns the last answer.
    typealias Probe = (_ proceed: () -> Bool) throws -> Bool

    /// The measurements of one turn; the long ones last.
    private var probes: [Probe] {
        var probes: [Probe] = []
        if let roofs {
            probes.append { _ in roofs.timeRoofs() }
            for format in 0..<roofs.formatCount { probes.append { _ in roofs.timeProducts(format) } }
        }
        probes += steps.map { step in { step.timeComponents(proceed: $0) } }
        probes += steps.map { step in { step.timeSteps(proceed: $0) } }
        probes += steps.map { step in { step.timeRounds(proceed: $0) } }
        if let projection { probes += projection.probes }
        probes += depths.map { depth in { depth.timeSteps(longest: self.longest, proceed: $0) } }
        probes += depths.indices.map { index in { self.timeChunk(index, $0) } }
        if let company { probes.append { try company.run(proceed: $0) } }
        probes += prompts.indices.map { index in { self.timePrompt(index, $0) } }
        if let stream { probes.append { try self.timeStream(stream, $0) } }
        return probes
    }

    /// A prompt beside another text takes about twice its time; where that is too long it is left out.
    private func timeStream(_ stream: StreamBench, _ proceed: () -> Bool) throws -> Bool {
        guard let alone = prompts.last?.time, 2 * alone / 1e9 < longest else { return true }
        return try stream.run(proceed: proceed)
    }

    /// The same for a prompt's chunk at one of the depths: how long it takes is told by a chunk at the beginning. Models that take
    /// less than a chunk have none.
    private func timeChunk(_ index: Int, _ proceed: () -> Bool) -> Bool {
        let depth = depths[index]
        guard model.configuration.maximumPositions >= Step.chunkRows else { return true }
        if let seconds = depth.chunkSeconds, seconds > plan.seconds / 8 { return true }
        if depth.chunkSeconds == nil {
            let first = firstChunk ?? timeFirstChunk()
            firstChunk = first
            let growth =
                DepthBench.chunkOperations(model, context: depth.context)
                / DepthBench.chunkOperations(model, context: 0)
            guard first * growth < longest else {
                if report.turns == 0 {
                    leaveOut(
                        "\(Step.chunkRows) prompt tokens behind \(depth.context)", seconds: first * growth)
                }
                return true
            }
        }
        return depth.timeChunk(proceed: proceed)
    }

    /// Seconds of a chunk without a context.
    private func timeFirstChunk() -> Double {
        var reader = PromptReader(model, drafting: false)
        let begun = MonotonicClock.now
        sequence.jump(to: 0)
        reader.read(sequence, to: Step.chunkRows)
        return Double(MonotonicClock.now - begun) / 1e9
    }

    /// Prompts that would take most of the time are not begun; those that take much of it are run once.
    private func timePrompt(_ index: Int, _ proceed: () -> Bool) -> Bool {
        let prompt = prompts[index]
        if let time = prompt.time {
            return time / 1e9 > plan.seconds / 8 ? true : prompt.run(proceed: proceed)
        }
        if index > 0 {
            let shorter = prompts[index - 1]
            guard let time = shorter.time else { return true }
            let estimate = time / 1e9 * Double(prompt.count) / Double(shorter.count)
            if estimate > longest {
                if report.turns == 0 { leaveOut("prompts of \(prompt.count) tokens", seconds: estimate) }
                return true
            }
        }
        return prompt.run(proceed: proceed)
    }

    // MARK: Results

    private func collect() {
        let c = model.configuration
        report.subject.isSynthetic = plan.shape != nil
        report.subject.threads = model.pool.workerCount
        report.subject.instructionSet = model.instructionSet
        report.subject.weightBytes = model.weights.byteCount
        report.subject.bytesPerStep = model.bytesPerStep
        report.subject.layers = c.layerCount
        report.subject.moeLayers = max(0, c.layerCount - c.denseLayerCount)
        if let roofs {
            report.roofs = roofs.roofs
            report.products = roofs.results(report.roofs)
        }
        report.steps = steps.compactMap { $0.curve(report.roofs.fullRead) }
        report.rounds = steps.flatMap(\.rounds)
        report.company = company?.results ?? []
        report.stream = stream?.result(alone: prompts.last?.time)
        report.components = steps.flatMap(\.components)
        report.prompts = prompts.compactMap { $0.result(report.roofs.fullSgemm) }
        report.projection = projection?.result(report)
        report.depths = depths.compactMap(\.result)
    }
}

extension BenchReport {
    /// The context that a single table is shown for: the middle one of those measured.
    public var mainContext: Int? {
        let contexts = components.reduce(into: [Int]()) { if !$0.contains($1.context) { $0.append($1.context) } }
        return contexts.isEmpty ? nil : contexts[contexts.count / 2]
    }
}
