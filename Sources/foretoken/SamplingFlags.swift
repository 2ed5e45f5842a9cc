import ArgumentParser
import ForetokenSpeculation
import ForetokenText
import ForetokenWeights

/// Where the settings come from that the command line leaves open.
enum SamplingDefaults: String, ExpressibleByArgument {
    /// The likeliest token, no filters.
    case greedy
    /// The checkpoint's generation_config.json.
    case model
}

/// How tokens are drawn.
struct SamplingFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where settings come from that are not given here: greedy, or model for temperature, top-p, top-k and "
                + "repetition penalty of the checkpoint's generation_config.json.", valueName: "greedy|model"))
    var samplingDefaults = SamplingDefaults.greedy

    @Option(
        name: .customLong("temperature"), parsing: .unconditional,
        help: ArgumentHelp(
            "Divides the logits; 0 always takes the likeliest token. (default: 0.0)", valueName: "temperature"))
    var givenTemperature: Float?
    @OptionGroup var temperatureAlias: TemperatureAlias

    var temperature: Float? { Alias.value(givenTemperature, temperatureAlias.values) }

    @OptionGroup var filters: FilterFlags

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Makes tokens of the prompt and the output less likely: divides their logits where positive, multiplies "
                + "them elsewhere; above 0. (default: 1.0)",
            valueName: "r"))
    var repetitionPenalty: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Taken from the logits of tokens that the output holds; -100...100.", valueName: "a"))
    var presencePenalty: Float = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Taken from a token's logit for each time the output holds it; -100...100.", valueName: "b"))
    var frequencyPenalty: Float = 0

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Adds V, -100...100, to the logit of a token id; -100 bans it. May be repeated.", valueName: "id=v"))
    var logitBias: [LogitBias] = []

    func validate() throws {
        try temperatureAlias.check(givenTemperature)
        var seen: Set<Int> = []
        if let repeated = logitBias.first(where: { !seen.insert($0.token).inserted }) {
            throw ValidationError("--logit-bias names token \(repeated.token) twice")
        }
        do { try options.check() } catch { throw ValidationError("\(error)") }
    }

    /// The settings, from where nothing is given the likeliest token.
    var options: SamplingOptions { wishes.applied(to: SamplingOptions()) }

    /// What is given.
    private var wishes: SamplingWishes {
        var wishes = filters.wishes
        wishes.temperature = temperature
        wishes.repetitionPenalty = repetitionPenalty
        wishes.presencePenalty = presencePenalty
        wishes.frequencyPenalty = frequencyPenalty
        wishes.logitBias = Dictionary(logitBias.map { ($0.token, $0.value) }) { $1 }
        return wishes
    }

    /// The settings, where nothing is given those of the model's makers, if that is wanted.
    /// - Throws: `InputError` where it is wanted and the checkpoint does not tell.
    func options(for open: OpenModel) throws -> SamplingOptions {
        guard samplingDefaults == .model else { return options }
        guard let makers = open.makersSampling else {
            throw InputError(
                "\(open.checkpoint.label) has no generation_config.json, so --sampling-defaults model has nothing to "
                    + "take")
        }
        return wishes.applied(to: makers)
    }
}

/// Which tokens may be drawn, and the noise that decides.
struct FilterFlags: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Draws from the K likeliest tokens; 0 from all. (default: 0)", valueName: "k"))
    var topK: Int?

    @Option(
        parsing: .unconditional,
        help: "Draws from the fewest tokens that reach this probability together. (default: 1.0)")
    var topP: Float?

    @Option(parsing: .unconditional, help: "Draws from tokens at least this fraction as likely as the likeliest.")
    var minP: Float = 0

    @Option(
        parsing: .unconditional,
        help: "Decides the noise; the same seed gives the same text. A whole number, 0 or more.")
    var seed: UInt64 = 0

    func validate() throws {
        do { try options.check() } catch { throw ValidationError("\(error)") }
    }

    /// The settings, from where nothing is given all tokens.
    var options: SamplingOptions { wishes.applied(to: SamplingOptions()) }

    /// What is given.
    var wishes: SamplingWishes {
        var wishes = SamplingWishes()
        wishes.topK = topK
        wishes.topP = topP
        wishes.minP = minP
        wishes.seed = seed
        return wishes
    }

    /// Filters in use, as they were given; empty without any.
    var spelling: String {
        var words: [String] = []
        if let topK, topK > 0 { words.append("--top-k \(topK)") }
        if let topP, topP < 1 { words.append("--top-p \(topP)") }
        if minP > 0 { words.append("--min-p \(minP)") }
        return words.joined(separator: " ")
    }
}

/// `ID=V` on the command line.
struct LogitBias: ExpressibleByArgument {
    let token: Int
    let value: Float

    init?(argument: String) {
        let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, let token = Int(parts[0]), let value = Float(parts[1]) else { return nil }
        self.token = token
        self.value = value
    }
}

/// How many log-probabilities are wanted beside the tokens.
struct LogProbabilityFlags: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Also gives the natural-log probability of every generated token and of the K likeliest (0...20), from the "
                + "model's raw logits: before penalties, bias, temperature and filters. Needs --json or --input-file.",
            valueName: "k"))
    var logprobs: Int?

    func validate() throws {
        if let problem = AnswerSettings.problem(logProbabilities: logprobs) { throw ValidationError(problem) }
    }
}
