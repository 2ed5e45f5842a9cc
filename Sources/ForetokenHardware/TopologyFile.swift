import ForetokenJSON

/// A topology file that cannot be used.
public struct TopologyFileError: Error, Equatable, CustomStringConvertible {
    /// What was expected, what was found, in which file and where in it.
    public let description: String
}

/// The description of a machine that is not this one, or of this one for planning elsewhere.
///
/// A JSON object with
/// - `nodes`: `{"id", "cpus": […], "memory_bytes"}` each; no CPUs makes a memory-only node, 0 bytes a CPU-only one. The CPUs may
///   also be a string such as "0-31,64-95";
/// - `distance`: [node][node] in the order of `nodes`, 10 for a node to itself, 10…255 to others;
/// - `read_gbps`: [node with CPUs][node with memory], 10^9 bytes a second that all CPUs of the one read from the other;
/// - `latency_ns` (optional): of the same shape, nanoseconds of a dependent read;
/// - `cores` (optional): the hardware threads of each physical core; without it every CPU is a core.
public struct TopologyFile: Sendable, Equatable {
    /// A node of the described machine.
    public struct Node: Sendable, Equatable {
        /// The system's number.
        public let id: Int
        /// Ascending; empty for a memory-only node.
        public let cpus: [Int]
        /// Bytes of memory; 0 for a CPU-only node.
        public let memoryBytes: Int
    }

    /// Ascending by number.
    public let nodes: [Node]
    /// [node][node] in the order of `nodes`.
    public let distances: [[Int]]
    /// [node with CPUs][node with memory], both ascending: 10^9 bytes a second.
    public let readGBps: [[Double]]
    /// Of the same shape: nanoseconds. nil where the file has none.
    public let latencyNanoseconds: [[Double]]?
    /// Hardware threads of each physical core, by first CPU.
    public let cores: [[Int]]

    /// The system's numbers of the nodes with CPUs: the rows of `readGBps`.
    public var cpuNodes: [Int] { nodes.filter { !$0.cpus.isEmpty }.map(\.id) }
    /// The system's numbers of the nodes with memory: the columns of `readGBps`.
    public var memoryNodes: [Int] { nodes.filter { $0.memoryBytes > 0 }.map(\.id) }

    /// Reads a description and checks every number in it.
    ///
    /// - Parameters:
    ///   - json: the file's bytes.
    ///   - source: what messages call the file.
    /// - Throws: `TopologyFileError`.
    public init(json: [UInt8], source: String) throws {
        try self.init(TopologyDocument.decode(json, source: source), source: source)
    }

    /// Reads a description that is a part of a document.
    ///
    /// - Parameters:
    ///   - field: the description.
    ///   - source: what messages call the document.
    /// - Throws: `TopologyFileError`.
    package init(_ field: JSONField, source: String) throws {
        let document: TopologyDocument
        do throws(JSONError) {
            document = try TopologyDocument(field.fields())
        } catch {
            throw TopologyFileError(description: "\(source): \(error)")
        }
        try self.init(document, source: "\(source): \(field.path)")
    }

    private init(_ document: TopologyDocument, source: String) throws {
        let check = TopologyFileCheck(document: document, source: source)
        try check.all()
        // The matrices follow the order of the nodes in the file.
        let order = document.nodes.indices.sorted { document.nodes[$0].id < document.nodes[$1].id }
        let rows = document.places(in: order) { !$0.cpus.isEmpty }
        let columns = document.places(in: order) { $0.memory_bytes > 0 }
        nodes = order.map { index in
            let node = document.nodes[index]
            return Node(id: node.id, cpus: node.cpus.sorted(), memoryBytes: node.memory_bytes)
        }
        distances = order.map { from in order.map { document.distance[from][$0] } }
        readGBps = rows.map { row in columns.map { document.read_gbps[row][$0] } }
        latencyNanoseconds = document.latency_ns.map { matrix in rows.map { row in columns.map { matrix[row][$0] } } }
        let cores = document.cores?.map { $0.sorted() } ?? nodes.flatMap(\.cpus).map { [$0] }
        self.cores = cores.sorted { $0[0] < $1[0] }
    }

    /// Describes the part of this machine that a topology shows, with what was measured on it.
    ///
    /// - Throws: `TopologyFileError` where the measurement is of another machine or a pair could not be measured.
    public init(_ topology: Topology, _ bandwidth: NumaBandwidth) throws {
        guard bandwidth.fingerprint == topology.fingerprint else {
            throw TopologyFileError(
                description: "the bandwidths were measured on machine \(bandwidth.fingerprint), "
                    + "but this is \(topology.fingerprint); measure again with bench --numa --fresh")
        }
        let cpus = Dictionary(uniqueKeysWithValues: topology.cpuNodes.map { ($0.id, $0.cpus) })
        let memory = Dictionary(uniqueKeysWithValues: topology.nodes.map { ($0.id, $0.memoryTotal) })
        nodes = topology.distanceTable.ids.map { Node(id: $0, cpus: cpus[$0] ?? [], memoryBytes: memory[$0] ?? 0) }
        distances = topology.distanceTable.rows
        readGBps = try bandwidth.cpuNodes.indices.map { row in
            try bandwidth.memory.indices.map { column in
                guard let figure = bandwidth.read[row][column] else {
                    throw TopologyFileError(
                        description: "how fast the CPUs of node \(bandwidth.cpuNodes[row]) read node "
                            + "\(bandwidth.memory[column].id) could not be measured, so the description would lack it")
                }
                return figure.best / 1e9
            }
        }
        let latencies = bandwidth.latency.map { $0.compactMap { $0?.best } }
        latencyNanoseconds = latencies.allSatisfy { $0.count == bandwidth.memory.count } ? latencies : nil
        cores = topology.cores.map(\.cpus).sorted { $0[0] < $1[0] }
    }

    /// The machine as if the engine ran on it with everything free. Sockets and caches, which the file does not say, are
    /// left out.
    public var topology: Topology {
        let kept = nodes.indices.filter { nodes[$0].memoryBytes > 0 }
        let cpuOnly = nodes.indices.filter { nodes[$0].memoryBytes == 0 }.map { index in
            Topology.CPUOnlyNode(
                id: nodes[index].id, cpus: nodes[index].cpus,
                nearest: kept.indices.min {
                    (distances[index][kept[$0]], $0) < (distances[index][kept[$1]], $1)
                } ?? 0, isForbidden: false)
        }
        let described = kept.enumerated().map { place, index in
            let attached = cpuOnly.filter { $0.nearest == place }.flatMap(\.cpus).sorted()
            let bytes = nodes[index].memoryBytes
            return Topology.Node(
                id: nodes[index].id, cpus: (nodes[index].cpus + attached).sorted(), attachedCPUs: attached,
                memoryTotal: bytes, memoryFree: bytes, memoryAvailable: bytes,
                distances: kept.map { distances[index][$0] })
        }
        let home = Dictionary(
            uniqueKeysWithValues: described.enumerated().flatMap { index, node in node.cpus.map { ($0, index) } })
        return Topology(
            nodes: described, cpuOnlyNodes: cpuOnly,
            distanceTable: .init(ids: nodes.map(\.id), rows: distances),
            cores: cores.map { Topology.Core(cpus: $0, node: home[$0[0]] ?? 0, package: 0) }
                .sorted { ($0.node, $0.cpus[0]) < ($1.node, $1.cpus[0]) },
            clusters: [])
    }
}
