/// Generates the same texts in several draft modes that take turns, and compares their times.
final class SpeedTrial {
    let modes: [DraftMode]
    private let generator: Generator
    /// By mode and prompt: nanoseconds from the first token to the last.
    private var times: [[[Double]]]
    private var tokens: [Double]
    private(set) var telemetry: [Telemetry]
    private var turn = 0

    /// - Parameter modes: the first is what the others are compared with.
    init(_ generator: Generator, modes: [DraftMode], prompts: Int) {
        self.generator = generator
        self.modes = modes
        times = .init(repeating: .init(repeating: [], count: prompts), count: modes.count)
        tokens = .init(repeating: 0, count: prompts)
        telemetry = .init(repeating: Telemetry(), count: modes.count)
    }

    /// Runs prompt `index` once in every mode, in an order that turns from call to call.
    /// - Returns: false when `proceed` said no; the unfinished turn does not count.
    func run(_ request: GenerationRequest, prompt index: Int, proceed: () -> Bool) throws -> Bool {
        var results = [GenerationResult?](repeating: nil, count: modes.count)
        let order = modes.indices.map { ($0 + turn) % modes.count }
        for mode in turn % 2 == 0 ? order : order.reversed() {
            generator.clear()
            var request = request
            request.draft = modes[mode]
            let result = try generator.generate(request) { _ in proceed() ? .proceed : .cancel }
            guard result.reason != .cancelled else { return false }
            results[mode] = result
        }
        turn += 1
        for (mode, result) in results.enumerated() {
            guard let result, result.tokens.count > 1 else { continue }
            times[mode][index].append(Double(result.timings.predictedNanoseconds))
            telemetry[mode].add(result.telemetry)
            tokens[index] = Double(result.tokens.count - 1)
        }
        return true
    }

    /// Whether prompt `index` has been run in every mode.
    func hasRaced(_ index: Int) -> Bool { times.allSatisfy { !$0[index].isEmpty } }

    /// Speed of mode `mode` over the first one's, by prompt.
    func comparison(
        _ mode: Int, temperature: Float, predicted: Double?, _ bootstrap: Bootstrap
    ) -> Measurement.SpeedComparison? {
        let medians = times.map { $0.map { $0.isEmpty ? 0 : median($0) } }
        let pairs = zip(medians[0], medians[mode]).map { Counts(hits: $0, trials: $1) }
        guard let ratio = bootstrap.ratio(pairs, isProportion: false) else { return nil }
        let total = medians[mode].reduce(0, +)
        let produced = zip(tokens, medians[mode]).reduce(0) { $0 + ($1.1 > 0 ? $1.0 : 0) }
        let turns = times[mode].reduce(0) { $0 + $1.count }
        return Measurement.SpeedComparison(
            draft: modes[mode].name, temperature: temperature, predicted: predicted,
            measured: Estimate(value: ratio.value, low: ratio.low, high: ratio.high, count: turns),
            tokensPerSecond: produced / total * 1e9,
            tokensPerRound: max(1, telemetry[mode].tokensPerRound))
    }
}

extension DraftMode {
    /// The spelling of the command line.
    public var name: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .fixed(let count): "\(count)"
        }
    }
}
