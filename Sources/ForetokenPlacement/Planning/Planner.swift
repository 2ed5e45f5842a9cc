/// Scores every policy on windows that no plan was made from, and chooses.
public struct Planner: Sendable {
    /// Model, machine and layers.
    public let problem: PlacementProblem
    /// Recorded windows, in two halves.
    public let halves: WindowHalves
    /// Seconds of a step that neither weights nor barriers explain: attention over the cache, drafting, sampling.
    public var otherSeconds: Double
    /// By how much a simpler plan may be slower than the best and still be chosen.
    public var tolerance = 0.01

    /// A planner for a trace's layers.
    /// - Throws: `PlacementError` where trace, model and machine do not go together, or dense weights do not fit.
    public init(
        model: PlacementModel, machine: PlacementMachine, halves: WindowHalves, otherSeconds: Double = 0
    ) throws(PlacementError) {
        let windows = halves.training
        guard windows.expertCount == model.expertCount else {
            throw PlacementError(
                "the routing trace has \(windows.expertCount) experts a layer, model \(model.fingerprint) has "
                    + "\(model.expertCount); record the trace with this model")
        }
        guard windows.count > 0, halves.heldOut.count > 0, windows.layerNumbers == halves.heldOut.layerNumbers else {
            throw PlacementError("expected training and held-out windows of the same layers")
        }
        guard otherSeconds.isFinite, otherSeconds >= 0 else {
            throw PlacementError("expected 0 or more other seconds of a step, found \(otherSeconds)")
        }
        problem = try PlacementProblem(model: model, machine: machine, layers: windows.layerNumbers)
        self.halves = halves
        self.otherSeconds = otherSeconds
    }

    /// The policies that are worth comparing on a machine, the simplest first; `search` only between unequal nodes.
    public var policies: [PlacementPolicy] {
        guard problem.nodeCount > 1 else { return [.sliced(pieces: nil)] }
        var policies: [PlacementPolicy] = [
            .sliced(pieces: nil), .proportional, .capacitySliced, .roundRobin, .contiguous,
        ]
        policies += problem.machine.pieceCounts.reversed().map { .sliced(pieces: $0) }
        policies += [.balanced, .spread, .hybrid(percent: 12.5), .hybrid(percent: 25), .hybrid(percent: 50)]
        if !problem.hasEqualNodes { policies += [.tiered, .search] }
        return policies + [.replicas(percent: 12.5), .replicas(percent: 25)]
    }

    /// Makes and scores plans.
    /// - Parameters:
    ///   - policies: what to compare; nil for `policies`.
    ///   - isTimeUp: asked by `search`, which otherwise runs until nothing gets better; nothing else depends on it.
    /// - Returns: the report, and in it the simplest plan within `tolerance` of the best.
    public func plan(_ policies: [PlacementPolicy]? = nil, isTimeUp: () -> Bool = { false }) -> PlanReport {
        let statistics = RoutingStatistics(halves.training, machine: problem.machine)
        let results = (policies ?? self.policies).map { policy in
            result(of: policy, outcome: policy.outcome(problem, statistics: statistics, isTimeUp: isTimeUp))
        }
        return PlanReport(planner: self, results: results, chosen: Self.choice(results, tolerance: tolerance))
    }

    /// Index of the simplest policy whose held-out time, barriers included, is within a tolerance of the best.
    static func choice(_ results: [PolicyResult], tolerance: Double) -> Int? {
        let times = results.map { $0.score?.placementSeconds ?? .infinity }
        guard let best = times.min(), best.isFinite else { return nil }
        return results.indices.filter { times[$0] <= best * (1 + tolerance) }.min { one, other in
            let order = (results[one].policy.complexity, results[other].policy.complexity)
            return order.0 == order.1 ? times[one] < times[other] : order.0 < order.1
        }
    }

    private func result(of policy: PlacementPolicy, outcome: PolicyOutcome) -> PolicyResult {
        guard let plan = outcome.plan else {
            var result = PolicyResult(policy: policy)
            result.reason = outcome.reason
            if case .doesNotFit(let shortfalls) = outcome { result.shortfalls = shortfalls }
            return result
        }
        var result = PolicyResult(policy: policy)
        result.plan = plan
        result.score = score(plan)
        return result
    }

    /// Scores any plan for this model and machine.
    public func score(_ plan: PlacementPlan) -> PolicyScore {
        let heldOut = PlanTime(plan, problem: problem, windows: halves.heldOut)
        let training = PlanTime(plan, problem: problem, windows: halves.training)
        let barriers = problem.barrierSeconds(plan)
        let step = heldOut.seconds + barriers + problem.denseSeconds + otherSeconds
        let copies = plan.layers.values.joined().reduce(0) { $0 + $1.copies.count - 1 }
        return PolicyScore(
            expertSeconds: heldOut.seconds, trainingExpertSeconds: training.seconds, barrierSeconds: barriers,
            ratioToBound: heldOut.seconds / problem.bound(halves.heldOut).reduce(0, +), stepSeconds: step,
            tokensPerSecond: halves.heldOut.tokensPerStep / step, bytes: problem.bytes(of: plan),
            replicaBytes: copies * problem.model.expertBytes, layerSeconds: heldOut.layers.map(\.seconds),
            nodeBusy: heldOut.layers.map { layer in layer.busy.map { layer.seconds > 0 ? $0 / layer.seconds : 0 } },
            barriers: problem.layers.map { problem.barriers(plan, layer: $0) })
    }
}

extension PlacementProblem {
    /// Seconds in which a step's dense weights are read, each node its part: the slowest node's.
    public var denseSeconds: Double {
        let workers = machine.nodes.reduce(0) { $0 + $1.workers }
        return machine.nodes.reduce(0) { slowest, node in
            let bytes = Double(model.denseBytesPerStep) * Double(node.workers) / Double(workers)
            return max(slowest, bytes / node.bandwidth)
        }
    }
}

extension VerifyWindows {
    /// Mean tokens that a step gives.
    public var tokensPerStep: Double { count == 0 ? 0 : Double(tokens) / Double(count) }
    /// Mean texts that share a step.
    public var textsPerStep: Double { count == 0 ? 0 : Double(texts) / Double(count) }
}
