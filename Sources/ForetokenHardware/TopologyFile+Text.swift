extension TopologyFile {
    /// The description as JSON, one node and one row of a matrix a line; `init(json:source:)` reads it back.
    public var json: String {
        var members = [
            member(
                "nodes",
                nodes.map { "{\"id\": \($0.id), \"cpus\": \(list($0.cpus)), \"memory_bytes\": \($0.memoryBytes)}" }),
            member("distance", distances.map(list)),
            member("read_gbps", readGBps.map { list($0.map(Self.rounded)) }),
        ]
        if let latencyNanoseconds {
            members.append(member("latency_ns", latencyNanoseconds.map { list($0.map(Self.rounded)) }))
        }
        if cores.contains(where: { $0.count > 1 }) { members.append(member("cores", cores.map(list))) }
        return "{\n\(members.joined(separator: ",\n"))\n}\n"
    }

    private func member(_ key: String, _ lines: [String]) -> String {
        "  \"\(key)\": [\n\(lines.map { "    " + $0 }.joined(separator: ",\n"))\n  ]"
    }

    private func list(_ numbers: [some CustomStringConvertible]) -> String {
        "[\(numbers.map(\.description).joined(separator: ", "))]"
    }

    /// Three decimals say more than a measurement knows; nothing measured becomes 0.
    private static func rounded(_ value: Double) -> Double { max(0.001, (value * 1000).rounded() / 1000) }
}
