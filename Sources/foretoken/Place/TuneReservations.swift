import ForetokenReport

/// What the times of tried plans do not tell, or tell against all of them.
package struct TuneReservations {
    /// Nodes of the machine.
    package let nodes: Int
    /// What disturbed the times, in words; nil where nothing did.
    package let disturbance: String?
    /// How much longer a step takes under the best plan than without one, as a share; nil where it does not.
    package let loss: Double?
    /// Milliseconds of a step without a plan; nil where they are not known.
    package let presentMs: Double?

    /// Reservations; see the fields.
    package init(nodes: Int, disturbance: String?, loss: Double?, presentMs: Double?) {
        self.nodes = nodes
        self.disturbance = disturbance
        self.loss = loss
        self.presentMs = presentMs
    }

    /// A sentence or two for each; empty where the times can be taken as they are.
    package var sentences: [String] {
        var sentences: [String] = []
        if let disturbance {
            let plan = nodes > 1 ? ", so the plan is the one predicted to be fastest" : ""
            sentences.append(
                "The machine was busy: \(disturbance). The measured times cannot be relied on\(plan); "
                    + "run tune again when nothing else runs.")
        }
        if let loss, let presentMs, nodes > 1 {
            sentences.append(
                "None of these plans is faster than the placement without a plan: a step takes "
                    + "\(Format.percent(loss)) longer than its \(Format.fixed(presentMs, 3)) ms; leave --plan out.")
        }
        return sentences
    }
}
