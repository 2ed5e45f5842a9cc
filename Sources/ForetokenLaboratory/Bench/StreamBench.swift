import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Times a text that grows while another's prompt is read beside it: how long it has to pause, and how much longer the
/// prompt takes.
package final class StreamBench {
    /// Tokens of the growing text's own prompt.
    private static let context = 32
    /// Tokens that it gets before the prompt comes, of which the later half tell how long they take.
    private static let lead = 32

    private let model: Model
    private let engine: Engine
    private let prompt: [Int32]
    private var windows: [Double] = []
    /// Of each sample: the middle, the 99th percentile and the longest of its pauses, in windows.
    private var middle: [Double] = []
    private var long: [Double] = []
    private var longest: [Double] = []
    private var times: [Double] = []

    /// Most tokens of the growing text.
    private static let capacity = 4096

    /// Positions of the two texts beside a prompt of so many tokens.
    static func capacities(prompt: Int) -> [Int] { [max(capacity, prompt + 1), prompt + 1] }

    /// - Parameter prompt: what is read beside; the growing text begins with the end of it.
    /// - Throws: `HardwareError` without memory for the texts.
    package init(_ model: Model, prompt: [Int32], cacheType: CacheType) throws {
        self.model = model
        self.prompt = prompt
        let capacities = Self.capacities(prompt: prompt.count)
        var settings = Engine.Settings(context: min(capacities.max()!, model.configuration.maximumPositions))
        settings.parallel = 2
        settings.pages = capacities.reduce(0) { $0 + LatentPool.pages(forPositions: $1) }
        settings.cacheType = cacheType
        settings.drafting = false
        engine = try Engine(model, settings)
    }

    /// One sample.
    /// - Returns: false when `proceed` said no; such a sample does not count.
    /// - Throws: `GenerationError` when the model's logits overflow.
    package func run(proceed: () -> Bool) throws -> Bool {
        let sample = Sample()
        try withoutActuallyEscaping(proceed) { proceed in
            try engine.submit(
                request(Array(prompt.suffix(Self.context)), tokens: Self.capacity),
                observe: { [self] event in
                    guard case .token = event else { return .proceed }
                    sample.take(MonotonicClock.now)
                    if sample.times.count == Self.lead {
                        sample.goesOn = proceed()
                        if sample.goesOn { submitPrompt(sample) }
                    }
                    return sample.goesOn && sample.outcome == nil ? .proceed : .cancel
                }, completion: { _ in })
            engine.run()
        }
        // The engine lets the workers rest.
        model.pool.startSpinning()
        guard sample.goesOn else { return false }
        _ = try sample.outcome?.get()
        let pauses = sample.pauses.sorted()
        guard let window = sample.window(of: Self.lead), let last = pauses.last else { return true }
        windows.append(window)
        middle.append(median(pauses) / window)
        long.append(pauses[pauses.count * 99 / 100] / window)
        longest.append(last / window)
        times.append(sample.reading)
        return true
    }

    private func request(_ prompt: [Int32], tokens: Int) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = tokens
        request.draft = .off
        return request
    }

    private func submitPrompt(_ sample: Sample) {
        sample.begin()
        do {
            try engine.submit(request(prompt, tokens: 1), completion: { sample.end($0) })
        } catch {
            sample.end(.failure(error))
        }
    }

    /// nil before anything was timed.
    /// - Parameter alone: nanoseconds that the prompt takes alone.
    package func result(alone: Double?) -> BenchReport.Stream? {
        guard !windows.isEmpty else { return nil }
        return BenchReport.Stream(
            promptTokens: prompt.count, window: median(windows), pause: median(middle), longPause: median(long),
            longestPause: median(longest), promptTime: median(times), promptOverAlone: alone.map { median(times) / $0 })
    }

    /// When the growing text's tokens came.
    private final class Sample {
        private(set) var times: [Int64] = []
        private var began: Int64?
        private var ended: Int64?
        /// What became of the prompt.
        private(set) var outcome: Engine.Outcome?
        var goesOn = true

        func take(_ time: Int64) { times.append(time) }
        func begin() { began = MonotonicClock.now }
        func end(_ outcome: Engine.Outcome) {
            ended = MonotonicClock.now
            self.outcome = outcome
        }

        var reading: Double { Double((ended ?? 0) - (began ?? 0)) }

        /// Median nanoseconds between tokens before the prompt came.
        func window(of lead: Int) -> Double? {
            guard times.count >= lead else { return nil }
            return median((lead / 2..<lead).map { Double(times[$0] - times[$0 - 1]) })
        }

        /// Nanoseconds between tokens since the prompt came.
        var pauses: [Double] {
            guard let began else { return [] }
            return times.indices.dropFirst().filter { times[$0] > began }.map { Double(times[$0] - times[$0 - 1]) }
        }
    }
}
