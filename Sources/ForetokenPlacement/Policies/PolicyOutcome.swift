/// What a policy made of a problem.
public enum PolicyOutcome: Sendable, Equatable {
    /// A plan that fits.
    case plan(PlacementPlan)
    /// It would not fit.
    case doesNotFit([Shortfall])
    /// It says nothing about this machine or without this input; why.
    case notApplicable(String)

    /// The plan, where there is one.
    public var plan: PlacementPlan? {
        if case .plan(let plan) = self { plan } else { nil }
    }

    /// Why there is no plan.
    public var reason: String? {
        switch self {
        case .plan: nil
        case .doesNotFit(let shortfalls): "does not fit: " + shortfalls.map(\.description).joined(separator: "; ")
        case .notApplicable(let why): why
        }
    }
}

/// Memory that is missing for a plan.
public struct Shortfall: Sendable, Hashable, Encodable, CustomStringConvertible {
    /// The system's number of the node; nil for all nodes together.
    public var node: Int?
    /// Bytes that are missing there.
    public var missingBytes: Int

    /// A shortfall; see the fields.
    public init(node: Int?, missingBytes: Int) {
        self.node = node
        self.missingBytes = missingBytes
    }

    /// Where and how much.
    public var description: String {
        (node.map { "node \($0) is" } ?? "all nodes together are") + " \(missingBytes) bytes short"
    }
}

/// Placements by placed layer and expert.
typealias LayerPlacements = [[ExpertPlacement]]

extension PlacementProblem {
    /// Bytes by node that dense weights, unplaced layers and a plan's experts take.
    public func bytes(of plan: PlacementPlan) -> [Int] {
        var bytes = reservedBytes
        let even = model.bytes(of: evenCut, nodes: nodeCount)
        var known: (placement: ExpertPlacement, bytes: [Int])? = nil
        for layer in layers {
            guard let experts = plan.layers[layer] else {
                for node in bytes.indices { bytes[node] += even[node] * model.expertCount }
                continue
            }
            for placement in experts {
                if known?.placement != placement {
                    known = (placement, model.bytes(of: placement, nodes: nodeCount))
                }
                for node in bytes.indices { bytes[node] += known!.bytes[node] }
            }
        }
        return bytes
    }

    /// What a plan lacks on each node.
    public func shortfalls(of plan: PlacementPlan) -> [Shortfall] {
        zip(machine.nodes, bytes(of: plan)).compactMap { node, bytes in
            bytes > node.capacity ? Shortfall(node: node.id, missingBytes: bytes - node.capacity) : nil
        }
    }

    /// A policy's placements as a plan, if they fit. Layers that are cut evenly are left out.
    func outcome(_ placements: LayerPlacements, policy: PlacementPolicy) -> PolicyOutcome {
        var plan = PlacementPlan(
            policy: policy.description, model: model.fingerprint, machine: machine.fingerprint,
            nodes: machine.nodes.map(\.id), layers: [:])
        for (layer, experts) in zip(layers, placements) where !experts.allSatisfy(isEven) {
            plan.layers[layer] = experts
        }
        let missing = shortfalls(of: plan)
        return missing.isEmpty ? .plan(plan) : .doesNotFit(missing)
    }

    /// The same placement for every expert.
    func outcome(everywhere placement: ExpertPlacement, policy: PlacementPolicy) -> PolicyOutcome {
        let layer = [ExpertPlacement](repeating: placement, count: model.expertCount)
        return outcome([LayerPlacements.Element](repeating: layer, count: layers.count), policy: policy)
    }
}
