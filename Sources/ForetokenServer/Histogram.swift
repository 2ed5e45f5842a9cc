import ForetokenModel

/// Counts of values by size, as Prometheus keeps them.
struct Histogram: Sendable {
    /// Upper ends of all but the last size, ascending.
    let bounds: [Double]
    /// One more than there are bounds.
    private var counts: [Int]
    private(set) var sum = 0.0
    private(set) var count = 0

    init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = .init(repeating: 0, count: bounds.count + 1)
    }

    /// Steps by their rows.
    init(_ windows: WindowCounts) {
        bounds = (1...16).map(Double.init)
        counts = (1...16).map { windows.byRows[$0] } + [0]
        (sum, count) = (Double(windows.rows), windows.steps)
    }

    mutating func add(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
        count += 1
    }

    /// By bound, the last being infinite: how many values are no larger.
    var cumulative: [Int] {
        var total = 0
        return counts.map { count in
            total += count
            return total
        }
    }

    // The buckets of vLLM's metrics, so that its dashboards fit.
    static let firstToken = Histogram([
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
        2560,
    ])
    static let betweenTokens = Histogram([
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ])
    static let request = Histogram([
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ])
    static let tokens = Histogram([
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100_000, 200_000,
    ])
    static let choices = Histogram([1, 2, 5, 10, 20])
    static let cancel = Histogram([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])
}
