import ForetokenHardware

/// Measures how fast the CPUs of each node read the memory of each, on workers of its own: one a physical core, pinned.
package final class NumaProbe {
    /// One quantity, or several that are read in one run.
    private enum Job {
        case read(row: Int, column: Int)
        case latency(row: Int, column: Int)
        case together
        case tiers
    }

    private let topology: Topology
    private let pool: WorkerPool
    /// By column; nil where no memory could be placed.
    private let buffers: [NodeBuffer?]
    /// By row: workers on the node's own CPUs.
    private let workers: [[Int]]
    /// By column: the row whose CPUs read the memory-only node; nil for others.
    private let readers: [Int?]
    private var result: NumaBandwidth
    private var plans: [[ReadingPlan?]] = []
    private var chases: [[ReadingChase?]] = []
    private let together: ReadingPlan
    private let tiers: ReadingPlan?

    /// Readings of each quantity.
    package static let readings = 5
    /// Nanoseconds of one reading.
    private static let slice: ClosedRange<Int64> = 10_000_000...300_000_000

    /// Places the memory, never more than a quarter of what is free.
    ///
    /// - Parameters:
    ///   - topology: the machine, read before anything was pinned.
    ///   - budget: memory that can be had now.
    /// - Throws: `HardwareError` when threads or memory cannot be had.
    package init(topology: Topology, budget: MemoryBudget) throws {
        self.topology = topology
        pool = try WorkerPool(threads: topology.cores.count, cpus: topology.workerCPUs)
        let rows = topology.cpuNodes
        let workers = rows.map { node in
            topology.cores.indices.filter { node.cpus.contains(topology.cores[$0].cpus[0]) }
        }
        self.workers = workers
        let bytes = topology.probeBytes(budget: budget)
        let mapped = try topology.nodes.indices.map { column -> NodeBuffer? in
            guard bytes[column] > 0 else { return nil }
            let buffer = try NodeBuffer(node: topology.nodes[column].id, byteCount: bytes[column])
            return buffer.isBound || !topology.nodes[column].ownCPUs.isEmpty ? buffer : nil
        }
        buffers = mapped
        // The nearest node with workers touches a memory-only node's memory, and reads it later.
        let nearest = topology.nodes.map { node in
            rows.indices.min { topology.order(rows[$0].id, node.id) < topology.order(rows[$1].id, node.id) } ?? 0
        }
        readers = topology.nodes.indices.map { topology.nodes[$0].cpus.isEmpty ? nearest[$0] : nil }
        let touch = try Self.plan(topology) { worker in
            mapped.indices.filter { workers[nearest[$0]].contains(worker) }
                .compactMap { Self.share(mapped[$0], $0, worker, of: workers[nearest[$0]]) }
        }
        touch.touch(on: pool)
        let home = topology.nodes.indices.map { column in
            topology.cores.indices.filter { topology.cores[$0].node == column }
        }
        let own = { (worker: Int) -> [ReadingSource] in
            let column = topology.cores[worker].node
            return Self.share(mapped[column], column, worker, of: home[column]).map { [$0] } ?? []
        }
        together = try Self.plan(topology, own)
        let readers = readers
        tiers =
            readers.indices.contains { readers[$0] != nil && mapped[$0] != nil }
            ? try Self.plan(topology) { worker in
                own(worker)
                    + readers.indices.filter { readers[$0].map { workers[$0].contains(worker) } ?? false }
                    .compactMap { Self.share(mapped[$0], $0, worker, of: workers[nearest[$0]]) }
            } : nil
        result = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: rows.map(\.id), threads: workers.map(\.count),
            memory: zip(topology.nodes, mapped).map { node, buffer in
                .init(
                    id: node.id, bufferBytes: buffer?.byteCount ?? 0,
                    placement: buffer.map { $0.isBound ? .bound : .firstTouch } ?? .none, share: buffer?.share())
            })
        try preparePairs()
        remark()
    }

    /// Sources for every worker.
    private static func plan(
        _ topology: Topology, _ sources: (Int) throws -> [ReadingSource]
    ) throws -> ReadingPlan {
        try ReadingPlan(topology.cores.indices.map(sources))
    }

    /// The part of a buffer that one of some workers reads; nil without a buffer, or for a part of less than a page.
    private static func share(
        _ buffer: NodeBuffer?, _ column: Int, _ worker: Int, of workers: [Int]
    ) -> ReadingSource? {
        guard let buffer, let place = workers.firstIndex(of: worker) else { return nil }
        let bytes = buffer.byteCount / workers.count / 4096 * 4096
        guard bytes > 0 else { return nil }
        return ReadingSource(base: buffer.base + place * bytes, byteCount: bytes, column: column)
    }

    private func preparePairs() throws {
        plans = try workers.map { row in
            try buffers.enumerated().map { column, buffer in
                try buffer.map { buffer in
                    try Self.plan(topology) { Self.share(buffer, column, $0, of: row).map { [$0] } ?? [] }
                }
            }
        }
        // One CPU sees one last-level cache; twice as much as four of it would take long to link.
        let cache = topology.clusters.map(\.byteCount).max() ?? 0
        let ringBytes = max(64 << 20, 4 * cache)
        ReadingChase.prepare(
            buffers.compactMap { buffer in buffer.map { ($0.base, min(ringBytes, $0.byteCount)) } }, on: pool)
        chases = workers.map { row in
            buffers.map { buffer in buffer.map { ReadingChase(worker: row[0], ring: $0.base) } }
        }
    }

    // MARK: Remarks

    private func remark() {
        let cache = topology.clusters.map(\.byteCount).max() ?? 0
        if !pool.isPinned {
            result.remarks.append("threads could not be pinned: which node's CPUs read is the scheduler's choice")
        }
        if result.memory.contains(where: { $0.placement == .firstTouch }) {
            result.remarks.append(
                "memory policy calls are denied: memory was placed by first touch; --cap-add SYS_NICE allows binding")
        }
        for (node, memory) in zip(topology.nodes, result.memory) {
            if memory.placement == .none {
                result.remarks.append(
                    node.ownCPUs.isEmpty && node.memoryFree >= 16 << 20
                        ? "node \(node.id) was not measured: nothing can be bound to it, and it has no CPUs to touch it"
                        : "node \(node.id) was not measured: too little memory is free")
                continue
            }
            if let share = memory.share, share < 0.95 {
                result.remarks.append(
                    "only \(Int(share * 100)) % of the memory read as node \(node.id)'s lay there")
            }
            if memory.share == nil {
                result.remarks.append("where the memory read as node \(node.id)'s lay could not be asked")
            }
            if memory.bufferBytes < 4 * cache {
                result.remarks.append(
                    "node \(node.id) had room for \(memory.bufferBytes >> 20) MiB only, less than four times the cache "
                        + "of \(cache >> 20) MiB: its figures may be the cache's")
            }
        }
    }

    // MARK: Measuring

    /// Measures everything several times, in turns, so that noise hits all alike.
    ///
    /// - Parameters:
    ///   - seconds: how long it is to take, roughly.
    ///   - progress: told the share that is done; false stops.
    /// - Returns: what was measured; figures that no reading was made of are nil.
    package func run(seconds: Double, progress: (Double) -> Bool) -> NumaBandwidth {
        let pairs = workers.indices.flatMap { row in
            buffers.indices.filter { buffers[$0] != nil }.map { (row, $0) }
        }
        let jobs =
            pairs.map { Job.read(row: $0.0, column: $0.1) } + pairs.map { .latency(row: $0.0, column: $0.1) }
            + [.together] + (tiers == nil ? [] : [.tiers])
        let count = jobs.count * Self.readings
        let slice = min(
            max(Int64(min(seconds, 1e6) / Double(count) * 1e9), Self.slice.lowerBound), Self.slice.upperBound)
        pool.startSpinning()
        defer { pool.stopSpinning() }
        for turn in 0..<Self.readings {
            for (index, job) in jobs.enumerated() {
                guard progress(Double(turn * jobs.count + index) / Double(count)) else { return result }
                measure(job, slice)
            }
        }
        return result
    }

    private func measure(_ job: Job, _ slice: Int64) {
        switch job {
        case .read(let row, let column):
            guard let speed = plans[row][column]?.measure(on: pool, nanoseconds: slice)[column] else { return }
            result.read[row][column].add(speed, higherIsBetter: true)
        case .latency(let row, let column):
            guard let time = chases[row][column]?.measure(on: pool, nanoseconds: slice) else { return }
            result.latency[row][column].add(time, higherIsBetter: false)
        case .together:
            for (column, speed) in together.measure(on: pool, nanoseconds: slice) {
                result.together[column].add(speed, higherIsBetter: true)
            }
        case .tiers: measureTiers(slice)
        }
    }

    /// The readers divide their time so that neither memory waits for the other: in proportion to what each gives alone.
    private func measureTiers(_ slice: Int64) {
        guard let tiers else { return }
        var weights: [Int: Double] = [:]
        for (column, node) in topology.nodes.enumerated() {
            let row = readers[column] ?? result.cpuNodes.firstIndex(of: node.id)
            weights[column] = row.flatMap { result.read[$0][column]?.best }
        }
        tiers.weigh(weights)
        let speeds = tiers.measure(on: pool, nanoseconds: slice)
        for (column, reader) in readers.enumerated() {
            guard let reader, let speed = speeds[column], let core = workers[reader].first,
                let own = speeds[topology.cores[core].node]
            else { continue }
            let memory = topology.nodes[column].id
            let known = result.tiers.firstIndex { $0.memory == memory }
            var read = known.map { result.tiers[$0].read }
            var ownRead = known.map { result.tiers[$0].own }
            read.add(speed, higherIsBetter: true)
            ownRead.add(own, higherIsBetter: true)
            guard let read, let ownRead else { continue }
            let tier = NumaBandwidth.Tier(memory: memory, reader: result.cpuNodes[reader], read: read, own: ownRead)
            if let known { result.tiers[known] = tier } else { result.tiers.append(tier) }
        }
    }
}

extension NumaBandwidth.Figure? {
    /// Takes one more reading in.
    fileprivate mutating func add(_ value: Double, higherIsBetter: Bool) {
        guard let figure = self else {
            self = .init(best: value, worst: value, readings: 1)
            return
        }
        let (low, high) = (Swift.min(value, figure.best, figure.worst), Swift.max(value, figure.best, figure.worst))
        self = .init(
            best: higherIsBetter ? high : low, worst: higherIsBetter ? low : high, readings: figure.readings + 1)
    }
}

extension Topology {
    /// Nearness of one node to another, ties broken by number.
    fileprivate func order(_ from: Int, _ to: Int) -> (Int, Int) { (distance(from: from, to: to) ?? .max, from) }
}
