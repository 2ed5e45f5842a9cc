import ForetokenPlacement

extension Checkpoint {
    /// Tells models apart whose routers choose differently: what routing traces and placement plans are bound to. 16
    /// hexadecimal digits, FNV-1a over the model's shape and the stored `e_score_correction_bias` of every layer with
    /// routed experts, those of MTP modules last; where routers have none, over the router's weights for expert 0. How the weights are kept in memory does not matter to it.
    ///
    /// - Parameter layout: this checkpoint's own.
    /// - Throws: `CheckpointError` naming the file and the tensor, when a bias cannot be read.
    public func routingFingerprint(_ layout: WeightLayout) throws -> String {
        var hash = FNV1a()
        hash.add(configuration.modelType)
        for number in configuration.shape + [layout.mtp.count] { hash.add(number) }
        for layer in layout.layers + layout.mtp.map(\.block) {
            guard case .moe(let router, let bias, _, _) = layer.feedForward else { continue }
            // Without biases an expert's weights in the router say which model it is.
            let tensor = bias ?? router.weight
            let count = bias?.range.count ?? router.weight.range.count / router.rows
            hash.add(tensor.type.rawValue)
            try withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { bytes in
                try read(tensor, fromByte: 0, into: bytes)
                hash.add(UnsafeRawBufferPointer(bytes))
            }
        }
        return hash.digits
    }
}

extension ModelConfiguration {
    /// All sizes that decide what tensors there are and how many experts are chosen.
    fileprivate var shape: [Int] {
        [
            vocabularySize, hiddenSize, intermediateSize, expertIntermediateSize, layerCount, denseLayerCount,
            routedExpertCount, sharedExpertCount, expertsPerToken, expertGroupCount, keptGroupCount, queryRank ?? 0,
            latentRank, nopeDimension, ropeDimension, valueDimension, headCount,
        ]
    }
}
