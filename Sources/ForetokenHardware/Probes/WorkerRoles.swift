/// Which workers, one a physical core, read which memory when nodes are measured.
///
/// Rows are `Topology.cpuNodes`, columns are `Topology.nodes`.
struct WorkerRoles {
    /// By row: workers on the node's own CPUs.
    let workers: [[Int]]
    /// By column: the row whose CPUs read a memory-only node; nil for others.
    let readers: [Int?]
    /// By column: workers that are counted to the node.
    private let homes: [[Int]]
    /// By column: the row nearest to it, whose workers touch its memory first.
    private let nearest: [Int]
    /// By worker: the column it is counted to.
    private let homeOfWorker: [Int]

    /// Roles for one worker a core, in the order of `topology.cores`.
    init(_ topology: Topology) {
        let rows = topology.cpuNodes
        workers = rows.map { node in
            topology.cores.indices.filter { node.cpus.contains(topology.cores[$0].cpus[0]) }
        }
        homeOfWorker = topology.cores.map(\.node)
        homes = topology.nodes.indices.map { column in
            topology.cores.indices.filter { topology.cores[$0].node == column }
        }
        let nearest = topology.nodes.map { node in
            let distances = rows.map { topology.distance(from: $0.id, to: node.id) ?? .max }
            return rows.indices.min { distances[$0] < distances[$1] } ?? 0
        }
        self.nearest = nearest
        readers = topology.nodes.indices.map { topology.nodes[$0].cpus.isEmpty ? nearest[$0] : nil }
    }

    /// A plan with the sources of every worker.
    func plan(_ sources: (Int) -> [ReadingSource]) throws -> ReadingPlan {
        try ReadingPlan(homeOfWorker.indices.map(sources))
    }

    /// For each worker its equal share of a buffer that `readers` read together: nothing for other workers, or where the
    /// shares would be smaller than a page.
    func share(_ buffer: NodeBuffer?, _ column: Int, of readers: [Int]) -> (Int) -> [ReadingSource] {
        { worker in
            guard let buffer, let place = readers.firstIndex(of: worker) else { return [] }
            let bytes = buffer.byteCount / readers.count / 4096 * 4096
            return bytes == 0
                ? [] : [ReadingSource(base: buffer.base + place * bytes, byteCount: bytes, column: column)]
        }
    }

    /// What a worker touches first.
    func touched(by worker: Int, _ buffers: [NodeBuffer?]) -> [ReadingSource] {
        buffers.indices.flatMap { share(buffers[$0], $0, of: workers[nearest[$0]])(worker) }
    }

    /// What a worker reads of the node it is counted to.
    func own(of worker: Int, _ buffers: [NodeBuffer?]) -> [ReadingSource] {
        let column = homeOfWorker[worker]
        return share(buffers[column], column, of: homes[column])(worker)
    }

    /// What a worker reads of memory-only nodes.
    func tiers(of worker: Int, _ buffers: [NodeBuffer?]) -> [ReadingSource] {
        buffers.indices.flatMap { column in
            readers[column].map { share(buffers[column], column, of: workers[$0])(worker) } ?? []
        }
    }
}
