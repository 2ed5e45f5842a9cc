/// Chooses at run time which copy of each expert a step reads. Planner and engine both choose here; the engine takes the costs
/// of a piece and of further rows that `place` assumes, `tune` those it measured, so that some copies may differ.
public enum ReplicaChoice {
    /// Passes over experts with several copies that may still move one to a less loaded node.
    private static let repairPasses = 4

    /// Chooses a copy for each expert of a window so that the busiest node is done early.
    ///
    /// Experts with one copy come first, then those with the fewest copies, among them those that serve most rows, each to
    /// the copy that is finished first. Up to four passes then move single experts to copies that finish earlier or, where
    /// none is left, one expert off the busiest node whose new node gives another one away. Ties go to the lower index, so
    /// equal input gives equal choices. Allocates nothing.
    /// - Parameters:
    ///   - active: the window's experts, ids below `costs.expertCount`.
    ///   - costs: what the layer's copies cost.
    ///   - nodeSeconds: by node, what it has to do already (zero, as a rule); the chosen work is added.
    ///   - chosen: by entry of `active`, receives the index of the chosen copy in `ExpertPlacement.copies`.
    ///   - order: scratch of at least as many entries as `active`.
    public static func choose(
        _ active: UnsafeBufferPointer<ExpertUse>, costs: CopyCosts,
        nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>, chosen: UnsafeMutableBufferPointer<Int32>,
        order: UnsafeMutableBufferPointer<Int32>
    ) {
        var choices = 0
        for (index, use) in active.enumerated() {
            let copies = costs.copies(of: use.expert)
            chosen[index] = 0
            if copies.count == 1 {
                costs.add(copies.lowerBound, rowFactor: costs.rowFactor(use.rows), to: nodeSeconds)
            } else {
                insert(index, into: order, count: choices, active: active, costs: costs)
                choices += 1
            }
        }
        for place in 0..<choices {
            let index = Int(order[place])
            let factor = costs.rowFactor(active[index].rows)
            let copies = costs.copies(of: active[index].expert)
            var best = (copy: copies.lowerBound, finish: Double.infinity)
            for copy in copies {
                let finish = finish(of: copy, rowFactor: factor, costs: costs, nodeSeconds: nodeSeconds)
                if finish < best.finish { best = (copy, finish) }
            }
            costs.add(best.copy, rowFactor: factor, to: nodeSeconds)
            chosen[index] = Int32(best.copy - copies.lowerBound)
        }
        let open = UnsafeMutableBufferPointer(rebasing: order[..<choices])
        for _ in 0..<repairPasses {
            var hasMoved = false
            for index in open where repair(Int(index), active, costs, nodeSeconds, chosen) { hasMoved = true }
            if !hasMoved, !isNearlyEven(nodeSeconds) {
                for index in open where hasMoved == false {
                    hasMoved = repairChain(Int(index), open, active, costs, nodeSeconds, chosen)
                }
            }
            if !hasMoved { break }
        }
    }

    /// Whether no choice could end more than one percent earlier.
    @inline(always)
    private static func isNearlyEven(_ nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>) -> Bool {
        var (latest, sum) = (0.0, 0.0)
        for node in nodeSeconds.indices {
            latest = max(latest, nodeSeconds[node].total)
            sum += nodeSeconds[node].total
        }
        return latest * Double(nodeSeconds.count) <= sum * 1.01
    }

    /// Insertion by copies, then by rows descending, then by index.
    @inline(always)
    private static func insert(
        _ index: Int, into order: UnsafeMutableBufferPointer<Int32>, count: Int,
        active: UnsafeBufferPointer<ExpertUse>, costs: CopyCosts
    ) {
        let (copies, rows) = (costs.copies(of: active[index].expert).count, active[index].rows)
        var place = count
        while place > 0 {
            let before = active[Int(order[place - 1])]
            let others = costs.copies(of: before.expert).count
            guard others > copies || (others == copies && before.rows < rows) else { break }
            order[place] = order[place - 1]
            place -= 1
        }
        order[place] = Int32(index)
    }

    /// When the last part of a copy would be done.
    @inline(always)
    private static func finish(
        of copy: Int, rowFactor: Double, costs: CopyCosts, nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>
    ) -> Double {
        var latest = 0.0
        for part in costs.parts(of: copy) {
            let part = costs.parts[part]
            latest = max(latest, (nodeSeconds[part.node] + rowFactor * part.reading + part.fixed).total)
        }
        return latest
    }

    /// Moves one expert to a copy that finishes clearly earlier; false where there is none.
    @inline(always)
    private static func repair(
        _ index: Int, _ active: UnsafeBufferPointer<ExpertUse>, _ costs: CopyCosts,
        _ nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>, _ chosen: UnsafeMutableBufferPointer<Int32>
    ) -> Bool {
        let (factor, copies) = (costs.rowFactor(active[index].rows), costs.copies(of: active[index].expert))
        let current = copies.lowerBound + Int(chosen[index])
        costs.add(current, rowFactor: factor, sign: -1, to: nodeSeconds)
        // Taking work off and putting it back rounds: only more than that is a gain.
        let now = finish(of: current, rowFactor: factor, costs: costs, nodeSeconds: nodeSeconds)
        var best = (copy: current, finish: now * (1 - 1e-9))
        for copy in copies where copy != current {
            let finish = finish(of: copy, rowFactor: factor, costs: costs, nodeSeconds: nodeSeconds)
            if finish < best.finish { best = (copy, finish) }
        }
        costs.add(best.copy, rowFactor: factor, to: nodeSeconds)
        chosen[index] = Int32(best.copy - copies.lowerBound)
        return best.copy != current
    }

    /// Moves an expert off the busiest node to a copy whose node first gives another expert away; false where no pair of
    /// moves makes both finish clearly earlier than that node does now.
    private static func repairChain(
        _ index: Int, _ open: UnsafeMutableBufferPointer<Int32>, _ active: UnsafeBufferPointer<ExpertUse>,
        _ costs: CopyCosts, _ nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>,
        _ chosen: UnsafeMutableBufferPointer<Int32>
    ) -> Bool {
        let (factor, copies) = (costs.rowFactor(active[index].rows), costs.copies(of: active[index].expert))
        let current = copies.lowerBound + Int(chosen[index])
        var limit = 0.0
        for node in nodeSeconds.indices { limit = max(limit, nodeSeconds[node].total) }
        limit *= 1 - 1e-9
        guard finish(of: current, rowFactor: 0, costs: costs, nodeSeconds: nodeSeconds) >= limit else { return false }
        costs.add(current, rowFactor: factor, sign: -1, to: nodeSeconds)
        for copy in copies where copy != current {
            for other in open where Int(other) != index {
                let use = active[Int(other)]
                let (otherFactor, otherCopies) = (costs.rowFactor(use.rows), costs.copies(of: use.expert))
                let held = otherCopies.lowerBound + Int(chosen[Int(other)])
                guard costs.meet(copy, held) else { continue }
                costs.add(held, rowFactor: otherFactor, sign: -1, to: nodeSeconds)
                if finish(of: copy, rowFactor: factor, costs: costs, nodeSeconds: nodeSeconds) < limit {
                    costs.add(copy, rowFactor: factor, to: nodeSeconds)
                    for next in otherCopies where next != held {
                        let finish = finish(of: next, rowFactor: otherFactor, costs: costs, nodeSeconds: nodeSeconds)
                        guard finish < limit else { continue }
                        costs.add(next, rowFactor: otherFactor, to: nodeSeconds)
                        chosen[index] = Int32(copy - copies.lowerBound)
                        chosen[Int(other)] = Int32(next - otherCopies.lowerBound)
                        return true
                    }
                    costs.add(copy, rowFactor: factor, sign: -1, to: nodeSeconds)
                }
                costs.add(held, rowFactor: otherFactor, to: nodeSeconds)
            }
        }
        costs.add(current, rowFactor: factor, to: nodeSeconds)
        return false
    }
}
