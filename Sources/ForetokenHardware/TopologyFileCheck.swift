import ForetokenJSON

/// A topology file as it is written, before anything in it is believed. Fields are spelt as the keys.
struct TopologyDocument {
    struct Node {
        let id: Int
        let cpus: [Int]
        let memory_bytes: Int

        fileprivate init(_ field: JSONField) throws(JSONError) {
            let fields = try field.fields()
            try fields.refuseKeys(besides: ["id", "cpus", "memory_bytes"])
            id = try fields["id"].integer()
            cpus = try Self.cpus(fields["cpus"])
            memory_bytes = try fields["memory_bytes"].integer()
        }

        /// Numbers, or ascending numbers and ranges as the kernel writes them.
        private static func cpus(_ field: JSONField) throws(JSONError) -> [Int] {
            guard let text = field.value?.string else {
                if case .array = field.value { return try field.integers() }
                throw field.mismatch("a list of whole numbers, or a string such as \"0-31,64-95\"")
            }
            do {
                return try NumberList.parse(text, below: Topology.cpuLimit, source: field.path)
            } catch {
                throw field.mismatch("a string of ascending numbers and ranges below \(Topology.cpuLimit)")
            }
        }
    }

    let nodes: [Node]
    let distance: [[Int]]
    let read_gbps: [[Double]]
    let latency_ns: [[Double]]?
    let cores: [[Int]]?

    init(_ fields: JSONFields) throws(JSONError) {
        try fields.refuseKeys(besides: ["nodes", "distance", "read_gbps", "latency_ns", "cores"])
        var nodes: [Node] = []
        for node in try fields["nodes"].list() { nodes.append(try Node(node)) }
        self.nodes = nodes
        distance = try Self.rows(fields["distance"])
        read_gbps = try Self.matrix(fields["read_gbps"])
        latency_ns = try fields["latency_ns"].given.map(Self.matrix)
        cores = try fields["cores"].given.map(Self.rows)
    }

    private static func rows(_ field: JSONField) throws(JSONError) -> [[Int]] {
        var rows: [[Int]] = []
        for row in try field.list() { rows.append(try row.integers()) }
        return rows
    }

    private static func matrix(_ field: JSONField) throws(JSONError) -> [[Double]] {
        var rows: [[Double]] = []
        for row in try field.list() { rows.append(try row.numbers()) }
        return rows
    }

    /// Far above any real description.
    private static let byteLimit = 16 << 20

    static func decode(_ json: [UInt8], source: String) throws -> TopologyDocument {
        guard json.count <= byteLimit else {
            throw TopologyFileError(
                description: "\(source) has \(json.count) bytes; a topology file has at most \(byteLimit)")
        }
        do throws(JSONError) {
            return try TopologyDocument(JSONField(JSONValue(json)).fields())
        } catch {
            throw TopologyFileError(description: "\(source): \(error)")
        }
    }

    /// For the nodes that belong, in `order`: how many of those before them in the file belong, too. That is the row or
    /// column of a matrix that has one for each.
    func places(in order: [Int], where belongs: (Node) -> Bool) -> [Int] {
        order.filter { belongs(nodes[$0]) }.map { index in nodes[..<index].filter(belongs).count }
    }
}

/// Finds what cannot be in a topology file.
struct TopologyFileCheck {
    let document: TopologyDocument
    let source: String

    /// Bytes of one node: from 1 MiB to 1 PiB.
    private static let memory = 1 << 20...1 << 50
    /// 10^9 bytes a second: from a floppy disk to a rack of HBM.
    private static let bandwidth = 0.001...100_000.0
    /// Nanoseconds: from a register to a disk.
    private static let latency = 0.1...1_000_000.0

    func all() throws {
        try checkNodes()
        try checkDistances()
        let rows = document.nodes.filter { !$0.cpus.isEmpty }.count
        let columns = document.nodes.filter { $0.memory_bytes > 0 }.count
        try checkMatrix("read_gbps", document.read_gbps, rows, columns, Self.bandwidth, "GB/s")
        if let latency = document.latency_ns {
            try checkMatrix("latency_ns", latency, rows, columns, Self.latency, "ns")
        }
        if let cores = document.cores { try checkCores(cores) }
    }

    private func failure(_ text: String) -> TopologyFileError { .init(description: "\(source): \(text)") }

    private func checkNodes() throws {
        var ids: [Int: Int] = [:]
        var owner: [Int: Int] = [:]
        for (index, node) in document.nodes.enumerated() {
            guard (0..<Topology.nodeLimit).contains(node.id) else {
                throw failure("nodes[\(index)].id: expected 0...\(Topology.nodeLimit - 1), found \(node.id)")
            }
            if let other = ids.updateValue(index, forKey: node.id) {
                throw failure("nodes[\(index)].id: node \(node.id) is described in nodes[\(other)] already")
            }
            for cpu in node.cpus {
                guard (0..<Topology.cpuLimit).contains(cpu) else {
                    throw failure(
                        "nodes[\(index)].cpus: expected numbers in 0...\(Topology.cpuLimit - 1), found \(cpu)")
                }
                if let other = owner.updateValue(node.id, forKey: cpu) {
                    throw failure("nodes[\(index)].cpus: CPU \(cpu) belongs to node \(other) already")
                }
            }
            guard node.memory_bytes == 0 || Self.memory.contains(node.memory_bytes) else {
                throw failure(
                    "nodes[\(index)].memory_bytes: expected 0, or bytes from \(Self.memory.lowerBound) to "
                        + "\(Self.memory.upperBound), found \(node.memory_bytes)")
            }
            guard !node.cpus.isEmpty || node.memory_bytes > 0 else {
                throw failure("nodes[\(index)]: node \(node.id) has neither CPUs nor memory; leave it out")
            }
        }
        guard !owner.isEmpty else { throw failure("nodes: expected at least one node with CPUs, found none") }
        guard document.nodes.contains(where: { $0.memory_bytes > 0 }) else {
            throw failure("nodes: expected at least one node with memory, found none")
        }
    }

    private func checkDistances() throws {
        let count = document.nodes.count
        guard document.distance.count == count else {
            throw failure("distance: expected \(count) rows, one a node, found \(document.distance.count)")
        }
        for (row, distances) in document.distance.enumerated() {
            guard distances.count == count else {
                throw failure("distance[\(row)]: expected \(count) numbers, one a node, found \(distances.count)")
            }
            guard distances[row] == 10 else {
                throw failure("distance[\(row)][\(row)]: expected 10 from a node to itself, found \(distances[row])")
            }
            if let column = distances.firstIndex(where: { !(10...255).contains($0) }) {
                throw failure("distance[\(row)][\(column)]: expected 10...255, found \(distances[column])")
            }
        }
    }

    private func checkMatrix(
        _ key: String, _ matrix: [[Double]], _ rows: Int, _ columns: Int, _ range: ClosedRange<Double>, _ unit: String
    ) throws {
        guard matrix.count == rows else {
            throw failure("\(key): expected \(rows) rows, one a node with CPUs, found \(matrix.count)")
        }
        for (row, values) in matrix.enumerated() {
            guard values.count == columns else {
                throw failure(
                    "\(key)[\(row)]: expected \(columns) numbers, one a node with memory, found \(values.count)")
            }
            if let column = values.firstIndex(where: { !range.contains($0) }) {
                throw failure(
                    "\(key)[\(row)][\(column)]: expected \(range.lowerBound) to \(range.upperBound) \(unit), "
                        + "found \(values[column])")
            }
        }
    }

    private func checkCores(_ cores: [[Int]]) throws {
        let owner = Dictionary(uniqueKeysWithValues: document.nodes.flatMap { node in node.cpus.map { ($0, node.id) } })
        var seen: Set<Int> = []
        for (index, core) in cores.enumerated() {
            guard let first = core.first, let node = owner[first], core.allSatisfy({ owner[$0] == node }) else {
                throw failure("cores[\(index)]: expected CPUs of one node, found \(core.prefix(8))")
            }
            if let cpu = core.first(where: { !seen.insert($0).inserted }) {
                throw failure("cores[\(index)]: CPU \(cpu) belongs to another core already, or is named twice")
            }
        }
        if let cpu = owner.keys.filter({ !seen.contains($0) }).min() {
            throw failure("cores: CPU \(cpu) belongs to no core; name every CPU, or leave the key out")
        }
    }
}
