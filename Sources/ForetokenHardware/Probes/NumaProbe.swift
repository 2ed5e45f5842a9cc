import Glibc

/// Measures how fast the CPUs of each node read the memory of each, on workers of its own: one a physical core, pinned.
package final class NumaProbe {
    /// What came of it.
    package struct Outcome {
        /// The figures; nil where nothing was measured or nothing that can be relied on.
        package let bandwidth: NumaBandwidth
        /// Whether it was not ended early.
        package let isWhole: Bool
        /// Whether figures are missing since something else was using the machine.
        package let isDisturbed: Bool
    }

    private let topology: Topology
    private let pool: WorkerPool
    private let roles: WorkerRoles
    /// By column; nil where no memory could be placed.
    private let buffers: [NodeBuffer?]
    private var result: NumaBandwidth
    private var series = NumaSeries()
    /// [row][column].
    private let plans: [[ReadingPlan?]]
    private let chases: [[ReadingChase?]]
    private let together: ReadingPlan
    /// nil without memory-only nodes.
    private let tiers: ReadingPlan?

    /// Nanoseconds of one reading.
    private static let interval: ClosedRange<Int64> = 10_000_000...300_000_000

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
                    placement: buffer.map { $0.isBound ? .bound : .firstTouch } ?? .none,
                    share: buffer?.placedFraction())
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

    /// Measures everything several times, in turns, so that noise hits all alike. Readings during which something else used
    /// the machine are thrown away and made again, but never more often than twice the number wanted.
    ///
    /// - Parameters:
    ///   - seconds: how long it is to take, roughly; a busy machine takes up to twice as long.
    ///   - progress: told the fraction that is done; false stops.
    package func run(seconds: Double, progress: (Double) -> Bool) -> Outcome {
        let jobs = self.jobs
        let count = jobs.count * ReadingAgreement.wanted
        let interval = min(
            max(Int64(min(seconds, 1e6) / Double(count) * 1e9), Self.interval.lowerBound), Self.interval.upperBound)
        pool.startSpinning()
        defer { pool.stopSpinning() }
        var done = 0
        for _ in 0..<2 * ReadingAgreement.wanted {
            for job in jobs where !series.isSettled(job) {
                guard progress(min(0.99, Double(done) / Double(count))) else { return outcome(isWhole: false) }
                take(job, interval)
                done += 1
            }
        }
        return outcome(isWhole: true)
    }

    private var jobs: [NumaSeries.Job] {
        let pairs = roles.workers.indices.flatMap { row in
            buffers.indices.filter { buffers[$0] != nil }.map { (row, $0) }
        }
        return pairs.map { .read(row: $0.0, column: $0.1) } + pairs.map { .latency(row: $0.0, column: $0.1) }
            + [.together] + (tiers == nil ? [] : [.tiers])
    }

    /// One reading, and what happened meanwhile.
    private func take(_ job: NumaSeries.Job, _ interval: Int64) {
        let start = MachineLoad.read(cpus: topology.workerCPUs)
        let values = measure(job, interval)
        let end = MachineLoad.read(cpus: topology.workerCPUs)
        series.add(values, of: job, Interference(from: start, to: end, cpus: topology.workerCPUs.count))
    }

    private func measure(_ job: NumaSeries.Job, _ interval: Int64) -> [NumaSeries.Quantity: Double] {
        switch job {
        case .read(let row, let column):
            let speed = plans[row][column]?.measure(on: pool, nanoseconds: interval)[column]
            return speed.map { [.read(row: row, column: column): $0] } ?? [:]
        case .latency(let row, let column):
            let time = chases[row][column]?.measure(on: pool, nanoseconds: interval)
            return time.map { [.latency(row: row, column: column): $0] } ?? [:]
        case .together:
            let speeds = together.measure(on: pool, nanoseconds: interval)
            return Dictionary(uniqueKeysWithValues: speeds.map { (.together(column: $0), $1) })
        case .tiers: return measureTiers(interval)
        }
    }

    /// The readers divide their time so that neither memory waits for the other: in proportion to what each gives alone.
    private func measureTiers(_ interval: Int64) -> [NumaSeries.Quantity: Double] {
        guard let tiers else { return [:] }
        var weights: [Int: Double] = [:]
        for (column, node) in topology.nodes.enumerated() {
            let row = roles.readers[column] ?? result.cpuNodes.firstIndex(of: node.id)
            weights[column] = row.flatMap { series.best(.read(row: $0, column: column)) }
        }
        tiers.weigh(weights)
        let speeds = tiers.measure(on: pool, nanoseconds: interval)
        var values: [NumaSeries.Quantity: Double] = [:]
        for (column, reader) in roles.readers.enumerated() {
            guard let reader, let speed = speeds[column], let core = roles.workers[reader].first,
                let own = speeds[topology.cores[core].node]
            else { continue }
            values[.tierRead(column: column)] = speed
            values[.tierOwn(column: column)] = own
        }
        return values
    }

    private func outcome(isWhole: Bool) -> Outcome {
        for row in roles.workers.indices {
            for column in buffers.indices {
                result.read[row][column] = series.figure(.read(row: row, column: column), isWhole: isWhole)
                result.latency[row][column] = series.figure(.latency(row: row, column: column), isWhole: isWhole)
            }
        }
        for column in buffers.indices {
            result.together[column] = series.figure(.together(column: column), isWhole: isWhole)
            guard let reader = roles.readers[column],
                let read = series.figure(.tierRead(column: column), isWhole: isWhole),
                let own = series.figure(.tierOwn(column: column), isWhole: isWhole)
            else { continue }
            result.tiers.append(
                .init(memory: topology.nodes[column].id, reader: result.cpuNodes[reader], read: read, own: own))
        }
        let reasons = isWhole ? series.reasons : []
        result.remarks += reasons
        result.measuredAt = time(nil)
        return Outcome(bandwidth: result, isWhole: isWhole, isDisturbed: !reasons.isEmpty)
    }
}
