import ForetokenHardware

extension WorkerPool {
    /// Workers on the machine as far as this process may use it: one for each physical core, each pinned to its own.
    /// - Parameter warns: whether to say when they are not pinned.
    static func make(threads: Int?, warns: Bool = true) throws -> WorkerPool {
        let topology = try Topology.read()
        let cores = topology.workerCPUs
        let count = threads ?? cores.count
        // Second hardware threads of a core come only after every core has work.
        let cpus = cores + topology.cpus.filter { !cores.contains($0) }
        if count > cpus.count {
            if warns {
                Console.warning("\(count) threads share \(cpus.count) CPUs and are not pinned; expect them to be slow")
            }
            return try WorkerPool(threads: count)
        }
        let pool = try WorkerPool(threads: count, cpus: Array(cpus.prefix(count)))
        if warns && !pool.isPinned { Console.warning("the system refused to pin threads to CPUs; expect uneven speed") }
        return pool
    }
}
