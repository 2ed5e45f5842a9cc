import ForetokenHardware
import ForetokenModel

/// A component of a step, whose time is told apart. What one phase of all threads computes together stays together.
enum StepComponent: Int, Sendable, CaseIterable {
    /// Lookup of embeddings.
    case embedding
    /// All RMSNorms, rotation of the key, writing the latent cache.
    case norms
    /// q_a_proj and kv_a_proj.
    case attentionDown
    /// q_b_proj, absorption, attention over the latents, values.
    case attention
    /// o_proj.
    case attentionOutput
    /// Router product and choice; with a router too large for one thread the shared expert's gate and up as well.
    case router
    /// Gate, up and SwiGLU of the chosen experts; with a small router the shared expert's as well.
    case expertsUp
    /// Down projections of the chosen experts and the shared one, and their sum.
    case expertsDown
    /// Gate, up and SwiGLU of a dense layer.
    case denseUp
    /// Down projection of a dense layer.
    case denseDown
    /// lm_head and the choice of tokens.
    case head
}

/// Takes the time between the operators of a step. The looking itself costs some ten nanoseconds an operator.
final class StepClock: StepObserver {
    /// Kinds of places in a model.
    enum Place: Int, Sendable, CaseIterable {
        /// Before the first layer and behind the last.
        case outside
        /// Layers with a plain MLP.
        case dense
        /// Layers with experts.
        case moe
    }

    let wantsValues = true
    private let denseLayers: Int
    private var last: Int64 = 0
    private var previous = StepOperator.logits
    private var times = [Int64](repeating: 0, count: Place.allCases.count * componentCount)

    /// - Parameter denseLayers: layers from here on have experts.
    init(denseLayers: Int) { self.denseLayers = denseLayers }

    /// Begins a step: forgets the times of the one before.
    func start() {
        for i in times.indices { times[i] = 0 }
        last = MonotonicClock.now
    }

    /// Nanoseconds that the last step spent in a component, over all layers of a kind.
    func nanoseconds(_ component: StepComponent, in place: Place) -> Double {
        Double(times[Self.index(component, place)])
    }

    private static let componentCount = StepComponent.allCases.count

    private static func index(_ component: StepComponent, _ place: Place) -> Int {
        place.rawValue * componentCount + component.rawValue
    }

    func saw(_ site: StepSite, _ rows: StepRows) {
        // Experts are shown row by row after one phase; the first tells its end.
        if site.operation == .expert && previous == .expert { return }
        let now = MonotonicClock.now
        let place: Place = site.layer.map { $0 < denseLayers ? .dense : .moe } ?? .outside
        times[Self.index(component(site.operation, place), place)] += now - last
        last = now
        previous = site.operation
    }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}

    /// What was computed before an operator's values were shown.
    private func component(_ operation: StepOperator, _ place: Place) -> StepComponent {
        switch operation {
        case .embedding: .embedding
        case .attentionNorm, .latent, .feedForwardNorm, .finalNorm: .norms
        case .queryDown, .latentDown: .attentionDown
        case .query, .absorbedQuery, .mixedLatent, .attended: .attention
        case .attentionOutput: .attentionOutput
        case .router, .routingWeights: .router
        case .expert: .expertsUp
        case .shared: place == .dense ? .denseUp : .expertsUp
        case .experts: .expertsDown
        case .feedForwardOutput: place == .dense ? .denseDown : .expertsDown
        case .logits: .head
        }
    }
}
