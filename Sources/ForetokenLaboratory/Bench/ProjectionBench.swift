import ForetokenModel
import ForetokenPlacement
import ForetokenWeights

/// Times steps of a made-up model whose rows overlap in their experts as given, and projects those of the whole model: its
/// other layers are taken to be like the layers that were made.
final class ProjectionBench {
    private let model: Model
    private let whole: WholeShape
    private let bytes: WholeModelBytes
    private let cacheType: CacheType
    /// By overlap: the routing, and steps that were set up under it.
    private let trials: [(routing: MadeRouting, steps: StepBench)]

    /// Leaves the model with the first overlap's routing.
    /// - Parameter steps: makes steps at the middle context under the routing of the moment.
    /// - Throws: `CheckpointError` for a whole model beyond any memory.
    init(
        _ model: Model, _ whole: WholeShape, _ overlaps: [ExpertOverlap], cacheType: CacheType,
        steps: () -> StepBench
    ) throws {
        self.model = model
        self.cacheType = cacheType
        self.whole = whole
        bytes = try WholeModelBytes(whole, model.weights.format)
        trials = overlaps.map { overlap in
            let routing = MadeRouting(overlap, model.configuration, deviation: whole.shape.routerLogitDeviation)
            routing.apply(to: model.weights)
            return (routing, steps())
        }
        trials.first?.routing.apply(to: model.weights)
    }

    /// One sample each of every overlap's steps.
    var probes: [Benchmark.Probe] {
        trials.map { trial in
            { proceed in
                trial.routing.apply(to: self.model.weights)
                defer { self.trials.first?.routing.apply(to: self.model.weights) }
                return trial.steps.timeSteps(proceed: proceed)
            }
        }
    }

    /// nil before the parts of a step were timed.
    func result(_ report: BenchReport) -> BenchReport.Projection? {
        guard let context = report.mainContext else { return nil }
        let contexts = report.steps.map(\.context).compactMap { step(report, context: $0) }
        guard let main = contexts.first(where: { $0.context == context }) else { return nil }
        let (shape, time) = (whole.shape, main.time)
        // The second draft of a round is an MTP step and nothing else.
        let draft = report.rounds.first { $0.context == context && $0.drafts == 2 }.map { $0.lastDraftTime / time }
        return BenchReport.Projection(
            shape: shape.name, title: shape.title, remarks: shape.remarks, layers: shape.whole.layerCount,
            parameters: whole.parameterCount, activeParameters: whole.activeParameterCount,
            fileBytes: whole.fileByteCount, memory: memory,
            cacheBytesPerToken: Model.cacheBytesPerPosition(
                shape.whole, modules: whole.moduleCount, cacheType: cacheType), context: context, time: time,
            tokensPerSecond: 1e9 / time, contexts: contexts,
            draftBytes: bytes.draft.map { $0 / bytes.step(experts: bytes.perToken) }, draftTime: draft,
            overlaps: trials.compactMap { overlap($0.routing.overlap, $0.steps, draftTime: draft, plain: time) })
    }

    private var memory: [BenchReport.FormatMemory] {
        let measured = model.weights.format
        return ResidentFormat.allCases.map {
            BenchReport.FormatMemory(
                format: $0.rawValue, weightBytes: whole.residentByteCount($0), isMeasured: $0 == measured)
        }
    }

    /// nil where the parts of a step were not timed behind that context.
    private func step(_ report: BenchReport, context: Int) -> BenchReport.ContextProjection? {
        let parts = report.components.filter { $0.context == context && $0.rows == 1 }
        guard !parts.isEmpty else { return nil }
        let counts = LayerCounts(whole.shape.whole)
        func time(_ parts: [BenchReport.Component]) -> Double {
            parts.reduce(0.0) { $0 + $1.perLayer * Double(counts[$1.place]) }
        }
        let all = time(parts)
        return BenchReport.ContextProjection(
            context: context, time: all, tokensPerSecond: 1e9 / all,
            attentionShare: time(parts.filter { $0.name == "\(StepComponent.attention)" }) / all)
    }

    private func overlap(
        _ overlap: ExpertOverlap, _ steps: StepBench, draftTime: Double?, plain: Double
    ) -> BenchReport.OverlapProjection? {
        guard let placed = steps.placed else { return nil }
        let counts = LayerCounts(whole.shape.whole)
        let times = placed.map { step in
            step.outside + step.dense * Double(counts.dense) + step.moe * Double(counts.moe)
        }
        let bytes = overlap.distinct.map { self.bytes.step(experts: $0) }
        let rows = times.indices.map { i in
            BenchReport.OverlapProjection.Row(
                rows: i + 1, experts: overlap.distinct[i], relativeBytes: bytes[i] / bytes[0],
                madeExperts: placed[i].distinct, relative: times[i] / times[0])
        }
        let draftBytes = self.bytes.draft.map { $0 / bytes[0] }
        let gain = (draftTime ?? draftBytes).map { self.gain(rows.map(\.relative), $0) }
        return BenchReport.OverlapProjection(
            name: overlap.name, source: overlap.source, rows: rows,
            gainByBytes: draftBytes.map { self.gain(rows.map(\.relativeBytes), $0) },
            gain: gain, draftedTokensPerSecond: gain.map { $0.gated * 1e9 / plain })
    }

    private func gain(_ times: [Double], _ draft: Double) -> BenchReport.OverlapProjection.Gain {
        let forecast = DraftForecast(times: times, draft: draft)
        return .init(drafts: forecast.fixed.drafts, fixed: forecast.fixed.gain, gated: forecast.gated)
    }
}

/// Layers of a whole model by kind, under the names of `StepClock.Place`.
struct LayerCounts {
    let dense: Int
    let moe: Int

    init(_ configuration: ModelConfiguration) {
        dense = min(configuration.denseLayerCount, configuration.layerCount)
        moe = configuration.layerCount - dense
    }

    subscript(place: StepClock.Place) -> Int {
        switch place {
        case .outside: 1
        case .dense: dense
        case .moe: moe
        }
    }

    /// The same by the place's name; 0 for names that are none.
    subscript(name: String) -> Int { StepClock.Place.allCases.first { "\($0)" == name }.map { self[$0] } ?? 0 }
}

/// Bytes of weights that steps of a whole model read.
package struct WholeModelBytes {
    /// Outside the routed experts.
    private let dense: Double
    /// One routed expert of every layer.
    private let expert: Double
    /// Experts of a row.
    package let perToken: Double
    /// One draft of the first MTP module; nil without one.
    package let draft: Double?

    /// - Throws: `CheckpointError` for a model beyond any memory.
    package init(_ whole: WholeShape, _ format: ResidentFormat) throws {
        let (layout, configuration) = (whole.layout, whole.shape.whole)
        let placement = try layout.placementModel(whole.checkpoint, format: format, besides: 0)
        let moeLayers = placement?.layers.count { $0 < configuration.layerCount } ?? 0
        dense = Double(layout.denseBytesPerStep(format))
        expert = Double(moeLayers * (placement?.expertBytes ?? 0))
        perToken = Double(configuration.expertsPerToken)
        draft = layout.draftBytes(configuration, format).map(Double.init)
    }

    /// A step that reads so many distinct experts in every layer.
    package func step(experts: Double) -> Double { dense + expert * experts }
}
