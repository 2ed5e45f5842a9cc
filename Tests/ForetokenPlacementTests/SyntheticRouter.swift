import ForetokenPlacement
import ForetokenTestSupport
import Glibc

/// Routes synthetic texts: the eight best of 256 experts in four of eight groups, groups ranked by their two best.
///
/// Experts are popular by rank (logit -skew · ln rank), go together by low-rank topics, and follow the text: a latent state
/// that changes slowly (first-order autoregressive) around a topic that jumps now and then.
struct SyntheticRouter {
    static let experts = 256
    static let chosen = 8
    private static let groups = 8
    private static let keptGroups = 4
    private static let rank = 16
    private static let topicCount = 24
    private static let inertia = 0.9

    private let popularity: [Float]
    private let directions: [Float]
    private let topics: [[Float]]
    private let topicWeights: [Double]

    /// A router; equal seeds give equal ones.
    init(skew: Double, coactivation: Double = 1, seed: UInt64) {
        var random = SeededGenerator(seed: seed, name: "router")
        var ranks = Array(1...Self.experts)
        ranks.shuffle(using: &random)
        popularity = ranks.map { Float(-skew * log(Double($0))) }
        let scale = Float(coactivation * (2 / Double(Self.rank)).squareRoot())
        directions = (0..<Self.experts * Self.rank).map { _ in random.gaussian() * scale }
        topics = (0..<Self.topicCount).map { _ in (0..<Self.rank).map { _ in random.gaussian() } }
        // Nearly a Dirichlet distribution of concentration 0.7: powers of uniforms.
        let raw = (0..<Self.topicCount).map { _ in pow(-log(Double(random.uniform()) + 1e-9), 1 / 0.85) }
        topicWeights = raw.map { $0 / raw.reduce(0, +) }
    }

    /// Experts of consecutive rows, ascending in each: [rows][8].
    func rows(_ count: Int, seed: UInt64) -> [UInt16] {
        var random = SeededGenerator(seed: seed, name: "text")
        var state = [Float](repeating: 0, count: Self.rank)
        var topic = topics[pick(&random)]
        var logits = [Float](repeating: 0, count: Self.experts)
        var experts: [UInt16] = []
        experts.reserveCapacity(count * Self.chosen)
        var offset: Float? = nil
        let (kept, fresh) = (Float(Self.inertia), Float((1 - Self.inertia * Self.inertia).squareRoot()))
        for _ in 0..<count {
            if random.uniform() < 1 / 150 { topic = topics[pick(&random)] }
            for axis in 0..<Self.rank { state[axis] = kept * state[axis] + fresh * random.gaussian() }
            for expert in 0..<Self.experts {
                var logit = popularity[expert]
                for axis in 0..<Self.rank {
                    logit += directions[expert * Self.rank + axis] * 0.7 * (state[axis] + topic[axis])
                }
                logits[expert] = logit - 0.7 * log(-log(max(random.uniform(), 1e-7)))
            }
            // Affinities saturate at the 97th percentile of the logits.
            let middle = offset ?? logits.sorted()[Self.experts * 97 / 100]
            offset = middle
            experts += Self.best(logits.map { 1 / (1 + exp(middle - $0)) })
        }
        return experts
    }

    private func pick(_ random: inout SeededGenerator) -> Int {
        var left = Double(random.uniform())
        for (topic, weight) in topicWeights.enumerated() {
            left -= weight
            if left < 0 { return topic }
        }
        return topicWeights.count - 1
    }

    private static func best(_ affinities: [Float]) -> [UInt16] {
        let size = experts / groups
        let scores = (0..<groups).map { group in
            var (first, second): (Float, Float) = (0, 0)
            for expert in group * size..<(group + 1) * size {
                let value = affinities[expert]
                if value > first { (first, second) = (value, first) } else if value > second { second = value }
            }
            return first + second
        }
        let kept = (0..<groups).sorted { scores[$0] > scores[$1] }.prefix(keptGroups)
        let candidates = kept.flatMap { $0 * size..<($0 + 1) * size }
        var chosen: [Int] = []
        for expert in candidates {
            var place = chosen.count
            while place > 0, affinities[chosen[place - 1]] < affinities[expert] { place -= 1 }
            if place < Self.chosen {
                chosen.insert(expert, at: place)
                if chosen.count > Self.chosen { chosen.removeLast() }
            }
        }
        return chosen.map { UInt16($0) }.sorted()
    }

    /// A trace of verify windows of so many rows, every draft accepted; each layer has a router of its own.
    static func trace(
        layers: Int, rows: Int, windowRows: Int, skew: Double, coactivation: Double = 1, seed: UInt64
    ) -> RoutingTrace {
        var trace = RoutingTrace(
            model: "synthetic", layers: Array(3..<3 + layers), expertCount: experts, expertsPerToken: chosen)
        trace.domains = ["synthetic"]
        let texts = (0..<layers).map { layer in
            SyntheticRouter(skew: skew, coactivation: coactivation, seed: seed &* 1000 &+ UInt64(layer))
                .rows(rows, seed: seed &+ 77)
        }
        for row in 0..<rows {
            for text in texts { trace.experts += text[row * chosen..<(row + 1) * chosen] }
            trace.kinds.append(row % windowRows == 0 ? .newest : .accepted)
        }
        for first in stride(from: 0, to: rows - windowRows + 1, by: windowRows) {
            trace.windows.append(.init(rows: first..<first + windowRows, domain: 0, position: first))
        }
        return trace
    }
}

extension SeededGenerator {
    /// Normal, mean 0, variance 1 (Box and Muller 1958).
    mutating func gaussian() -> Float {
        let radius = (-2 * log(max(uniform(), 1e-7))).squareRoot()
        return radius * cos(2 * .pi * uniform())
    }
}
