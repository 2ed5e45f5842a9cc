import ForetokenHardware
import ForetokenJSON
import ForetokenPlacement

/// The description of hosts that a model may be divided over, and of what lies between them.
///
/// A JSON object with
/// - `hosts`: for each `name`, and either `topology` (what a topology file has) or `memory_gb` and `bandwidth_gbps`, 10⁹ bytes
///   and 10⁹ bytes a second that are read from all of its memory together; `prompt_tflops` may be added, 10¹² operations a second
///   that prompts reach, two for a multiply-add. The first host leads;
/// - `link`: `alpha_us` and `gbps`, microseconds of a message without content and 10⁹ bytes a second that a host receives;
///   `peer_us` may be added, microseconds that an exchange takes longer for each host beyond the second (a sixth of `alpha_us`
///   where it is left out).
package struct HostsFile: Sendable {
    /// Hosts in the order of the file, the first leading.
    package let hosts: [HostMachine]
    /// What lies between any two.
    package let link: HostLink
    /// Workers of the host that has most, as far as the file describes CPUs.
    package let mostWorkers: Int?
    /// What a reader must know about the figures, a sentence without a full stop each.
    package let remarks: [String]

    /// Hosts that one file may describe.
    package static let hostLimit = 64
    private static let byteLimit = 16 << 20

    /// Reads a description and checks every number in it.
    ///
    /// - Parameters:
    ///   - json: the file's bytes.
    ///   - source: what messages call the file.
    /// - Throws: `InputError`, or `TopologyFileError` for a topology that cannot be used.
    package init(json: [UInt8], source: String) throws {
        guard json.count <= Self.byteLimit else {
            throw InputError("\(source) has \(json.count) bytes; a description of hosts has at most \(Self.byteLimit)")
        }
        do {
            try self.init(JSONField(JSONValue(json)).fields(), source)
        } catch let error as JSONError {
            throw InputError("\(source): \(error)")
        }
    }

    private init(_ fields: JSONFields, _ source: String) throws {
        try fields.refuseKeys(besides: ["hosts", "link"])
        let list = try fields["hosts"].list()
        guard (1...Self.hostLimit).contains(list.count) else {
            throw InputError("\(source): expected 1…\(Self.hostLimit) hosts, found \(list.count)")
        }
        let described = try list.map { try DescribedHost($0, source) }
        hosts = described.map(\.machine)
        for (index, host) in hosts.enumerated() {
            if let other = hosts[..<index].firstIndex(where: { $0.name == host.name }) {
                throw InputError(
                    "\(source): `hosts[\(index)].name` is that of `hosts[\(other)]` already; give each its own")
            }
        }
        link = try Self.link(fields["link"])
        mostWorkers = described.compactMap(\.workers).max()
        remarks = described.compactMap(\.remark)
    }

    private static func link(_ field: JSONField) throws(JSONError) -> HostLink {
        let fields = try field.fields()
        try fields.refuseKeys(besides: ["alpha_us", "gbps", "peer_us"])
        return HostLink(
            latencySeconds: try fields["alpha_us"].number(in: 0...1e6) * 1e-6,
            bytesPerSecond: try fields["gbps"].number(in: 1e-6...1e5) * 1e9,
            peerSeconds: try fields["peer_us"].given.map { field throws(JSONError) in
                try field.number(in: 0...1e6) * 1e-6
            })
    }
}

/// One host of the file.
private struct DescribedHost {
    let machine: HostMachine
    let workers: Int?
    let remark: String?

    private static let longestName = 64

    init(_ field: JSONField, _ source: String) throws {
        let fields = try field.fields()
        let name = try fields["name"].string()
        guard (1...Self.longestName).contains(name.count) else {
            throw fields["name"].mismatch("a name of 1 to \(Self.longestName) characters")
        }
        let speed = try fields["prompt_tflops"].given.map { try $0.number(in: 1e-3...1e6) * 1e12 / 2 }
        guard let topology = fields["topology"].given else {
            try fields.refuseKeys(besides: ["name", "topology", "memory_gb", "bandwidth_gbps", "prompt_tflops"])
            let memory = Int(try fields["memory_gb"].number(in: 1e-3...1e6) * 1e9)
            machine = HostMachine(
                name: name, readBandwidth: try fields["bandwidth_gbps"].number(in: 1e-3...1e5) * 1e9,
                capacity: memory - NodeMemoryBudget.margin(of: memory), multiplyAddsPerSecond: speed)
            (workers, remark) = (nil, nil)
            return
        }
        try fields.refuseKeys(besides: ["name", "topology", "prompt_tflops"])
        let nodes = MachineDescription(try TopologyFile(topology, source: source)).machine.nodes
        let own = nodes.filter { $0.workers > 0 }
        machine = HostMachine(
            name: name, readBandwidth: own.reduce(0) { $0 + $1.bandwidth },
            capacity: own.reduce(0) { $0 + $1.capacity },
            multiplyAddsPerSecond: speed)
        workers = own.reduce(0) { $0 + $1.workers }
        remark =
            own.count < nodes.count
            ? "\(name): memory without CPUs is left out of this forecast; place --topology plans for it" : nil
    }
}

extension JSONField {
    /// A number within bounds.
    fileprivate func number(in range: ClosedRange<Double>) throws(JSONError) -> Double {
        let value = try number()
        guard range.contains(value) else {
            throw mismatch("a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}
