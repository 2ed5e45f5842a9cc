extension Topology {
    /// Tells machines, and parts of machines, apart: 16 hexadecimal digits that depend on the nodes' numbers, usable CPUs,
    /// memory in whole GiB and distances, never on what is free now. A `TopologyFile` written here has the same.
    ///
    /// FNV-1a with 64 bits: for telling apart, not for withstanding malice.
    public var fingerprint: String {
        let owned = Dictionary(uniqueKeysWithValues: cpuNodes.map { ($0.id, $0.cpus) })
        let memory = Dictionary(uniqueKeysWithValues: nodes.map { ($0.id, Self.gibibytes($0.memoryTotal)) })
        let lines = zip(distanceTable.ids, distanceTable.rows).map { id, distances in
            let row = distances.map(String.init).joined(separator: ",")
            return "\(id):\(NumberList.format(owned[id] ?? [])):\(memory[id] ?? 0):\(row)\n"
        }
        let hash = lines.joined().utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Rounded, so that what a kernel keeps for itself does not count; a node with memory never has none.
    private static func gibibytes(_ bytes: Int) -> Int { max(1, (bytes >> 29 + 1) >> 1) }
}
