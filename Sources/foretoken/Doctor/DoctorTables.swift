import ForetokenHardware
import ForetokenReport

/// A machine as tables in a terminal.
package struct DoctorTables {
    private let report: DoctorReport
    private let terminal: Terminal

    /// Tables for that terminal.
    package init(_ report: DoctorReport, _ terminal: Terminal) {
        self.report = report
        self.terminal = terminal
    }

    /// Everything, with blank lines between the parts; the verdict comes last, where the eye rests.
    package var text: String {
        var parts = [heading]
        if report.processor != nil { parts.append(facts) }
        parts.append(nodes)
        if report.distance.nodes.count > 1 { parts.append(distances) }
        if let bandwidth = report.bandwidth {
            parts.append(NumaTables(bandwidth, terminal, isDescribed: report.isDescribed).text)
        }
        if let hmat = report.hmat, !hmat.isEmpty { parts.append(firmware(hmat)) }
        parts.append(verdict)
        return parts.joined(separator: "\n")
    }

    private var heading: String {
        let what = report.processor?.model.printable ?? "described by \(report.source.printable)"
        return terminal.styled(what, .bold) + " · machine \(report.fingerprint)\n"
    }

    private var facts: String {
        var table = Table([.init(""), .init("")])
        if let processor = report.processor {
            table.add("instruction sets", processor.instructionSets.joined(separator: ", "))
            if !processor.features.isEmpty { table.add("extensions", processor.features.joined(separator: " ")) }
            let frequency = processor.megahertz.map { "\(Format.fixed($0, 0)) MHz" }
            if let frequency = frequency ?? unknown(["cpuinfo_max_freq"]) { table.add("frequency", frequency) }
        }
        let threads = report.cores.reduce(0) { $0 + $1.count }
        let slow = report.cores.count - report.fastCores.count
        table.add(
            "usable CPUs",
            "\(threads) on \(report.cores.count) physical cores" + (slow > 0 ? ", \(slow) of them slow" : ""))
        if let limits = report.limits { table.add("threads", "\(limits.defaultThreads) by default") }
        for cache in report.caches where cache.kind != "Instruction" {
            let sharers = cache.cpus.count
            table.add(
                "L\(cache.level) cache", cacheSize(cache.bytes) + (sharers > 1 ? ", shared by \(sharers) CPUs" : ""))
        }
        if let level = report.clusters.first?.level {
            table.add("last level", "\(report.clusters.count) × L\(level)")
        }
        if let pages = report.hugePages {
            let enabled = pages.enabled ?? unknown(["transparent_hugepage/enabled"]) ?? "none"
            let defrag = pages.defrag ?? unknown(["transparent_hugepage/defrag"]) ?? "none"
            table.add("huge pages", "transparent: \(enabled), defrag: \(defrag)")
            for pool in pages.pools {
                table.add(
                    "  pool", "node \(pool.node): \(pool.total) × \(Format.bytes(pool.pageBytes)), \(pool.free) free")
            }
        }
        add(report.limits, to: &table)
        for call in report.policy ?? [] { table.add(call.call, call.outcome) }
        table.add(
            "numa_balancing",
            report.numaBalancing.map(String.init) ?? unknown(["kernel/numa_balancing"]) ?? "not in this kernel")
        return table.rendered(on: terminal)
    }

    private func add(_ limits: DoctorReport.Limits?, to table: inout Table) {
        guard let limits else { return }
        table.add("memory available", limits.memoryAvailableBytes.map { Format.bytes($0) } ?? "not known")
        table.add(
            "  control group",
            limits.groupAvailableBytes.map { Format.bytes($0) + " left" }
                ?? unknown(["self/cgroup", "memory.max", "memory.high", "memory.limit_in_bytes"]) ?? "no limit")
        table.add(
            "CPU quota",
            limits.cpuQuota.map { "\(Format.fixed($0, 1)) CPUs" }
                ?? unknown(["self/cgroup", "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"]) ?? "no limit")
        table.add(
            "cpuset",
            "CPUs \(list(limits.usableCpus)) of \(list(limits.onlineCpus)), "
                + "memory of nodes \(list(limits.memoryNodes)) of \(list(limits.onlineNodes))")
        if let bytes = limits.addressSpaceBytes { table.add("address space", Format.bytes(bytes)) }
    }

    /// "not known" where one of the files that say it, given by their paths' ends, could not be understood.
    private func unknown(_ endings: [String]) -> String? {
        let files = report.unknown ?? []
        return files.contains { file in endings.contains { file.file.hasSuffix($0) } } ? "not known" : nil
    }

    private var nodes: String {
        var table = Table([
            .init("node", .right), .init("CPUs"), .init("workers", .right), .init("memory", .right),
            .init("free", .right, rank: 1), .init("available", .right), .init(""),
        ])
        for node in report.nodes {
            let hasMemory = node.kind != .cpuOnly
            table.add(
                "\(node.id)", node.cpus.isEmpty ? "–" : list(node.cpus), hasMemory ? "\(node.workers)" : "–",
                hasMemory ? Format.bytes(node.memoryBytes) : "–",
                hasMemory && !report.isDescribed ? Format.bytes(node.freeBytes) : "–",
                hasMemory && !report.isDescribed ? Format.bytes(node.availableBytes) : "–", remark(node))
        }
        return table.rendered(on: terminal)
    }

    private func remark(_ node: DoctorReport.Node) -> String {
        switch node.kind {
        case .full: ""
        case .memoryOnly: "memory only"
        case .cpuOnly: "CPUs only, counted to node \(node.attachedTo ?? 0)"
        }
    }

    private var distances: String {
        var table = Table([.init("distance")] + report.distance.nodes.map { .init("\($0)", .right) })
        for (id, row) in zip(report.distance.nodes, report.distance.rows) {
            table.add(["node \(id)"] + row.map(String.init))
        }
        return table.rendered(on: terminal)
    }

    private func firmware(_ hmat: [DoctorReport.Access]) -> String {
        var table = Table([
            .init("firmware (HMAT)"), .init("from", .right), .init("read GB/s", .right), .init("write GB/s", .right),
            .init("read ns", .right), .init("write ns", .right),
        ])
        for access in hmat {
            table.add(
                "node \(access.node), class \(access.accessClass)", list(access.initiators),
                gigabytes(access.readMbPerS), gigabytes(access.writeMbPerS), number(access.readNs),
                number(access.writeNs))
        }
        return table.rendered(on: terminal)
    }

    private var verdict: String {
        report.advice.map { advice in
            let (sign, style): (String, Style) =
                switch advice.weight {
                case .good: ("✓", .green)
                case .note: ("·", .cyan)
                case .mend: ("!", .yellow)
                }
            // The sign takes the two columns that further lines leave free.
            let lines = Terminal(
                isInteractive: terminal.isInteractive, usesColor: terminal.usesColor, width: terminal.width - 2)
            let text = lines.prose(advice.text).split(separator: "\n").joined(separator: "\n  ")
            let remedy = advice.remedy.map { "  " + terminal.prose("→ \($0)", indent: 4) } ?? ""
            return "\(terminal.styled(sign, style)) \(text)\n\(remedy)"
        }.joined()
    }

    private func gigabytes(_ megabytes: Int?) -> String { megabytes.map { Format.fixed(Double($0) / 1000, 1) } ?? "–" }

    private func number(_ value: Int?) -> String { value.map(String.init) ?? "–" }

    /// In powers of two, as caches are built.
    private func cacheSize(_ bytes: Int) -> String {
        bytes < 1 << 20 ? "\(bytes >> 10) KiB" : "\(Format.short(Double(bytes) / 1_048_576)) MiB"
    }

    /// Ranges, as the system writes sets.
    private func list(_ numbers: [Int]) -> String {
        numbers.isEmpty ? "–" : NumberList.format(numbers)
    }
}
