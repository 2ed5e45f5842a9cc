import ArgumentParser
import ForetokenLoad

/// What `bench --serve` measures of a server.
struct LoadFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Measures a running server instead, of this program or any that speaks OpenAI's completions.",
            valueName: "url"))
    var serve: String?

    @Option(
        help: ArgumentHelp(
            "What to measure: levels, prefix, stall, cancel, overload, separated by commas (default: all).",
            valueName: "list"))
    var trials: String?

    @Option(
        help: ArgumentHelp("Requests at once, separated by commas (default: 1,2,4,8,16).", valueName: "list"))
    var concurrency: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Different requests at each (default: 16).", valueName: "n"))
    var requests: Int?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Tokens of their prompts (default: 64).", valueName: "n"))
    var promptTokens: Int?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Tokens of their answers (default: 128).", valueName: "n"))
    var maxTokens: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Their temperature (default: 0).", valueName: "t"))
    var temperature: Double?

    @Flag(help: "Asks for log-probabilities, too, and compares them.")
    var logprobs = false

    @Option(
        help: ArgumentHelp(
            "JSON lines whose prompt (a text) or prompt_tokens (ids) prompts are made of (default: the built-in suite).",
            valueName: "f"))
    var prompts: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds in which more is asked than the server takes (default: 10).", valueName: "s"))
    var overloadSeconds: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Instead: so many seconds with 16 clients of which a third go before they have their answer.",
            valueName: "s"))
    var soak: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The server's process on this machine, whose memory is to be watched.", valueName: "pid"))
    var serverPid: Int32?

    @Option(help: ArgumentHelp("Writes the figures as JSON to a file, too.", valueName: "f"))
    var jsonOut: String?

    @Flag(help: "Measures less: a minute with the embedded model.")
    var quick = false

    /// Whether a flag is given that means something with --serve alone.
    private var isChosen: Bool {
        trials != nil || concurrency != nil || requests != nil || promptTokens != nil || maxTokens != nil
            || temperature != nil || logprobs || prompts != nil || overloadSeconds != nil || soak != nil
            || serverPid != nil || jsonOut != nil || quick
    }

    func validate() throws {
        guard serve != nil else {
            if isChosen { throw ValidationError("the options under SERVER need --serve") }
            return
        }
        for (name, value, range) in [
            ("--requests", requests, 1...10_000), ("--prompt-tokens", promptTokens, 1...1_000_000),
            ("--max-tokens", maxTokens, 2...1_000_000),
        ] {
            if let value, !range.contains(value) {
                throw ValidationError("\(name) must be \(range.lowerBound)...\(range.upperBound), not \(value)")
            }
        }
        for (name, value) in [("--overload-seconds", overloadSeconds), ("--soak", soak)] {
            if let value, !(value > 0 && value <= 1e6) {
                throw ValidationError("\(name) must be above 0 and at most 1000000, not \(value)")
            }
        }
        if let temperature, !(0...100).contains(temperature) {
            throw ValidationError("--temperature must be 0...100, not \(temperature)")
        }
        if soak != nil && trials != nil { throw ValidationError("give --soak or --trials, not both") }
        _ = try plan()
    }

    /// The same as plain values.
    func plan() throws -> LoadPlan {
        var plan = LoadPlan(salt: .random(in: .min ... .max))
        if quick { plan.hurry() }
        if let trials { plan.trials = try Self.trials(trials) }
        if let concurrency { plan.concurrency = try Self.levels(concurrency) }
        plan.requests = requests ?? plan.requests
        plan.promptTokens = promptTokens ?? plan.promptTokens
        plan.maximumTokens = maxTokens ?? plan.maximumTokens
        plan.temperature = temperature ?? plan.temperature
        plan.showsLogProbabilities = logprobs
        plan.overloadSeconds = overloadSeconds ?? plan.overloadSeconds
        plan.soakSeconds = soak
        plan.process = serverPid
        return plan
    }

    private static func trials(_ list: String) throws -> Set<LoadPlan.Trial> {
        Set(
            try list.split(separator: ",", omittingEmptySubsequences: false).map { name in
                guard let trial = LoadPlan.Trial(rawValue: String(name)) else {
                    let names = LoadPlan.Trial.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ValidationError("--trials knows \(names), not \"\(name)\"")
                }
                return trial
            })
    }

    private static func levels(_ list: String) throws -> [Int] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map { number in
            guard let count = Int(number), (1...1024).contains(count) else {
                throw ValidationError("--concurrency takes numbers of 1...1024, such as 1,4,16, not \"\(number)\"")
            }
            return count
        }
    }
}
