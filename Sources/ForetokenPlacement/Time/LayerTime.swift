/// Time of one layer's experts over recorded windows.
///
/// A phase takes as long as its slowest node: max over nodes of (bytes / bandwidth + pieces · seconds of a piece). Nodes
/// without workers are read by the others' workers beside their own, each node getting the share of their time that its
/// bytes need, so the maximum holds for them too. The layer takes the sum of its two phases; barriers come on top.
public struct LayerTime: Sendable, Equatable {
    /// Mean seconds of a step.
    public var seconds: Double
    /// By node: mean seconds of a step that it is busy.
    public var busy: [Double]

    /// Replays windows against a layer's placements.
    public init(_ windows: VerifyWindows.Layer, costs: CopyCosts) {
        let count = windows.starts.count - 1
        var total = 0.0
        let busy = UnsafeMutableBufferPointer.filled(PhaseSeconds.zero, count: costs.nodeCount)
        defer { busy.deallocate() }
        Self.replay(windows, costs: costs) { nodeSeconds in
            var slowest = PhaseSeconds.zero
            for node in 0..<nodeSeconds.count {
                slowest = pointwiseMax(slowest, nodeSeconds[node])
                busy[node] += nodeSeconds[node]
            }
            total += slowest.total
        }
        let scale = 1 / Double(max(count, 1))
        seconds = total * scale
        self.busy = busy.map { $0.total * scale }
    }

    /// Calls `body` with each window's seconds by node.
    @inline(always)
    private static func replay(
        _ windows: VerifyWindows.Layer, costs: CopyCosts, body: (UnsafeMutableBufferPointer<PhaseSeconds>) -> Void
    ) {
        let widest = zip(windows.starts, windows.starts.dropFirst()).map { Int($1 - $0) }.max() ?? 0
        let nodeSeconds = UnsafeMutableBufferPointer.filled(PhaseSeconds.zero, count: costs.nodeCount)
        let scratch = UnsafeMutableBufferPointer.filled(Int32(0), count: 2 * widest)
        defer {
            nodeSeconds.deallocate()
            scratch.deallocate()
        }
        let chosen = UnsafeMutableBufferPointer(rebasing: scratch[..<widest])
        let order = UnsafeMutableBufferPointer(rebasing: scratch[widest...])
        windows.uses.withUnsafeBufferPointer { uses in
            for window in 0..<windows.starts.count - 1 {
                let range = Int(windows.starts[window])..<Int(windows.starts[window + 1])
                let active = UnsafeBufferPointer(rebasing: uses[range])
                nodeSeconds.update(repeating: .zero)
                if costs.hasChoices {
                    ReplicaChoice.choose(active, costs: costs, nodeSeconds: nodeSeconds, chosen: chosen, order: order)
                } else if costs.isUniform {
                    costs.addUniform(active, to: nodeSeconds)
                } else {
                    for use in active {
                        let copy = Int(costs.copyStarts[Int(use.expert)])
                        costs.add(copy, rowFactor: costs.rowFactor(use.rows), to: nodeSeconds)
                    }
                }
                body(nodeSeconds)
            }
        }
    }
}

/// Time of a plan's experts over recorded windows.
public struct PlanTime: Sendable, Equatable {
    /// By placed layer.
    public var layers: [LayerTime]

    /// Replays windows, whose layers must be the problem's.
    public init(_ plan: PlacementPlan, problem: PlacementProblem, windows: VerifyWindows) {
        let even = [ExpertPlacement](repeating: problem.evenCut, count: problem.model.expertCount)
        let evenCosts = CopyCosts(even, model: problem.model, machine: problem.machine)
        layers = zip(problem.layers, windows.layers).map { number, layer in
            let costs =
                plan.layers[number].map { CopyCosts($0, model: problem.model, machine: problem.machine) } ?? evenCosts
            return LayerTime(layer, costs: costs)
        }
    }

    /// Mean seconds of a step in all layers.
    public var seconds: Double { layers.reduce(0) { $0 + $1.seconds } }
}

extension PlacementProblem {
    /// Meetings of all workers that a layer's experts need: two where all of them are cut as the dense weights are, since
    /// every node then holds the same rows of each output; three elsewhere, where an expert's output is made by the nodes
    /// that hold it and summed in ascending expert order after one more meeting.
    public func barriers(_ plan: PlacementPlan, layer: Int) -> Int {
        guard let experts = plan.layers[layer] else { return 2 }
        return experts.allSatisfy(isEven) ? 2 : 3
    }

    /// Mean seconds of barriers in a step.
    public func barrierSeconds(_ plan: PlacementPlan) -> Double {
        machine.barrierSeconds * Double(layers.reduce(0) { $0 + barriers(plan, layer: $1) })
    }

    /// The perfect bound by layer: mean seconds in which all nodes together read the windows' experts.
    public func bound(_ windows: VerifyWindows) -> [Double] {
        let bandwidth = bandwidths.reduce(0, +)
        let expert = Double(model.expertBytes) / bandwidth / Double(max(windows.count, 1))
        return windows.layers.map { layer in
            expert * layer.uses.reduce(0) { $0 + machine.rowFactor($1.rows) }
        }
    }
}

extension PlacementMachine {
    /// Time of an expert that serves so many rows over that of one row.
    func rowFactor(_ rows: UInt16) -> Double { rowCost[min(Int(rows), rowCost.count) - 1] }
}
