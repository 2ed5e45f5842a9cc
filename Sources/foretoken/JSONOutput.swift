import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import FoundationEssentials

/// Results as JSON.
enum JSONOutput {
    /// One line for standard output, keys in alphabetical order.
    /// - Parameter snakeCase: whether keys are to be spelt the JSON way.
    static func line(_ value: some Encodable, snakeCase: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        if snakeCase { encoder.keyEncodingStrategy = .convertToSnakeCase }
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return escaped(Array(try encoder.encode(value))) + [UInt8(ascii: "\n")]
    }

    /// The same JSON with every character that could steer or deceive a terminal as `\u` escapes. In compact JSON such
    /// characters stand inside strings alone.
    private static func escaped(_ json: [UInt8]) -> [UInt8] {
        // DEL is the only one in ASCII that the encoder leaves as it is.
        guard json.contains(where: { $0 >= 0x7F }) else { return json }
        var result: [UInt8] = []
        result.reserveCapacity(json.count)
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            guard scalar.isDisruptive else {
                result += scalar.utf8
                continue
            }
            for unit in scalar.utf16 {
                let digits = String(unit, radix: 16, uppercase: true)
                result += Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            }
        }
        return result
    }
}

/// [id, number].
struct RankedEntry<Number: Encodable>: Encodable {
    let token: Int32
    let number: Number

    init(_ token: Int32, _ number: Number) {
        self.token = token
        self.number = number
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(token)
        try container.encode(number)
    }
}

/// What `generate --json` prints.
struct AnswerReport: Encodable {
    struct TimingFigures: Encodable {
        let prompt_n: Int
        let prompt_ms: Double
        let prompt_per_second: Double
        let predicted_n: Int
        let predicted_ms: Double
        let predicted_per_second: Double
        let draft_n: Int
        let draft_n_accepted: Int
    }

    struct SpeculationFigures: Encodable {
        let rounds: Int
        let drafted: [Int]
        let accepted: [Int]
        let tokens_per_round: Double
        let sources: SourceFigures
        /// There only where the answer had a prediction.
        let prediction: PredictionFigures?
        /// There only for `--draft auto`.
        let policy: PolicyFigures?
    }

    struct SourceFigures: Encodable {
        struct Counts: Encodable {
            let drafted: Int
            let accepted: Int

            init(_ counts: SourceCounts) { (drafted, accepted) = (counts.drafted, counts.accepted) }
        }

        let mtp: Counts
        let lookup: Counts

        init(_ telemetry: Telemetry) { (mtp, lookup) = (Counts(telemetry.modules), Counts(telemetry.lookup)) }
    }

    /// Drafts from the prediction of the answer. They are among those that were looked up.
    struct PredictionFigures: Encodable {
        let accepted: Int
        let rejected: Int

        init(_ counts: SourceCounts) { (accepted, rejected) = (counts.accepted, counts.drafted - counts.accepted) }
    }

    struct PolicyFigures: Encodable {
        let plain_ms: Double?
        /// By number of rows, from one; null where none was timed.
        let rows_ms: [Double?]
        let first_draft_ms: Double?
        let later_draft_ms: Double?
        /// In undrafted steps.
        let expected_gain: Double?
        /// Of rounds that drafted: steps more, tokens more.
        let extra_steps: Double?
        let extra_tokens: Double?
        let drafting_share: Double
        /// Runs before this one that drafting knew something from.
        let earlier_runs: Int
        /// Shares of rounds by number of drafts verified, from none.
        let rounds_by_drafts: [Double]

        init(_ policy: PolicyReport) {
            func milliseconds(_ nanoseconds: Double?) -> Double? { nanoseconds.map { $0 / 1e6 } }
            rows_ms = policy.stepNanoseconds.map(milliseconds)
            plain_ms = milliseconds(policy.stepNanoseconds[0])
            first_draft_ms = milliseconds(policy.firstDraftNanoseconds)
            later_draft_ms = milliseconds(policy.laterDraftNanoseconds)
            expected_gain = policy.expectedGain
            extra_steps = policy.extraSteps
            extra_tokens = policy.extraTokens
            drafting_share = policy.draftingShare
            earlier_runs = policy.earlierRuns
            let rounds = Double(max(1, policy.rounds.reduce(0, +)))
            rounds_by_drafts = policy.rounds.map { Double($0) / rounds }
        }
    }

    /// Windows that the answer took part in, its rows in them, and those of them that other texts were in as well.
    struct CompanyFigures: Encodable {
        let steps: Int
        let rows: Int
        let shared: Int

        init(_ counts: CompanyCounts) { (steps, rows, shared) = (counts.steps, counts.rows, counts.shared) }
    }

    struct LogProbabilities: Encodable {
        let token: Int32
        let logprob: Double
        let top: [RankedEntry<Double>]
    }

    var id: Identifier?
    let model: String
    let prompt_tokens: [Int32]
    let tokens: [Int32]
    let text: String?
    let finish_reason: String
    /// There only when asked for.
    let logprobs: [LogProbabilities]?
    let timings: TimingFigures
    let speculation: SpeculationFigures
    /// There only for lines of a file. Times are then those of a text in company: steps take longer with more rows.
    let company: CompanyFigures?
    /// There only on machines with several memory nodes.
    let placement: PlacementFigures?

    /// - Parameter company: whether other texts may have been there.
    init(
        _ answer: Answer, model: String, placement: PlacementStatus? = nil, id: Identifier? = nil, company: Bool = false
    ) {
        let timings = answer.result.timings
        let telemetry = answer.result.telemetry
        self.id = id
        self.model = model
        prompt_tokens = answer.promptTokens
        tokens = answer.result.tokens
        text = answer.text
        finish_reason = answer.result.reason.rawValue
        logprobs = answer.logProbabilities?.map { entry in
            LogProbabilities(
                token: entry.token, logprob: entry.logProbability,
                top: entry.top.map { RankedEntry($0.token, $0.logProbability) })
        }
        self.timings = TimingFigures(
            prompt_n: timings.promptCount, prompt_ms: Double(timings.promptNanoseconds) / 1e6,
            prompt_per_second: timings.promptPerSecond, predicted_n: timings.predictedCount,
            predicted_ms: Double(timings.predictedNanoseconds) / 1e6,
            predicted_per_second: timings.predictedPerSecond, draft_n: telemetry.drafted.reduce(0, +),
            draft_n_accepted: telemetry.accepted.reduce(0, +))
        speculation = SpeculationFigures(
            rounds: telemetry.rounds, drafted: telemetry.drafted, accepted: telemetry.accepted,
            tokens_per_round: telemetry.tokensPerRound, sources: SourceFigures(telemetry),
            prediction: answer.prediction.map(PredictionFigures.init),
            policy: answer.result.policy.map(PolicyFigures.init))
        self.company = company ? CompanyFigures(answer.result.company) : nil
        self.placement = placement.map { PlacementFigures($0, answer.result.traffic) }
    }
}
