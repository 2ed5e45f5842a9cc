import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Times steps of few rows, and a chunk of a prompt, behind one long context. Where only a part of a model was made, its
/// layers' times stand for those of the whole.
final class DepthBench {
    let context: Int
    private let model: Model
    private let sequence: TokenSequence
    private let scale: LayerScale
    private let clock: StepClock
    private let cacheBytes: Int
    private let hasMadeLatents: Bool
    private var reader: PromptReader
    private var window = Step()
    /// By rows of `stepRows`.
    private var steps = [Samples](repeating: Samples(), count: stepRows.count)
    private var chunks = Samples()

    private static let stepRows = [1, 2, 4]
    private static let sampleNanoseconds: Int64 = 60_000_000
    /// So many make a median that one interruption cannot spoil, where there is time for them.
    private static let leastTurns = 3

    fileprivate struct Samples {
        /// Of the whole model.
        var times: [Double] = []
        var attentionShares: [Double] = []
        /// Of what was run.
        var lastMeasured: Double?
    }

    /// - Parameters:
    ///   - sequence: holds tokens and latents up to `context`, and has room for a chunk behind.
    ///   - tokens: what a prompt there is made of.
    ///   - whole: the model of which `model` is a part; nil where it is the whole.
    init(
        _ model: Model, _ sequence: TokenSequence, tokens: (Int) -> Int32, context: Int, whole: WholeShape?,
        cacheType: CacheType
    ) {
        self.model = model
        self.sequence = sequence
        self.context = context
        scale = LayerScale(model.configuration, whole?.shape.whole ?? model.configuration)
        clock = StepClock(denseLayers: model.configuration.denseLayerCount)
        let modules = whole?.moduleCount ?? model.draftHead?.moduleCount ?? 0
        cacheBytes = Model.cacheBytes(
            whole?.shape.whole ?? model.configuration, modules: modules, contexts: [context], cacheType: cacheType)
        hasMadeLatents = whole != nil
        reader = PromptReader(model, drafting: false)
        for position in max(sequence.count, chunkStart)..<max(sequence.count, chunkStart + Step.chunkRows) {
            sequence.tokens[position] = tokens(position)
        }
    }

    /// Positions that a text must have room for.
    static func capacity(context: Int) -> Int { context + Step.chunkRows + Step.windowRows }

    /// Chunks begin at multiples of their size, and end where the model does at the latest.
    private var chunkStart: Int {
        let last = max(0, model.configuration.maximumPositions - Step.chunkRows)
        return min(context, last) / Step.chunkRows * Step.chunkRows
    }

    /// Nanoseconds of a step of one row without looking on.
    private func plainStep() -> Double {
        let begun = MonotonicClock.now
        run(rows: 1)
        return Double(MonotonicClock.now - begun)
    }

    private func run(rows: Int) {
        sequence.jump(to: context)
        window.clear()
        window.add(sequence, count: rows)
        model.verifier.run(window)
        model.verifier.computeLogits(first: 0, count: rows)
    }

    /// A few samples of steps; those of several rows only where they take less than `longest` seconds.
    /// - Returns: false when `proceed` said no.
    func timeSteps(longest: Double, proceed: () -> Bool) -> Bool {
        let begun = MonotonicClock.now
        var turns = 0
        func goesOn() -> Bool {
            let spent = MonotonicClock.now - begun
            return spent < Self.sampleNanoseconds || turns < Self.leastTurns && Double(spent) / 1e9 < longest / 2
        }
        repeat {
            turns += 1
            let plain = plainStep()
            for (i, rows) in Self.stepRows.enumerated() {
                guard rows == 1 || plain * Double(rows) / 1e9 < longest else { break }
                guard proceed() else { return false }
                look { run(rows: rows) }
                steps[i].add(clock, scale)
            }
        } while goesOn()
        return true
    }

    /// One sample of a chunk.
    /// - Returns: false when `proceed` said no.
    func timeChunk(proceed: () -> Bool) -> Bool {
        guard proceed() else { return false }
        sequence.jump(to: chunkStart)
        look { reader.read(sequence, to: chunkStart + Step.chunkRows) }
        chunks.add(clock, scale)
        return true
    }

    private func look(_ body: () -> Void) {
        model.verifier.observer = clock
        defer { model.verifier.observer = nil }
        clock.start()
        body()
    }

    /// Multiply-adds of a chunk that starts at so many positions: of the part's weights, its attention and its index scores.
    static func chunkOperations(_ model: Model, context: Int) -> Double {
        let (c, rows) = (model.configuration, Double(Step.chunkRows))
        let end = context + Step.chunkRows
        let entries = (model.attendedPairs(tokens: end) - model.attendedPairs(tokens: context)) / rows
        let scores = (model.indexOperations(tokens: end) - model.indexOperations(tokens: context)) / 2
        let explicit = Double(c.nopeDimension + c.valueDimension)
        let perEntry = Double(c.latentRank) * explicit + rows * (explicit + Double(c.ropeDimension))
        let attention = Double(c.layerCount * c.headCount) * perEntry * entries
        return rows * model.operationsPerToken / 2 + attention + scores
    }

    /// Seconds that a sample of the chunk took; nil before there was one.
    var chunkSeconds: Double? { chunks.lastMeasured.map { $0 / 1e9 } }

    /// nil before steps were timed.
    var result: BenchReport.Depth? {
        guard !steps[0].times.isEmpty else { return nil }
        let plain = median(steps[0].times)
        let rows = zip(Self.stepRows, steps).filter { !$0.1.times.isEmpty }.map { rows, samples in
            let time = median(samples.times)
            return BenchReport.Depth.Row(rows: rows, time: time, relative: time / plain)
        }
        let chunk = chunks.times.isEmpty ? nil : median(chunks.times)
        return BenchReport.Depth(
            context: context, rows: rows, tokensPerSecond: 1e9 / plain,
            attentionShare: median(steps[0].attentionShares), cacheBytes: cacheBytes,
            chunk: chunk.map {
                .init(
                    tokens: Step.chunkRows, time: $0, tokensPerSecond: Double(Step.chunkRows) / $0 * 1e9,
                    attentionShare: median(chunks.attentionShares))
            },
            isProjected: !scale.isOne, hasMadeLatents: hasMadeLatents)
    }
}

/// How many layers of a whole model stand behind one that was timed, by place.
private struct LayerScale {
    private let part, whole: LayerCounts

    init(_ part: ModelConfiguration, _ whole: ModelConfiguration) {
        (self.part, self.whole) = (LayerCounts(part), LayerCounts(whole))
    }

    subscript(place: StepClock.Place) -> Double { Double(whole[place]) / Double(max(1, part[place])) }

    var isOne: Bool { StepClock.Place.allCases.allSatisfy { part[$0] == whole[$0] } }
}

extension DepthBench.Samples {
    /// Takes what a clock saw of one step.
    fileprivate mutating func add(_ clock: StepClock, _ scale: LayerScale) {
        func time(_ component: StepComponent) -> Double {
            StepClock.Place.allCases.reduce(0) { $0 + clock.nanoseconds(component, in: $1) * scale[$1] }
        }
        let whole = StepComponent.allCases.reduce(0) { $0 + time($1) }
        times.append(whole)
        attentionShares.append(time(.attention) / whole)
        lastMeasured = StepComponent.allCases.reduce(0) { sum, component in
            StepClock.Place.allCases.reduce(sum) { $0 + clock.nanoseconds(component, in: $1) }
        }
    }
}
