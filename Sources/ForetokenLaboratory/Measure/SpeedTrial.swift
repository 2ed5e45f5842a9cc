import ForetokenSpeculation

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

    /// Speed of mode `mode` over the first one's: the ratio of the prompts' median times, with an interval from resampled
    /// prompts and, within them, resampled turns.
    func comparison(_ mode: Int, temperature: Float, predicted: Double?) -> Measurement.SpeedComparison? {
        let raced = times[0].indices.filter { hasRaced($0) }
        guard !raced.isEmpty else { return nil }
        var random = SplitMix(state: 0x1319_8A2E_0370_7344)
        let samples = (0..<Self.resampleCount).map { _ -> Double in
            var (plain, drafted) = (0.0, 0.0)
            for _ in raced {
                let prompt = raced[random.index(below: raced.count)]
                let turns = times[mode][prompt].indices.map { _ in random.index(below: times[mode][prompt].count) }
                plain += median(turns.map { times[0][prompt][$0] })
                drafted += median(turns.map { times[mode][prompt][$0] })
            }
            return plain / drafted
        }
        let plain = raced.reduce(0) { $0 + median(times[0][$1]) }
        let drafted = raced.reduce(0) { $0 + median(times[mode][$1]) }
        let bounds = Bootstrap.percentiles(samples.sorted())
        return Measurement.SpeedComparison(
            draft: modes[mode].name, temperature: temperature, predicted: predicted,
            measured: Estimate(
                plain / drafted, bounds, orWider: nil, count: raced.reduce(0) { $0 + times[mode][$1].count }),
            tokensPerSecond: raced.reduce(0) { $0 + tokens[$1] } / drafted * 1e9,
            tokensPerRound: max(1, telemetry[mode].tokensPerRound))
    }

    private static let resampleCount = 500
}
