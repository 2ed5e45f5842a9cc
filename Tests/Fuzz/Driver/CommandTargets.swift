import ForetokenHardware
import ForetokenTestSupport
import FoundationEssentials

/// The program as its users call it, in a process of its own for each input: tens of inputs a second.
enum CommandTargets {
    /// Every kind by name.
    static let all: [(name: String, make: @Sendable () throws -> Target)] = [
        ("options", options),
        (
            "prompt-lines",
            { try file("prompts.jsonl", .json, ["generate", "--input-file", "prompts.jsonl", "--max-tokens", "1"]) }
        ),
        (
            "suite",
            {
                try file(
                    "suite.jsonl", .json,
                    [
                        "measure", "--suite", "suite.jsonl", "--prompts", "1", "--max-tokens", "2", "--seconds", "0",
                        "--temperatures", "0",
                    ])
            }
        ),
        ("chat-lines", { try file("text.txt", .bytes, ["chat", "--input-file", "text.txt", "--max-tokens", "1"]) }),
        ("text-file", { try file("text.txt", .bytes, ["score", "--text-file", "text.txt"]) }),
        ("plan-file", { try file("plan.json", .json, ["generate", "a", "--max-tokens", "1", "--plan", "plan.json"]) }),
        (
            "topology-file",
            {
                try file(
                    "topology.json", .json,
                    ["place", "--trace", "code.trace", "--topology", "topology.json", "--search-seconds", "0.1"])
            }
        ),
        (
            "hosts-file",
            { try file("hosts.json", .json, ["place", "--hosts", "hosts.json", "--model", "model", "--json"]) }
        ),
        (
            "eplb",
            {
                try file(
                    "trace.jsonl", .json,
                    [
                        "place", "--model", "model", "--trace-jsonl", "trace.jsonl", "--topology", "topology.json",
                        "--format", "eplb",
                        "--out", "e.json",
                    ])
            }
        ),
        ("trace-file", { try file("code.trace", .bytes, ["place", "--show", "code.trace"]) }),
        (
            "shape-file",
            { try file("model/config.json", .json, ["bench", "--shape", "model/config.json", "--seconds", "0.001"]) }
        ),
        ("model-config", { try file("model/config.json", .json, model) }),
        ("model-weights", { try file("model/model.safetensors", .safetensors, model) }),
        ("model-tokenizer", { try file("model/tokenizer.json", .json, model) }),
        (
            "model-tokenizer-config",
            { try file("model/tokenizer_config.json", .json, ["generate", "--chat"] + model.dropFirst()) }
        ),
        (
            "inspected",
            { try file("model/model.safetensors", .safetensors, ["inspect", "--scan", "--model", "model"]) }
        ),
        ("bandwidths", bandwidths),
    ]

    private static let model = ["generate", "ab", "--model", "model", "--max-tokens", "1", "--threads", "1"]

    /// A target whose inputs take the place of one file.
    private static func file(_ name: String, _ form: Mutator.Form, _ arguments: [String]) throws -> Target {
        let command = try CommandRun()
        if ["code.trace", "plan.json", "topology.json"].contains(name) { try command.record() }
        return target(form, [try command.folder.read(name)]) { try command.run(arguments, replacing: (name, $0)) }
    }

    private static func options() throws -> Target {
        let command = try CommandRun()
        try command.record()
        let corpus = CommandLines.sound.map { Array($0.joined(separator: "\n").utf8) }
        return target(.bytes, corpus) { try command.run(CommandLines.arguments($0)) }
    }

    /// What `bench --numa` keeps, which `doctor` shows.
    private static func bandwidths() throws -> Target {
        let command = try CommandRun()
        // Made by hand: on a busy machine `bench --numa` keeps nothing.
        let topology = Topology.read()
        var bandwidth = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: topology.cpuNodes.map(\.id),
            threads: topology.cpuNodes.map { _ in 1 },
            memory: topology.nodes.map { .init(id: $0.id, bufferBytes: 1 << 20, placement: .bound, share: 1) })
        let figure = NumaBandwidth.Figure(best: 1e10, worst: 9e9, readings: 5)
        bandwidth.read = bandwidth.read.map { $0.map { _ in figure } }
        bandwidth.latency = bandwidth.latency.map { $0.map { _ in .init(best: 90, worst: 99, readings: 5) } }
        bandwidth.together = bandwidth.together.map { _ in figure }
        bandwidth.measuredAt = 1_750_000_000
        let sound = Array(try JSONEncoder().encode(bandwidth))
        let file = CommandRun.cache + "numa-\(topology.fingerprint).json"
        try command.makeCache()
        try command.folder.write(sound, file)
        return target(.json, [sound]) { bytes in
            try command.run(["doctor"], replacing: (file, bytes))
            try command.folder.write(sound, file)
        }
    }

    private static func target(
        _ form: Mutator.Form, _ corpus: [[UInt8]], _ read: @escaping ([UInt8]) throws -> Void
    ) -> Target {
        var target = Target(form: form, corpus: corpus, read: read)
        // The worker only waits.
        target.seconds = 60
        if CommandRun.sanitized != nil { target.addressSpace = nil }
        return target
    }
}
