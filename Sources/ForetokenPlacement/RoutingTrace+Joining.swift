extension RoutingTrace {
    /// Adds another trace of the same model behind this one. A trace that does not know its model is taken for one of it.
    /// - Throws: `PlacementError` where models, layers or expert counts differ.
    public mutating func append(_ other: RoutingTrace) throws(PlacementError) {
        guard model.isEmpty || other.model.isEmpty || model == other.model else {
            throw PlacementError("it is of model \(other.model), the trace before it of \(model)")
        }
        guard layers == other.layers, expertCount == other.expertCount, expertsPerToken == other.expertsPerToken else {
            throw PlacementError(
                "it has \(other.expertsPerToken) of \(other.expertCount) experts in \(other.layers.count) layers, the "
                    + "trace before it \(expertsPerToken) of \(expertCount) in \(layers.count)")
        }
        if model.isEmpty { model = other.model }
        let places = other.domains.map { label in
            if let known = domains.firstIndex(of: label) { return known }
            domains.append(label)
            return domains.count - 1
        }
        let first = rowCount
        let firstText = textCount
        windows += other.windows.map { window in
            Window(
                rows: window.rows.lowerBound + first..<window.rows.upperBound + first,
                domain: places[window.domain], position: window.position,
                text: window.text + firstText, joinsPrevious: window.joinsPrevious)
        }
        kinds += other.kinds
        experts += other.experts
    }
}

extension PlacementModel {
    /// Refuses a trace that another model routed.
    /// - Parameter comparesFingerprints: whether the model's identity is known, not only its sizes.
    /// - Throws: `PlacementError` saying what differs.
    public func check(_ trace: RoutingTrace, comparesFingerprints: Bool) throws(PlacementError) {
        guard !comparesFingerprints || trace.model.isEmpty || trace.model == fingerprint else {
            throw PlacementError(
                "the routing trace is of model \(trace.model), but this is \(fingerprint); name its model, or record the "
                    + "trace with this one")
        }
        guard trace.expertCount == expertCount, trace.expertsPerToken == expertsPerToken else {
            throw PlacementError(
                "the routing trace has \(trace.expertsPerToken) of \(trace.expertCount) experts a token, but the model "
                    + "has \(expertsPerToken) of \(expertCount); record the trace with this model")
        }
        if let unknown = trace.layers.first(where: { !layers.contains($0) }) {
            throw PlacementError(
                "the routing trace has layer \(unknown), but the model's layers with routed experts are "
                    + "\(layers.first ?? 0)…\(layers.last ?? 0); record the trace with this model, or, "
                    + "if it is text, give dense layers empty lists")
        }
    }
}
