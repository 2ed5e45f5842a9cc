/// Every expert cut in the same number of pieces.
extension PlacementProblem {
    /// Cut over all nodes with workers, or in fewer pieces over groups of nodes near each other, experts spread over groups.
    func sliced(pieces: Int?, statistics: RoutingStatistics) -> PolicyOutcome {
        let working = workingNodes
        guard let pieces, pieces != working.count else {
            return outcome(everywhere: evenCut, policy: .sliced(pieces: nil))
        }
        guard pieces > 1, working.count % pieces == 0 else {
            return .notApplicable("\(pieces) pieces do not divide \(working.count) nodes with workers")
        }
        let groups = machine.groups(of: pieces, among: working)
        let cuts = groups.map { group in
            let shares = CutShares.integers(group.map { machine.nodes[$0].bandwidth })
            return ExpertPlacement(copies: [zip(group, shares).map { .init(node: $0, share: $1) }])
        }
        let free = freeBytes
        let room = zip(groups, cuts).map { group, cut in
            let bytes = model.bytes(of: cut, nodes: nodeCount)
            return group.map { bytes[$0] == 0 ? Int.max / 4096 : free[$0] / bytes[$0] }.min()!
        }
        let bandwidths = groups.map { $0.reduce(0) { $0 + machine.nodes[$1].bandwidth } }
        guard
            let slots = ExpertSlots(
                layers: layers.count, perLayer: model.expertCount, weights: bandwidths, spare: bandwidths, room: room)
        else {
            let short = expertTotal - room.reduce(0, +)
            return .doesNotFit([Shortfall(node: nil, missingBytes: short * model.expertBytes)])
        }
        let slowness = bandwidths.map { Float(bandwidths.max()! / $0) }
        let placements = layers.indices.map { layer in
            statistics.spreadHomes(layer: layer, slots: slots.counts[layer], slowness: slowness).map { cuts[Int($0)] }
        }
        return outcome(placements, policy: .sliced(pieces: pieces))
    }
}

extension PlacementMachine {
    /// Numbers of pieces, between whole and all, that leave equal groups of the nodes with workers.
    var pieceCounts: [Int] {
        let working = nodes.count { $0.workers > 0 }
        return working < 4 ? [] : (2...working / 2).filter { working % $0 == 0 }
    }

    /// Groups of nodes near each other: the first node that is left takes the nearest that are left, consecutive ones where
    /// no distances are known.
    func groups(of size: Int, among members: [Int]) -> [[Int]] {
        var left = members
        var groups: [[Int]] = []
        while let first = left.first {
            let nearest = left.dropFirst().sorted { one, other in
                guard let distances else { return one < other }
                return (distances[first][one], one) < (distances[first][other], other)
            }
            let group = ([first] + nearest.prefix(size - 1)).sorted()
            groups.append(group)
            left.removeAll(where: group.contains)
        }
        return groups
    }
}
