import ForetokenHardware
import ForetokenPlacement
import ForetokenText
import Testing

@Suite struct HostsFileTests {
    private static let topology = """
        {"nodes": [{"id": 0, "cpus": "0-3", "memory_bytes": 128000000000},
                   {"id": 1, "cpus": [4, 5], "memory_bytes": 64000000000},
                   {"id": 2, "cpus": "", "memory_bytes": 512000000000}],
         "distance": [[10, 21, 28], [21, 10, 38], [28, 38, 10]], "read_gbps": [[200, 60, 30], [61, 180, 20]]}
        """

    private static func file(
        hosts: String = "{\"name\": \"a\", \"memory_gb\": 384, \"bandwidth_gbps\": 450}",
        link: String = "{\"alpha_us\": 30, \"gbps\": 1.17}"
    ) -> String { "{\"hosts\": [\(hosts)], \"link\": \(link)}" }

    private func read(_ json: String) throws -> HostsFile {
        try HostsFile(json: Array(json.utf8), source: "hosts.json")
    }

    @Test func bothFormsGiveHosts() throws {
        let file = try read(
            Self.file(
                hosts: """
                    {"name": "a", "memory_gb": 384, "bandwidth_gbps": 450, "prompt_tflops": 3},
                    {"name": "b", "topology": \(Self.topology)}
                    """, link: "{\"alpha_us\": 30, \"gbps\": 1.17, \"peer_us\": 4}"))
        #expect(file.hosts.map(\.name) == ["a", "b"])
        // 1 GiB of each is the system's.
        #expect(file.hosts[0].capacity == 384_000_000_000 - 1 << 30 && file.hosts[0].readBandwidth == 450e9)
        #expect(file.hosts[0].multiplyAddsPerSecond == 1.5e12 && file.hosts[1].multiplyAddsPerSecond == nil)
        #expect(file.hosts[1].readBandwidth == 380e9 && file.hosts[1].capacity == 192_000_000_000 - 2 << 30)
        #expect(file.mostWorkers == 6 && file.remarks.count == 1 && file.remarks[0].hasPrefix("b: memory without CPUs"))
        #expect(file.link.latencySeconds == 30 * 1e-6 && file.link.bytesPerSecond == 1.17e9)
        #expect(file.link.peerSeconds == 4 * 1e-6)
        let assumed = try read(Self.file())
        #expect(abs(assumed.link.peerSeconds - 5e-6) < 1e-12 && assumed.mostWorkers == nil)
    }

    @Test(
        arguments: [
            ("", "byte 0"), ("[]", "object"), ("{\"hosts\": []}", "1…64 hosts"),
            (file(hosts: Array(repeating: "{}", count: 65).joined(separator: ",")), "found 65"),
            (file(hosts: "{\"name\": \"a\"}"), "hosts[0].memory_gb"),
            (file(hosts: "{\"name\": \"\", \"memory_gb\": 1, \"bandwidth_gbps\": 1}"), "1 to 64 characters"),
            (file(hosts: "{\"name\": 3, \"memory_gb\": 1, \"bandwidth_gbps\": 1}"), "a string"),
            (file(hosts: "{\"name\": \"a\", \"memory_gb\": -1, \"bandwidth_gbps\": 1}"), "found -1"),
            (file(hosts: "{\"name\": \"a\", \"memory_gb\": 1e300, \"bandwidth_gbps\": 1}"), "memory_gb"),
            (file(hosts: "{\"name\": \"a\", \"memory_gb\": 1, \"bandwidth_gbps\": 0}"), "bandwidth_gbps"),
            (file(hosts: "{\"name\": \"a\", \"memory_gb\": 1, \"bandwidth_gbp\": 1}"), "no key"),
            (file(hosts: "{\"name\": \"a\", \"memory_gb\": 1, \"topology\": {}}"), "no key"),
            (file(hosts: "{\"name\": \"a\", \"topology\": {}}"), "hosts[0].topology.nodes"),
            (
                file(hosts: "{\"name\": \"a\", \"topology\": \(topology.replacing("64000000000", with: "3"))}"),
                "hosts[0].topology: nodes[1].memory_bytes"
            ),
            (
                file(
                    hosts: "{\"name\": \"a\", \"memory_gb\": 1, \"bandwidth_gbps\": 1},"
                        + "{\"name\": \"a\", \"memory_gb\": 1, \"bandwidth_gbps\": 1}"), "hosts[1].name"
            ),
            (file(link: "{}"), "link.alpha_us"), (file(link: "{\"alpha_us\": 1, \"gbps\": 0}"), "link.gbps"),
            (file(link: "{\"alpha_us\": -1, \"gbps\": 1}"), "link.alpha_us"),
            (file(link: "{\"alpha_us\": 1, \"gbps\": 1, \"peer_us\": -1}"), "link.peer_us"),
            ("{\"hosts\": [], \"links\": {}}", "no key"),
        ])
    func damagedFilesAreRefused(_ json: String, message: String) {
        let error = #expect(throws: (any Error).self) { _ = try read(json) }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.hasPrefix("hosts.json") && text.contains(message), "\(text)")
    }

    @Test func whatIsFarTooLargeIsRefused() {
        #expect(throws: InputError.self) {
            _ = try HostsFile(json: [UInt8](repeating: 0x20, count: 17 << 20), source: "hosts.json")
        }
    }
}
