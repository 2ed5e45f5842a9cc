import ForetokenModel
import ForetokenPlacement
import ForetokenWeights

/// Times steps of a made-up model whose rows overlap in their experts as given, and projects those of the whole model: its
/// other layers are taken to be like the layers that were made.
final class ProjectionBench {
    private let model: Model
    private let shape: SyntheticShape
    private let whole: WholeModelBytes
    /// By overlap: the routing, and steps that were set up under it.
    private let trials: [(routing: MadeRouting, steps: StepBench)]

    /// Leaves the model with the first overlap's routing.
    /// - Parameter steps: makes steps at the middle context under the routing of the moment.
    /// - Throws: `CheckpointError` for a whole model beyond any memory.
    init(
        _ model: Model, _ shape: SyntheticShape, _ overlaps: [ExpertOverlap], steps: () -> StepBench
    ) throws {
        self.model = model
        self.shape = shape
        whole = try WholeModelBytes(shape, model.weights.format)
        trials = overlaps.map { overlap in
            let routing = MadeRouting(overlap, model.configuration, deviation: shape.routerLogitDeviation)
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
        let parts = report.components.filter { $0.context == context && $0.rows == 1 }
        guard !parts.isEmpty else { return nil }
        let layers = shape.whole
        let counts = [
            "outside": 1, "dense": layers.denseLayerCount, "moe": layers.layerCount - layers.denseLayerCount,
        ]
        let time = parts.reduce(0.0) { $0 + $1.perLayer * Double(counts[$1.place] ?? 0) }
        // The second draft of a round is an MTP step and nothing else.
        let draft = report.rounds.first { $0.context == context && $0.drafts == 2 }.map { $0.lastDraftTime / time }
        return BenchReport.Projection(
            shape: shape.name, layers: layers.layerCount, context: context, time: time, tokensPerSecond: 1e9 / time,
            draftBytes: whole.draft.map { $0 / whole.step(experts: whole.perToken) }, draftTime: draft,
            overlaps: trials.compactMap { overlap($0.routing.overlap, $0.steps, draftTime: draft) })
    }

    private func overlap(
        _ overlap: ExpertOverlap, _ steps: StepBench, draftTime: Double?
    ) -> BenchReport.OverlapProjection? {
        guard let placed = steps.placed else { return nil }
        let layers = shape.whole
        let times = placed.map { step in
            step.outside + step.dense * Double(layers.denseLayerCount)
                + step.moe * Double(layers.layerCount - layers.denseLayerCount)
        }
        let bytes = overlap.distinct.map { whole.step(experts: $0) }
        let rows = times.indices.map { i in
            BenchReport.OverlapProjection.Row(
                rows: i + 1, experts: overlap.distinct[i], relativeBytes: bytes[i] / bytes[0],
                madeExperts: placed[i].distinct, relative: times[i] / times[0])
        }
        let draftBytes = whole.draft.map { $0 / bytes[0] }
        return BenchReport.OverlapProjection(
            name: overlap.name, source: overlap.source, rows: rows,
            gainByBytes: draftBytes.map { gain(rows.map(\.relativeBytes), $0) },
            gain: (draftTime ?? draftBytes).map { gain(rows.map(\.relative), $0) })
    }

    private func gain(_ times: [Double], _ draft: Double) -> BenchReport.OverlapProjection.Gain {
        let forecast = DraftForecast(times: times, draft: draft)
        return .init(drafts: forecast.fixed.drafts, fixed: forecast.fixed.gain, gated: forecast.gated)
    }
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
    package init(_ shape: SyntheticShape, _ format: ResidentFormat) throws {
        let checkpoint = try Checkpoint(synthetic: shape.whole, label: shape.name)
        let layout = try WeightLayout(checkpoint)
        let placement = try layout.placementModel(checkpoint, format: format, besides: 0)
        let moeLayers = placement?.layers.count { $0 < shape.whole.layerCount } ?? 0
        dense = Double(layout.denseBytesPerStep(format))
        expert = Double(moeLayers * (placement?.expertBytes ?? 0))
        perToken = Double(shape.whole.expertsPerToken)
        draft = layout.draftBytes(shape.whole, format).map(Double.init)
    }

    /// A step that reads so many distinct experts in every layer.
    package func step(experts: Double) -> Double { dense + expert * experts }
}
