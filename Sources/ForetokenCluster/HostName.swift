import Glibc

/// Which host a rank runs on.
package struct HostName: Sendable, Equatable {
    /// The rank's number.
    package let rank: Int
    /// The host's name, as it calls itself.
    package let name: String
    /// Differs between machines of one name, and from one start of a machine to the next; empty where unknown.
    let boot: String

    /// - Parameter boot: differs between machines of one name.
    package init(rank: Int, name: String, boot: String = "") {
        self.rank = rank
        self.name = name
        self.boot = boot
    }

    /// "rank 1 (host-b)".
    package var label: String { "rank \(rank) (\(name))" }

    /// Where this process runs.
    static func own(rank: Int) -> HostName {
        var name = [CChar](repeating: 0, count: 256)
        let isKnown = gethostname(&name, name.count - 1) == 0
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return HostName(rank: rank, name: isKnown && !text.isEmpty ? text : "unknown", boot: bootID())
    }

    private static func bootID() -> String {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return "" }
        return String(decoding: line.prefix { $0 > 32 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// How many of them are the machine of one.
    static func count(_ names: [HostName], onMachineOf rank: Int) -> Int {
        names.count { $0.name == names[rank].name && $0.boot == names[rank].boot }
    }

    /// Whether some of them are the same machine.
    package static func shareMachine(_ names: [HostName]) -> Bool {
        names.indices.contains { index in
            names[..<index].contains { $0.name == names[index].name && $0.boot == names[index].boot }
        }
    }
}

extension [HostName] {
    /// "ranks 1 (host-b) and 2 (host-c)".
    var label: String {
        guard count != 1 else { return self[0].label }
        let each = map { "\($0.rank) (\($0.name))" }
        guard let last = each.last else { return "no rank" }
        return "ranks \(each.dropLast().joined(separator: ", ")) and \(last)"
    }

    /// What is said when these hosts are lost.
    /// - Parameter areAlive: whether they have given signs of life all the same.
    package func lossText(seconds: Int, areAlive: Bool) -> String {
        let isOne = count == 1
        let what = areAlive ? (isOne ? "lives but has" : "live but have") : (isOne ? "has" : "have")
        let missed = areAlive ? "come to a meeting" : "answered"
        return "\(label) \(what) not \(missed) for \(seconds) s; all hosts end, since each keeps a part of the model"
    }
}
