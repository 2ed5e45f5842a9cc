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
    package func run(proceed: () -> Bool) throws -> Bool {
        let sample = Sample()
        var request = GenerationRequest(prompt: Array(prompt.suffix(Self.context)))
        request.maximumTokens = Self.capacity
        request.draft = .off
        var goesOn = true
        try withoutActuallyEscaping(proceed) { proceed in
            try engine.submit(
                request,
                observe: { [self] event in
                    guard case .token = event else { return .proceed }
                    sample.take(MonotonicClock.now)
                    if sample.times.count == Self.lead {
                        goesOn = proceed()
                        sample.begin()
                        try? submitPrompt { sample.end() }
                    }
                    return goesOn && !sample.isDone ? .proceed : .cancel
                }, completion: { _ in })
            try engine.run()
        }
        // The engine lets the workers rest.
        model.pool.startSpinning()
        guard goesOn, let window = sample.window(of: Self.lead) else { return goesOn }
        let pauses = sample.pauses.sorted()
        guard let last = pauses.last else { return true }
        windows.append(window)
        middle.append(median(pauses) / window)
        long.append(pauses[pauses.count * 99 / 100] / window)
        longest.append(last / window)
        times.append(sample.reading)
        return true
    }

    private func submitPrompt(_ completion: @escaping () -> Void) throws {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = 1
        request.draft = .off
        try engine.submit(request, completion: { _ in completion() })
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

        func take(_ time: Int64) { times.append(time) }
        func begin() { began = MonotonicClock.now }
        func end() { ended = MonotonicClock.now }

        var isDone: Bool { ended != nil }
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
