import ForetokenPlacement

/// Workers that read panels, event by event, knowing nothing of the planner's formula.
///
/// A node's workers walk through the pieces of its queue together. Coming to a piece takes each of them `pieceSeconds`;
/// then they take its panels one by one. A node's bandwidth is shared equally by the panels being read from it, and no
/// worker reads faster than twice its share of its node. Workers also take panels of memory-only nodes: always of the queue
/// that would take longest to finish.
struct EventSimulation {
    let model: PlacementModel
    let machine: PlacementMachine

    /// One node's work in a phase.
    private struct Queue {
        /// Bytes of each panel, by piece.
        var pieces: [(panels: Int, panelBytes: Double)] = []
        /// Panels taken of the front piece, and that piece's index.
        var taken = 0
        var front = 0
        var bytesLeft = 0.0
    }

    private enum Activity {
        case idle
        case waking(at: Double)
        case reading(node: Int, bytes: Double)
    }

    private struct Worker {
        var home: Int
        var fastest: Double
        /// By node: pieces come to.
        var reached: [Int]
        var activity = Activity.idle
    }

    /// Seconds of both phases for experts and the copies chosen of them.
    func seconds(_ active: [(placement: ExpertPlacement, copy: Int, rows: UInt16)]) -> Double {
        let phases = [(model.gateUpBytes, model.gateUpPanels), (model.downBytes, model.downPanels)]
        return phases.reduce(0) { total, phase in
            var queues = [Queue](repeating: Queue(), count: machine.nodes.count)
            for expert in active {
                let copy = expert.placement.copies[expert.copy]
                let cost = machine.rowCost[min(Int(expert.rows), machine.rowCost.count) - 1]
                for (part, range) in zip(copy, ExpertPlacement.cut(copy, panels: phase.1)) where !range.isEmpty {
                    let bytes = cost * Double(phase.0) / Double(phase.1)
                    queues[part.node].pieces.append((range.count, bytes))
                    queues[part.node].bytesLeft += bytes * Double(range.count)
                }
            }
            return total + run(queues)
        }
    }

    private func run(_ start: [Queue]) -> Double {
        var (queues, now) = (start, 0.0)
        var workers = machine.nodes.enumerated().flatMap { index, node in
            [Worker](
                repeating: Worker(
                    home: index, fastest: 2 * node.bandwidth / Double(max(node.workers, 1)),
                    reached: [Int](repeating: 0, count: machine.nodes.count)),
                count: node.workers)
        }
        for index in workers.indices { next(&workers[index], &queues, now) }
        while true {
            var readers = [Int](repeating: 0, count: queues.count)
            for worker in workers { if case .reading(let node, _) = worker.activity { readers[node] += 1 } }
            func rate(_ worker: Worker, _ node: Int) -> Double {
                min(worker.fastest, machine.nodes[node].bandwidth / Double(readers[node]))
            }
            var until = Double.infinity
            for worker in workers {
                switch worker.activity {
                case .idle: break
                case .waking(let time): until = min(until, time)
                case .reading(let node, let bytes): until = min(until, now + bytes / rate(worker, node))
                }
            }
            guard until < .infinity else { return now }
            let rates = workers.map { worker -> Double in
                guard case .reading(let node, _) = worker.activity else { return 0 }
                return rate(worker, node)
            }
            let passed = until - now
            now = until
            for index in workers.indices {
                switch workers[index].activity {
                case .idle: break
                case .waking(let time): if time <= now { next(&workers[index], &queues, now) }
                case .reading(let node, let bytes):
                    let left = bytes - passed * rates[index]
                    workers[index].activity = .reading(node: node, bytes: left)
                    if left < 0.5 { next(&workers[index], &queues, now) }
                }
            }
        }
    }

    /// What a worker does next: come to a piece, read a panel, or stop.
    private func next(_ worker: inout Worker, _ queues: inout [Queue], _ now: Double) {
        for node in queues.indices where queues[node].front < queues[node].pieces.count {
            if queues[node].taken == queues[node].pieces[queues[node].front].panels {
                queues[node].front += 1
                queues[node].taken = 0
            }
        }
        let open = queues.indices.filter { node in
            queues[node].front < queues[node].pieces.count && (node == worker.home || machine.nodes[node].workers == 0)
        }
        let urgencies = open.map { queues[$0].bytesLeft / machine.nodes[$0].bandwidth }
        guard let node = zip(urgencies, open).max(by: { $0.0 < $1.0 })?.1 else {
            worker.activity = .idle
            return
        }
        let queue = queues[node]
        let behind = queue.front + 1 - worker.reached[node]
        if behind > 0 {
            let pieces = node == worker.home ? behind : 1
            worker.reached[node] = queue.front + 1
            worker.activity = .waking(at: now + Double(pieces) * machine.pieceSeconds)
            if machine.pieceSeconds > 0 { return }
        }
        queues[node].taken += 1
        queues[node].bytesLeft -= queue.pieces[queue.front].panelBytes
        worker.activity = .reading(node: node, bytes: queue.pieces[queue.front].panelBytes)
    }
}
