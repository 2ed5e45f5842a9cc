import CForetokenKernels
import ForetokenWeights

extension ModelWeights {
    /// Bytes of weights that one verify step of one row reads, latent cache not counted.
    var bytesPerStep: Int {
        denseBytesPerStep.reduce(0, +) + expertBytes.reduce(0) { $0 + $1 * configuration.expertsPerToken }
    }

    /// By main layer: bytes of one routed expert; 0 in dense layers.
    var expertBytes: [Int] {
        layers.map { layer in
            guard case .moe(let moe) = layer.feedForward else { return 0 }
            let expert = moe.experts[0].copies[0]
            return [expert.gate, expert.up, expert.down].reduce(0) { $0 + $1.byteCount }
        }
    }
}

extension Model {
    /// Bytes of weights that one verify step of one row reads, latent cache not counted.
    public var bytesPerStep: Int { weights.bytesPerStep }

    /// Bytes of weights that a step of any number of rows reads once: all but the routed experts.
    package var denseBytesPerStep: Int { weights.denseBytesPerStep.reduce(0, +) }

    /// By main layer: bytes of one routed expert; 0 in dense layers.
    package var expertBytes: [Int] { weights.expertBytes }

    /// Bytes of all shared experts, which steps read beside the routed ones.
    package var sharedExpertBytes: Int {
        weights.layers.reduce(0) { sum, layer in
            guard case .moe(let moe) = layer.feedForward, let shared = moe.shared else { return sum }
            return sum + Self.bytes(shared.gate) + Self.bytes(shared.up) + Self.bytes(shared.down)
        }
    }

    /// Floating-point operations that a prompt of `tokens` tokens needs at least: two for each weight that a token uses
    /// (lm_head for the last token alone), causal attention over explicit keys and values, and the index scores of rows that
    /// choose entries.
    package func promptOperations(tokens: Int) -> Double {
        let c = configuration
        let n = Double(tokens)
        let perPair = 2 * Double(c.headCount * (c.queryDimension + c.valueDimension))
        return n * operationsPerToken + Self.elements(self.weights.lmHead) * 2
            + Double(c.layerCount) * perPair * attendedPairs(tokens: tokens) + indexOperations(tokens: tokens)
    }

    /// Pairs of a token and an entry that it attends to, in one layer, over the first `tokens` tokens.
    package func attendedPairs(tokens: Int) -> Double {
        guard let sparse = configuration.sparseAttention, tokens > sparse.chosenCount else {
            return Self.causalPairs(tokens)
        }
        return Self.causalPairs(sparse.chosenCount) + Double(tokens - sparse.chosenCount) * Double(sparse.chosenCount)
    }

    /// Operations of all layers' index scores over the first `tokens` tokens; only those that choose entries need them.
    package func indexOperations(tokens: Int) -> Double {
        let c = configuration
        guard let sparse = c.sparseAttention, tokens > sparse.chosenCount else { return 0 }
        let perScore = 2 * sparse.headCount * sparse.headDimension * sparse.indexerCount(layers: c.layerCount)
        return (Self.causalPairs(tokens) - Self.causalPairs(sparse.chosenCount)) * Double(perScore)
    }

    private static func causalPairs(_ tokens: Int) -> Double { Double(tokens) * Double(tokens + 1) / 2 }

    /// Operations that one token's pass through all layers' matrices takes.
    package var operationsPerToken: Double { weights.layers.reduce(0.0) { $0 + operations($1) } }

    /// Operations that one token's pass through a layer's matrices takes.
    private func operations(_ layer: LayerWeights) -> Double {
        let attention = layer.attention
        var elements =
            [attention.queryDown, attention.queryUp, attention.latentDown, attention.output]
            .reduce(0.0) { $0 + ($1.map(Self.elements) ?? 0) }
        elements += Self.elements(attention.keyUp) + Self.elements(attention.valueUp)
        if let indexer = attention.indexer {
            for linear in [indexer.query, indexer.key, indexer.weights] { elements += Self.elements(linear) }
        }
        switch layer.feedForward {
        case .dense(let mlp): elements += Self.elements(mlp)
        case .moe(let moe):
            let copy = moe.experts[0].copies[0]
            let expert = Self.elements(copy.gate) + Self.elements(copy.up) + Self.elements(copy.down)
            elements += Self.elements(moe.router) + Double(configuration.expertsPerToken) * expert
            elements += moe.shared.map(Self.elements) ?? 0
        }
        return 2 * elements
    }

    private static func bytes(_ linear: Linear) -> Int { linear.byteCount }

    private static func elements(_ linear: Linear) -> Double { Double(linear.rows) * Double(linear.columns) }

    private static func elements(_ table: MatrixTable) -> Double {
        guard table.count > 0 else { return 0 }
        return Double(table.count) * Double(table.matrices.pointee.rows) * Double(table.matrices.pointee.columns)
    }

    private static func elements(_ mlp: MLPWeights) -> Double {
        elements(mlp.gate) + elements(mlp.up) + elements(mlp.down)
    }
}
