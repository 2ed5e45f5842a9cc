extension PlacementPlan {
    /// Refuses a plan that was made for something else, that contradicts itself, or that does not fit.
    /// - Throws: `PlacementError` naming what was expected and found, and what is missing on which node.
    public func validate(for model: PlacementModel, on machine: PlacementMachine) throws(PlacementError) {
        guard self.model == model.fingerprint else {
            throw PlacementError(
                "the plan (\(policy)) was made for model \(self.model), but this is \(model.fingerprint); make one for "
                    + "this model with foretoken place or tune")
        }
        guard self.machine == machine.fingerprint else {
            throw PlacementError(
                "the plan (\(policy)) was made for machine \(self.machine), but this is \(machine.fingerprint); make one "
                    + "for this machine with foretoken place or tune")
        }
        guard nodes == machine.nodes.map(\.id) else {
            throw PlacementError(
                "the plan (\(policy)) was made for nodes \(nodes), but the machine has \(machine.nodes.map(\.id))")
        }
        if let unknown = layers.keys.filter({ !model.layers.contains($0) }).min() {
            throw PlacementError(
                "the plan (\(policy)) places experts of layer \(unknown), which has none in this model")
        }
        for (number, experts) in layers.sorted(by: { $0.key < $1.key }) {
            guard experts.count == model.expertCount else {
                throw PlacementError(
                    "layer \(number) of the plan (\(policy)) places \(experts.count) experts, the model has "
                        + "\(model.expertCount)")
            }
            for (expert, placement) in experts.enumerated() {
                try placement.check(nodes: nodes.count, at: "layer \(number), expert \(expert)")
            }
        }
        let problem = try PlacementProblem(model: model, machine: machine, layers: layers.keys.sorted())
        let missing = problem.shortfalls(of: self)
        guard missing.isEmpty else {
            throw PlacementError(
                "the plan (\(policy)) does not fit: " + missing.map(\.description).joined(separator: "; ")
                    + "; free memory there or make another plan")
        }
    }
}

extension ExpertPlacement {
    /// Refuses a placement that nothing could be loaded by.
    func check(nodes: Int, at place: String) throws(PlacementError) {
        func expect(_ holds: Bool, _ expected: String, _ found: String) throws(PlacementError) {
            guard holds else { throw PlacementError("\(place) of the plan: expected \(expected), found \(found)") }
        }
        try expect(!copies.isEmpty, "at least one copy", "none")
        try expect(copies.count <= FigureLimits.nodes, "at most \(FigureLimits.nodes) copies", "\(copies.count)")
        try expect(Set(copies).count == copies.count, "copies that differ", "the same one twice")
        for copy in copies {
            try expect(!copy.isEmpty, "at least one part in a copy", "none")
            for part in copy {
                try expect((0..<nodes).contains(part.node), "a node index below \(nodes)", "\(part.node)")
                try expect(
                    (1...FigureLimits.share).contains(part.share), "a share of 1…\(FigureLimits.share)", "\(part.share)"
                )
            }
            let order = copy.map(\.node)
            try expect(
                zip(order, order.dropFirst()).allSatisfy(<), "each node once, in ascending order", "nodes \(order)")
        }
    }
}
