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
    private let roles: WorkerRoles
    /// By column; nil where no memory could be placed.
    private let buffers: [NodeBuffer?]
    private var result: NumaBandwidth
    /// [row][column].
    private let plans: [[ReadingPlan?]]
    private let chases: [[ReadingChase?]]
    private let together: ReadingPlan
    /// nil without memory-only nodes.
    private let tiers: ReadingPlan?

    /// Readings of each quantity.
    package static let readings = 5
    /// Readings that differ more than this were disturbed.
    private static let calmSpread = 0.25
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
        let pool = try WorkerPool(threads: topology.cores.count, cpus: topology.workerCPUs)
        let roles = WorkerRoles(topology)
        let buffers = try Self.buffers(topology, budget)
        self.pool = pool
        self.roles = roles
        self.buffers = buffers
        try roles.plan { roles.touched(by: $0, buffers) }.touch(on: pool)
        result = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: topology.cpuNodes.map(\.id),
            threads: roles.workers.map(\.count),
            memory: zip(topology.nodes, buffers).map { node, buffer in
                .init(
                    id: node.id, bufferBytes: buffer?.byteCount ?? 0,
                    placement: buffer.map { $0.isBound ? .bound : .firstTouch } ?? .none, share: buffer?.share())
            })
        // One CPU sees one last-level cache; more than four times as much would take long to link.
        let ringBytes = max(64 << 20, 4 * (topology.clusters.map(\.byteCount).max() ?? 0))
        ReadingChase.prepare(
            buffers.compactMap { buffer in buffer.map { ($0.base, min(ringBytes, $0.byteCount)) } }, on: pool)
        plans = try roles.workers.map { row in
            try buffers.enumerated().map { column, buffer in
                try buffer.map { try roles.plan(roles.share($0, column, of: row)) }
            }
        }
        chases = roles.workers.map { row in
            buffers.map { buffer in buffer.map { ReadingChase(worker: row[0], ring: $0.base) } }
        }
        together = try roles.plan { roles.own(of: $0, buffers) }
        let hasTiers = buffers.indices.contains { roles.readers[$0] != nil && buffers[$0] != nil }
        tiers = hasTiers ? try roles.plan { roles.own(of: $0, buffers) + roles.tiers(of: $0, buffers) } : nil
        remark()
    }

    /// Memory on every node that has room and can be reached: bound to it, or touched by CPUs of its own.
    private static func buffers(_ topology: Topology, _ budget: MemoryBudget) throws -> [NodeBuffer?] {
        try zip(topology.nodes, topology.probeBytes(budget: budget)).map { node, bytes in
            guard bytes > 0 else { return nil }
            let buffer = try NodeBuffer(node: node.id, byteCount: bytes)
            return buffer.isBound || !node.ownCPUs.isEmpty ? buffer : nil
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
        let pairs = roles.workers.indices.flatMap { row in
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
        let figures = (result.read + result.latency + [result.together]).joined().compactMap { $0 }
        if let spread = figures.map(\.spread).max(), spread > Self.calmSpread {
            result.remarks.append(
                "readings of one figure differ by up to \(Int(spread * 100)) %: something else was using the machine")
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
            let row = roles.readers[column] ?? result.cpuNodes.firstIndex(of: node.id)
            weights[column] = row.flatMap { result.read[$0][column]?.best }
        }
        tiers.weigh(weights)
        let speeds = tiers.measure(on: pool, nanoseconds: slice)
        for (column, reader) in roles.readers.enumerated() {
            guard let reader, let speed = speeds[column], let core = roles.workers[reader].first,
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
