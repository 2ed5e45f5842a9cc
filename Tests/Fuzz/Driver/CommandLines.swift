/// Sound command lines, one argument a line, and the files that they name.
enum CommandLines {
    static let files: [(name: String, text: String)] = [
        ("standard-input", "Hello\nabc\n"),
        ("text.txt", "let value = array[index]\nfunc reverse() {}\n"),
        ("topology.json", SampleFiles.topologies[1]), ("trace.jsonl", trace),
        ("prompts.jsonl", prompts), ("suite.jsonl", suite),
        (
            "hosts.json",
            """
            {"hosts": [{"name": "a", "memory_gb": 0.01, "bandwidth_gbps": 450, "prompt_tflops": 3},
            {"name": "b", "topology": \(SampleFiles.topologies[1])}],
            "link": {"alpha_us": 30, "gbps": 1.17, "peer_us": 5}}
            """
        ),
        (
            "plan.json",
            """
            {"format":"foretoken-placement","version":1,"policy":"tiered","model":"0123456789abcdef",\
            "machine":"0123456789abcdef","nodes":[0,1],"placements":[[[[0,1]]],[[[1,1]]]],\
            "layers":[{"layer":1,"experts":[0,1,0,1]}]}
            """
        ),
    ]

    /// A routing trace of the tiny model.
    private static let trace = (0..<24).map { row in
        let experts = (0..<4).map { "\((row * 3 + $0 * 5) % 13 % 4 + 4 * $0)" }.joined(separator: ",")
        return
            "{\"round\":\(row / 2),\"row\":\(row % 2),\"domain\":\"code\",\"layers\":[[],[\(experts)],[\(experts)]]}\n"
    }.joined()

    /// What `generate --input-file` takes.
    static let prompts = """
        {"id": 1, "domain": "code", "prompt": "func reverse", "max_tokens": 2, "temperature": 0.7, "top_k": 40, "top_p": 0.9, \
        "min_p": 0.05, "seed": 7, "stop": ["x"], "logprobs": 2, \
        "prediction": {"type": "content", "content": "(_ a"}}
        {"id": "b", "prompt_tokens": [1, 2, 3], "max_tokens": 1, "repetition_penalty": 1.1, "presence_penalty": 0.5, \
        "frequency_penalty": -0.5, "logit_bias": {"17": -100, "18": 2.5}}
        {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi \\u00e9 \\ud83d\\ude00"}], \
        "max_tokens": 1}

        """

    /// What `measure` and `tune` take.
    static let suite = """
        {"id": "a", "domain": "code", "prompt": "func reverse"}
        {"id": "b", "domain": "prose", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}

        """

    /// Command lines that are quick when they are sound.
    static let sound: [[String]] = [
        [
            "generate", "func", "--max-tokens", "2", "--temperature", "0.8", "--top-k", "5", "--top-p", "0.9", "--seed",
            "3",
        ],
        ["generate", "--prompt-tokens", "1,2,3", "--max-tokens", "2", "--draft", "2", "--json", "--logprobs", "2"],
        [
            "generate", "--prompt-file", "text.txt", "--max-tokens", "1", "--stop", "x", "--context", "128",
            "--weights", "int8",
        ],
        [
            "generate", "--input-file", "prompts.jsonl", "--max-tokens", "1", "--record-routing", "new.trace",
            "--domain", "code",
        ],
        [
            "generate", "a", "--max-tokens", "1", "--logit-bias", "5=-1", "--repetition-penalty", "1.1", "--min-p",
            "0.1",
        ],
        [
            "generate", "--chat", "hello", "--system", "be brief", "--max-tokens", "2", "--cache-type", "bf16", "--isa",
            "avx2",
        ],
        ["generate", "a", "--model", "model", "--max-tokens", "2", "--threads", "1", "--presence-penalty", "0.5"],
        ["generate", "a", "--plan", "plan.json", "--max-tokens", "1"],
        ["chat", "--input-file", "text.txt", "--max-tokens", "1", "--system", "x"],
        ["score", "abc", "--top", "2", "--per-token"],
        ["score", "--text-file", "text.txt", "--context", "16", "--mtp", "--mtp-depth", "2"],
        ["score", "--tokens", "1,2,3,4", "--model", "model"],
        [
            "measure", "--suite", "suite.jsonl", "--prompts", "1", "--max-tokens", "4", "--seconds", "0", "--drafts",
            "1,2", "--temperatures", "0,0.8",
        ],
        ["measure", "--text", "text.txt", "--seconds", "0", "--report", "report.html", "--top-p", "0.9"],
        ["prove", "--quick", "--model", "model", "--prompt-tokens", "1,2", "--max-tokens", "2", "--seed", "1"],
        ["bench", "--shape", "model/config.json", "--seconds", "0.01", "--layers", "1", "--no-mtp", "--json"],
        ["bench", "--shape", "model/config.json", "--seconds", "0.01", "--contexts", "600,1k", "--cache-type", "bf16"],
        [
            "measure", "--needle", "--lengths", "256", "--depths", "0,50", "--needles", "1", "--needle-form", "prose",
            "--text", "text.txt",
        ],
        ["inspect", "--shape", "model/config.json", "--json"],
        ["bench", "--numa", "--seconds", "0.01", "--topology-out", "new.json", "--fresh"],
        ["place", "--show", "code.trace"], ["place", "--show", "trace.jsonl", "--json"],
        [
            "place", "--trace-jsonl", "trace.jsonl", "--topology", "topology.json", "--model", "model",
            "--policy", "hybrid=50",
        ],
        [
            "place", "--trace", "code.trace", "--out", "out.json", "--report", "page.html",
            "--window", "2",
        ],
        [
            "place", "--trace", "code.trace", "--topology", "topology.json", "--format", "eplb", "--out", "e.json",
            "--piece-us", "1", "--barrier-us", "2",
        ],
        [
            "tune", "--suite", "suite.jsonl", "--out", "tuned.json", "--max-tokens", "4", "--passes", "1",
            "--candidates", "2", "--no-probe",
        ],
        ["inspect", "--model", "model", "--scan", "--json"], ["inspect", "--model", "model"], ["inspect", "model"],
        ["convert", "model", "converted", "--to", "bf16"],
        ["convert", "model", "grown", "--grow", "hidden=1,experts=2,layers=1"],
        ["place", "--hosts", "hosts.json", "--acceptance", "0.7"], ["place", "--example-topology", "two-sockets"],
        ["doctor"], ["doctor", "--json"], ["doctor", "--topology", "topology.json"], ["--version"], ["help", "place"],
        ["--help"], ["generate", "--help"], [],
    ]

    /// The command line that is written so, without what could reach outside the folder it runs in.
    static func arguments(_ bytes: [UInt8]) -> [String] {
        if bytes.isEmpty { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).prefix(
            60
        ).map {
            var text = String($0).replacing("\0", with: " ").replacing("..", with: ".").replacing("=/", with: "=")
            while text.hasPrefix("/") || text.hasPrefix("~") { text.removeFirst() }
            return text
        }
    }
}
