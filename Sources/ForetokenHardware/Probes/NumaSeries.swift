/// The readings that count of every quantity between nodes, and why others do not.
package struct NumaSeries {
    /// What is read in one run. Rows are nodes with CPUs, columns nodes with memory.
    package enum Job: Hashable {
        /// By the CPUs of a row from a column.
        case read(row: Int, column: Int)
        case latency(row: Int, column: Int)
        /// All nodes at once.
        case together
        /// Memory-only nodes, while their readers also read their own memory.
        case tiers
    }

    /// What figures are made of.
    package enum Quantity: Hashable {
        /// Bytes a second.
        case read(row: Int, column: Int)
        /// Nanoseconds.
        case latency(row: Int, column: Int)
        /// Bytes a second of all that read the column.
        case together(column: Int)
        /// Bytes a second from a memory-only node.
        case tierRead(column: Int)
        /// Bytes a second from its reader's own memory meanwhile.
        case tierOwn(column: Int)

        var higherIsBetter: Bool { if case .latency = self { false } else { true } }
    }

    /// Undisturbed readings.
    private var readings: [Quantity: [Double]] = [:]
    private var quantities: [Job: Set<Quantity>] = [:]
    /// By job: the last that disturbed a reading.
    private var disturbances: [Job: Interference] = [:]
    /// In the order of the first readings.
    private var jobs: [Job] = []

    /// Nothing read yet.
    package init() {}

    /// Takes the readings of one run in, unless they were disturbed.
    package mutating func add(_ values: [Quantity: Double], of job: Job, _ interference: Interference) {
        if quantities[job] == nil { jobs.append(job) }
        quantities[job, default: []].formUnion(values.keys)
        if interference.isDisturbing {
            disturbances[job] = interference
        } else {
            for (quantity, value) in values { readings[quantity, default: []].append(value) }
        }
    }

    /// Whether no more readings are needed.
    package func isSettled(_ job: Job) -> Bool {
        guard let quantities = quantities[job] else { return false }
        return quantities.allSatisfy { quantity in
            let better = quantity.higherIsBetter
            let values = ReadingAgreement.kept(readings[quantity] ?? [], higherIsBetter: better)
            return values.count >= ReadingAgreement.wanted && ReadingAgreement.holds(values, higherIsBetter: better)
        }
    }

    /// The best reading so far; nil before there is one.
    package func best(_ quantity: Quantity) -> Double? {
        quantity.higherIsBetter ? readings[quantity]?.max() : readings[quantity]?.min()
    }

    /// What the readings come to; nil where they cannot be relied on. Cut short, what there is has to do.
    package func figure(_ quantity: Quantity, isWhole: Bool) -> NumaBandwidth.Figure? {
        let values = readings[quantity] ?? []
        return isWhole
            ? ReadingAgreement.figure(values, higherIsBetter: quantity.higherIsBetter)
            : ReadingAgreement.span(values, higherIsBetter: quantity.higherIsBetter)
    }

    /// Why figures are not known, a sentence for each kind of them; empty where all are.
    package var reasons: [String] {
        let unknown = jobs.filter { job in
            (quantities[job] ?? []).contains { figure($0, isWhole: true) == nil }
        }
        let kinds = unknown.reduce(into: [(name: String, jobs: [Job])]()) { kinds, job in
            if let place = kinds.firstIndex(where: { $0.name == Self.name(job) }) {
                kinds[place].jobs.append(job)
            } else {
                kinds.append((Self.name(job), [job]))
            }
        }
        return kinds.map { name, jobs in
            let cause = jobs.compactMap { disturbances[$0]?.text }.first ?? "readings could not be repeated"
            let count = jobs.count > 1 ? " (\(jobs.count) figures)" : ""
            return "\(name) not known\(count), since the machine was busy: \(cause)"
        }
    }

    private static func name(_ job: Job) -> String {
        switch job {
        case .read: "how fast memory is read is"
        case .latency: "latencies are"
        case .together: "how fast all nodes together read is"
        case .tiers: "how fast memory-only nodes are read is"
        }
    }
}
