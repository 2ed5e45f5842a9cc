import FoundationEssentials

/// A topology file as it is written, before anything in it is believed. Fields are spelt as the keys.
struct TopologyDocument: Decodable {
    struct Node: Decodable {
        let id: Int
        let cpus: [Int]
        let memory_bytes: Int

        private enum CodingKeys: String, CodingKey, CaseIterable { case id, cpus, memory_bytes }

        init(from decoder: any Decoder) throws {
            try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
            let members = try decoder.container(keyedBy: CodingKeys.self)
            id = try members.decode(WholeNumber.self, forKey: .id).value
            cpus = try members.decode([WholeNumber].self, forKey: .cpus).map(\.value)
            memory_bytes = try members.decode(WholeNumber.self, forKey: .memory_bytes).value
        }
    }

    let nodes: [Node]
    let distance: [[Int]]
    let read_gbps: [[Double]]
    let latency_ns: [[Double]]?
    let cores: [[Int]]?

    private enum CodingKeys: String, CodingKey, CaseIterable { case nodes, distance, read_gbps, latency_ns, cores }

    init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
        let members = try decoder.container(keyedBy: CodingKeys.self)
        nodes = try members.decode([Node].self, forKey: .nodes)
        distance = try members.decode([[WholeNumber]].self, forKey: .distance).map { $0.map(\.value) }
        read_gbps = try members.decode([[Double]].self, forKey: .read_gbps)
        latency_ns = try members.decodeIfPresent([[Double]].self, forKey: .latency_ns)
        cores = try members.decodeIfPresent([[WholeNumber]].self, forKey: .cores)?.map { $0.map(\.value) }
    }

    /// Far above any real description.
    private static let byteLimit = 16 << 20

    static func decode(_ json: [UInt8], source: String) throws -> TopologyDocument {
        guard json.count <= byteLimit else {
            throw TopologyFileError(
                description: "\(source) has \(json.count) bytes; a topology file has at most \(byteLimit)")
        }
        do {
            return try JSONDecoder().decode(TopologyDocument.self, from: Data(json))
        } catch let error as DecodingError {
            throw TopologyFileError(description: "\(source): \(error.topologySentence)")
        }
    }

    /// For the nodes that belong, in `order`: how many of those before them in the file belong, too. That is the row or
    /// column of a matrix that has one for each.
    func places(in order: [Int], where belongs: (Node) -> Bool) -> [Int] {
        order.filter { belongs(nodes[$0]) }.map { index in nodes[..<index].filter(belongs).count }
    }
}

/// A whole number; the decoder's own refusal of a fraction would not say where it stands.
private struct WholeNumber: Decodable {
    let value: Int

    init(from decoder: any Decoder) throws {
        let number = try decoder.singleValueContainer().decode(Double.self)
        guard number == number.rounded(), abs(number) < 9e18 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "expected a whole number, found \(number)"))
        }
        value = Int(number)
    }
}

/// Any key of an object.
private struct AnyKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// A misspelt key would otherwise be a figure silently left out.
    fileprivate func refuseKeys(besides known: [String]) throws {
        for key in try container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath,
                    debugDescription: "there is no key \"\(key.stringValue.prefix(40))\"; "
                        + "known are \(known.joined(separator: ", "))"))
        }
    }
}

extension DecodingError {
    fileprivate var topologySentence: String {
        switch self {
        case .typeMismatch(let type, let context): "expected \(Self.name(of: type)) at \(Self.place(context))"
        case .valueNotFound(_, let context): "expected a value, found null at \(Self.place(context))"
        case .keyNotFound(let key, let context): "the key \"\(key.stringValue)\" is missing at \(Self.place(context))"
        case .dataCorrupted(let context) where context.codingPath.isEmpty && context.underlyingError != nil:
            "this is not JSON, or a number is out of all bounds"
        case .dataCorrupted(let context): "\(context.debugDescription) (at \(Self.place(context)))"
        @unknown default: "\(self)"
        }
    }

    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is Double.Type: "a number"
        default: "\(type)".hasPrefix("Array") ? "a list" : "an object"
        }
    }

    private static func place(_ context: Context) -> String {
        let path = context.codingPath.reduce("") { path, key in
            key.intValue.map { "\(path)[\($0)]" } ?? (path.isEmpty ? "" : path + ".") + key.stringValue
        }
        return path.isEmpty ? "the top" : path
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
