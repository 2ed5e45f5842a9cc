extension PlacementProblem {
    /// Windows of a layer that whole experts are searched on.
    private static let searchWindows = 4000

    /// Whole experts, from the spread policy on swapped between nodes and moved to free slots as long as recorded steps get
    /// faster and time is left. Between equal nodes the spread policy is as good on other text, so it is not run there.
    func search(_ statistics: RoutingStatistics, isTimeUp: () -> Bool) -> PolicyOutcome {
        guard !hasEqualNodes else { return .notApplicable("all nodes are about equally fast: spread is as good") }
        guard var homes = spreadHomes(statistics) else { return missingSlots }
        var room = room
        for home in homes.joined() { room[Int(home)] -= 1 }
        let wholes = CopyCosts(machine.nodes.indices.map(ExpertPlacement.whole), model: model, machine: machine)
        var open = Set(layers.indices)
        while !open.isEmpty, !isTimeUp() {
            for layer in open.sorted() where !isTimeUp() {
                let windows = statistics.windows.layers[layer].thinned(to: Self.searchWindows)
                var search = WholeSearch(windows, homes: homes[layer], wholes: wholes)
                let hasImproved = search.sweep(room: &room, isTimeUp: isTimeUp)
                homes[layer] = search.homes
                if !hasImproved { open.remove(layer) }
            }
        }
        return whole(homes, policy: .search)
    }
}

/// Moves and swaps of one layer's whole experts, judged by the seconds of recorded windows.
struct WholeSearch {
    /// By expert: its node.
    private(set) var homes: [Int32]

    private let nodes: Int
    /// By node: seconds of reading an expert for one row, and what it costs besides.
    private let reading: [Double]
    private let fixed: [Double]
    /// By expert: windows that read it, and what more rows cost.
    private let readers: [[(window: Int, factor: Double)]]
    /// [window][node] seconds.
    private var load: [Double]
    /// By window: seconds of the busiest node.
    private var slowest: [Double]
    /// By window: the candidate's row factor while one is judged, else 0.
    private var marked: [Double]

    /// A layer with its experts at home; expert n of `wholes` tells the costs of node n.
    init(_ windows: VerifyWindows.Layer, homes: [Int32], wholes: CopyCosts) {
        self.homes = homes
        nodes = wholes.nodeCount
        reading = wholes.parts.map(\.reading.total)
        fixed = wholes.parts.map(\.fixed.total)
        let count = windows.starts.count - 1
        var readers = [[(window: Int, factor: Double)]](repeating: [], count: homes.count)
        load = [Double](repeating: 0, count: count * nodes)
        slowest = [Double](repeating: 0, count: count)
        marked = [Double](repeating: 0, count: count)
        for window in 0..<count {
            for use in windows[window] {
                let (factor, home) = (wholes.rowFactor(use.rows), Int(homes[Int(use.expert)]))
                readers[Int(use.expert)].append((window, factor))
                load[window * nodes + home] += factor * reading[home] + fixed[home]
            }
        }
        self.readers = readers
        for window in 0..<count { slowest[window] = load[window * nodes..<(window + 1) * nodes].max()! }
    }

    /// Sum over windows of the busiest node's seconds.
    var seconds: Double { slowest.reduce(0) { $0 + $1 } }

    /// Gives every expert its best move or swap; false where none was better.
    /// - Parameter room: by node, experts that still fit; moves take from it and give back.
    mutating func sweep(room: inout [Int], isTimeUp: () -> Bool) -> Bool {
        var hasImproved = false
        for expert in homes.indices {
            if isTimeUp() { return hasImproved }
            let home = Int(homes[expert])
            var best = (partner: -1, node: -1, change: -1e-6 * reading[home])
            for reader in readers[expert] { marked[reader.window] = reader.factor }
            for node in 0..<nodes where node != home && room[node] > 0 {
                let change = changeOfMoving(expert, from: home, to: node)
                if change < best.change { best = (-1, node, change) }
            }
            for other in homes.indices where Int(homes[other]) != home {
                let change = changeOfSwapping(expert, other)
                if change < best.change { best = (other, Int(homes[other]), change) }
            }
            for reader in readers[expert] { marked[reader.window] = 0 }
            guard best.node >= 0 else { continue }
            move(expert, to: best.node)
            if best.partner >= 0 {
                move(best.partner, to: home)
            } else {
                room[home] += 1
                room[best.node] -= 1
            }
            hasImproved = true
        }
        return hasImproved
    }

    private func seconds(_ factor: Double, on node: Int) -> Double { factor * reading[node] + fixed[node] }

    private func changeOfMoving(_ expert: Int, from home: Int, to node: Int) -> Double {
        readers[expert].reduce(0) { sum, reader in
            sum
                + change(
                    in: reader.window, at: home, -seconds(reader.factor, on: home), at: node,
                    seconds(reader.factor, on: node))
        }
    }

    private func changeOfSwapping(_ expert: Int, _ other: Int) -> Double {
        let (home, there) = (Int(homes[expert]), Int(homes[other]))
        var sum = changeOfMoving(expert, from: home, to: there)
        for reader in readers[other] {
            let (window, factor) = (reader.window, reader.factor)
            let arriving = (seconds(factor, on: home), -seconds(factor, on: there))
            guard marked[window] > 0 else {
                sum += change(in: window, at: home, arriving.0, at: there, arriving.1)
                continue
            }
            // Both are read here: what was counted for the move alone is replaced.
            let leaving = (-seconds(marked[window], on: home), seconds(marked[window], on: there))
            sum -= change(in: window, at: home, leaving.0, at: there, leaving.1)
            sum += change(in: window, at: home, leaving.0 + arriving.0, at: there, leaving.1 + arriving.1)
        }
        return sum
    }

    /// Change of a window's time when two nodes' loads change.
    private func change(in window: Int, at one: Int, _ first: Double, at other: Int, _ second: Double) -> Double {
        load.withUnsafeBufferPointer { load in
            var latest: Double = 0
            for node in 0..<nodes {
                let added = node == one ? first : node == other ? second : 0
                latest = max(latest, load[window * nodes + node] + added)
            }
            return latest - slowest[window]
        }
    }

    private mutating func move(_ expert: Int, to node: Int) {
        let home = Int(homes[expert])
        homes[expert] = Int32(node)
        for reader in readers[expert] {
            let first = reader.window * nodes
            load[first + home] -= seconds(reader.factor, on: home)
            load[first + node] += seconds(reader.factor, on: node)
            slowest[reader.window] = load[first..<first + nodes].max()!
        }
    }
}
