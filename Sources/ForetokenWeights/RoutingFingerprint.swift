import ForetokenPlacement

extension Checkpoint {
    /// Tells models apart whose routers choose differently: what routing traces and placement plans are bound to. 16
    /// hexadecimal digits, FNV-1a over the model's shape and the stored `e_score_correction_bias` of every layer with
    /// routed experts, those of MTP modules last. How the weights are kept in memory does not matter to it.
    ///
    /// - Parameter layout: this checkpoint's own.
    /// - Throws: `CheckpointError` naming the file and the tensor, when a bias cannot be read.
    public func routingFingerprint(_ layout: WeightLayout) throws -> String {
        var hash = FNV1a()
        hash.add(configuration.modelType)
        for number in configuration.shape + [layout.mtp.count] { hash.add(number) }
        for layer in layout.layers + layout.mtp.map(\.block) {
            guard case .moe(_, let bias, _, _) = layer.feedForward else { continue }
            hash.add(bias.type.rawValue)
            try withUnsafeTemporaryAllocation(byteCount: bias.range.count, alignment: 1) { bytes in
                try read(bias, fromByte: 0, into: bytes)
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
