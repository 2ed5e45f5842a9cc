/// Adds copies of whole experts to one layer, greedily by their marginal gain over recorded windows.
///
/// A copy gains where its expert sits on a window's busiest node and the copy's node would be done earlier. Gains are kept
/// and counted anew only when an expert comes out on top: a copy elsewhere rarely makes another one more useful.
struct ReplicaSearch {
    /// By expert: nodes that hold it, its home first.
    private(set) var holders: [[Int]]

    /// A gain for windows that get shorter only together with other changes, so that ties between busy nodes do not end the
    /// search.
    private static let hope = 0.05

    private let windows: VerifyWindows.Layer
    private let wholes: CopyCosts
    private let nodes: Int
    /// By expert, and an end: its uses in `readers`.
    private var readerStarts: [Int32]
    /// Uses by expert: index of the use and of its window.
    private var readers: [(use: Int32, window: Int32)]
    /// By use: the node whose copy is read.
    private var chosenNode: [Int32]
    /// [window][node] seconds.
    private var load: [Double]
    /// By window: seconds of the busiest node.
    private var slowest: [Double]

    /// A layer with one copy of every expert.
    /// - Parameters:
    ///   - homes: by expert, the node that holds it.
    ///   - wholes: costs of a whole expert on node n as those of expert n.
    init(_ windows: VerifyWindows.Layer, homes: [Int], wholes: CopyCosts) {
        self.windows = windows
        self.wholes = wholes
        nodes = wholes.nodeCount
        holders = homes.map { [$0] }
        let count = windows.starts.count - 1
        readerStarts = [Int32](repeating: 0, count: homes.count + 1)
        for use in windows.uses { readerStarts[Int(use.expert) + 1] += 1 }
        for expert in homes.indices { readerStarts[expert + 1] += readerStarts[expert] }
        var next = readerStarts
        readers = [(use: Int32, window: Int32)](repeating: (0, 0), count: windows.uses.count)
        for window in 0..<count {
            for use in windows.starts[window]..<windows.starts[window + 1] {
                let expert = Int(windows.uses[Int(use)].expert)
                readers[Int(next[expert])] = (use, Int32(window))
                next[expert] += 1
            }
        }
        chosenNode = [Int32](repeating: 0, count: windows.uses.count)
        load = [Double](repeating: 0, count: count * nodes)
        slowest = [Double](repeating: 0, count: count)
        choose(in: 0..<count)
    }

    /// Adds up to `budget` copies, on each node no more than it has room for.
    mutating func add(_ budget: Int, room: [Int]) {
        var room = room
        var gains = holders.indices.flatMap { self.gains(of: $0) }
        var isFresh = [Bool](repeating: true, count: holders.count)
        var left = budget
        while left > 0 {
            var best = (place: -1, gain: 0.0)
            for place in gains.indices where gains[place] > best.gain && room[place % nodes] > 0 {
                best = (place, gains[place])
            }
            guard best.place >= 0 else { return }
            let expert = best.place / nodes
            if isFresh[expert] {
                holders[expert].append(best.place % nodes)
                room[best.place % nodes] -= 1
                left -= 1
                choose(in: readerRange(expert).map { Int(readers[$0].window) })
                isFresh = isFresh.map { _ in false }
            }
            gains.replaceSubrange(expert * nodes..<(expert + 1) * nodes, with: self.gains(of: expert))
            isFresh[expert] = true
        }
    }

    private func readerRange(_ expert: Int) -> Range<Int> { Int(readerStarts[expert])..<Int(readerStarts[expert + 1]) }

    /// By node: what a copy of an expert there would gain in all windows, 0 where it is.
    private func gains(of expert: Int) -> [Double] {
        var gains = [Double](repeating: 0, count: nodes)
        for reader in readerRange(expert) {
            let (use, window) = (Int(readers[reader].use), Int(readers[reader].window))
            let (holder, busiest) = (Int(chosenNode[use]), slowest[window])
            guard load[window * nodes + holder] >= busiest * (1 - 1e-9) else { continue }
            let rows = windows.uses[use].rows
            let relieved = load[window * nodes + holder] - seconds(on: holder, rows: rows)
            for node in 0..<nodes where node != holder {
                let finish = load[window * nodes + node] + seconds(on: node, rows: rows)
                guard finish < busiest else { continue }
                var latest = max(finish, relieved)
                for other in 0..<nodes where other != holder && other != node {
                    latest = max(latest, load[window * nodes + other])
                }
                gains[node] += busiest - latest + Self.hope * (busiest - finish)
            }
        }
        for node in holders[expert] { gains[node] = 0 }
        return gains
    }

    private func seconds(on node: Int, rows: UInt16) -> Double {
        (wholes.rowFactor(rows) * wholes.parts[node].reading + wholes.parts[node].fixed).total
    }

    /// Chooses copies anew in some windows.
    private mutating func choose(in indices: some Sequence<Int>) {
        let costs = CopyCosts(holders: holders, wholes: wholes)
        let widest = zip(windows.starts, windows.starts.dropFirst()).map { Int($1 - $0) }.max() ?? 0
        let nodeSeconds = UnsafeMutableBufferPointer.filled(PhaseSeconds.zero, count: nodes)
        let scratch = UnsafeMutableBufferPointer.filled(Int32(0), count: 2 * widest)
        defer {
            nodeSeconds.deallocate()
            scratch.deallocate()
        }
        let chosen = UnsafeMutableBufferPointer(rebasing: scratch[..<widest])
        let order = UnsafeMutableBufferPointer(rebasing: scratch[widest...])
        windows.uses.withUnsafeBufferPointer { uses in
            for window in indices {
                let range = Int(windows.starts[window])..<Int(windows.starts[window + 1])
                nodeSeconds.update(repeating: .zero)
                ReplicaChoice.choose(
                    UnsafeBufferPointer(rebasing: uses[range]), costs: costs, nodeSeconds: nodeSeconds, chosen: chosen,
                    order: order)
                for (use, copy) in zip(range, chosen) {
                    chosenNode[use] = Int32(holders[Int(uses[use].expert)][Int(copy)])
                }
                slowest[window] = 0
                for node in 0..<nodes {
                    let seconds = nodeSeconds[node].total
                    load[window * nodes + node] = seconds
                    slowest[window] = max(slowest[window], seconds)
                }
            }
        }
    }
}
