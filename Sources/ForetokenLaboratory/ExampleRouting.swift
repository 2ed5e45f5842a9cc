import ForetokenPlacement
import ForetokenWeights

#if canImport(Glibc)
    import Glibc
#endif

/// Routing that no model did, for trying placement without a trace of one's own.
///
/// In every layer experts differ in popularity (logits fall with the logarithm of the rank), follow a text's topic along a few
/// directions that they share, and follow its course, which changes slowly (first-order autoregressive). Groups are kept by
/// their two best experts, as DeepSeek-V3's router does. Rows that follow each other then share experts about as much as in
/// published traces; which experts are popular, and which go together, is made up.
package struct ExampleRouting {
    private let experts, perToken, groups, keptGroups: Int
    private let layers: [Int]
    private var random = SplitMix64(seed: 0x4528_21E6_38D0_1377)
    /// Normal numbers, drawn from by place.
    private let normal: [Float]

    private static let texts = 16
    private static let windowsOfText = 128
    /// Directions that experts follow.
    private static let rank = 16
    private static let skew: Float = 0.5
    private static let inertia: Float = 0.9
    private static let pull: Float = 0.7
    private static let noise: Float = 1.2
    /// How often a draft holds.
    private static let acceptance: Float = 0.85

    /// Routing of a model's main layers; nil for one without routed experts.
    package init?(_ configuration: ModelConfiguration) {
        guard configuration.layerCount > configuration.denseLayerCount else { return nil }
        experts = configuration.routedExpertCount
        perToken = configuration.expertsPerToken
        groups = configuration.expertGroupCount
        keptGroups = configuration.keptGroupCount
        layers = Array(configuration.denseLayerCount..<configuration.layerCount)
        var random = SplitMix64(seed: 0xBE54_66CF_34E9_0C6C)
        normal = (0..<1 << 12).map { _ in
            // Box and Muller 1958.
            let radius = (-2 * log(max(Self.uniform(&random), 1e-7))).squareRoot()
            return radius * cos(2 * .pi * Self.uniform(&random))
        }
    }

    private static func uniform(_ random: inout SplitMix64) -> Float {
        Float(random.index(below: 1 << 24)) / Float(1 << 24)
    }

    private mutating func draw() -> Float { normal[random.index(below: normal.count)] }

    /// A trace of 16 texts with 128 windows of two rows each, the newest token and one draft.
    /// - Parameter model: the fingerprint that it is to carry.
    package mutating func trace(model: String) -> RoutingTrace {
        var trace = RoutingTrace(
            model: model, layers: layers, expertCount: experts, expertsPerToken: perToken)
        trace.domains = ["example"]
        for text in 0..<Self.texts {
            var position = 0
            for _ in 0..<Self.windowsOfText {
                let first = trace.rowCount
                let holds = Self.uniform(&random) < Self.acceptance
                trace.kinds += [.newest, holds ? .accepted : .rejected]
                trace.windows.append(
                    .init(rows: first..<first + 2, domain: 0, position: position, text: text))
                position += holds ? 2 : 1
            }
        }
        let rows = trace.rowCount
        var chosen = [[UInt16]](repeating: [], count: layers.count)
        for layer in layers.indices { chosen[layer] = choices(rows: rows) }
        trace.experts.reserveCapacity(rows * layers.count * perToken)
        for row in 0..<rows {
            for layer in layers.indices {
                trace.experts += chosen[layer][row * perToken..<(row + 1) * perToken]
            }
        }
        return trace
    }

    /// One layer's choices: [rows][perToken], ascending in each row.
    private mutating func choices(rows: Int) -> [UInt16] {
        var popularity = (1...experts).map { -Self.skew * log(Float($0)) }
        for place in stride(from: experts - 1, to: 0, by: -1) {
            popularity.swapAt(place, random.index(below: place + 1))
        }
        let scale = (2 / Float(Self.rank)).squareRoot()
        let directions = (0..<experts * Self.rank).map { _ in draw() * scale }
        var state = [Float](repeating: 0, count: Self.rank)
        var topic = state
        var logits = [Float](repeating: 0, count: experts)
        var chosen: [UInt16] = []
        chosen.reserveCapacity(rows * perToken)
        let fresh = (1 - Self.inertia * Self.inertia).squareRoot()
        for row in 0..<rows {
            let isNewText = row % (2 * Self.windowsOfText) == 0
            for axis in 0..<Self.rank {
                if isNewText { (state[axis], topic[axis]) = (draw(), draw()) }
                state[axis] = Self.inertia * state[axis] + fresh * draw()
            }
            for expert in 0..<experts {
                var logit = popularity[expert] + Self.noise * draw()
                for axis in 0..<Self.rank {
                    logit += directions[expert * Self.rank + axis] * Self.pull * (state[axis] + topic[axis])
                }
                logits[expert] = logit
            }
            chosen += best(logits)
        }
        return chosen
    }

    /// The best experts in the best groups, ascending.
    private func best(_ logits: [Float]) -> [UInt16] {
        let size = experts / groups
        let scores = (0..<groups).map { group in
            var (first, second) = (-Float.infinity, -Float.infinity)
            for value in logits[group * size..<(group + 1) * size] {
                if value > first {
                    (first, second) = (value, first)
                } else if value > second {
                    second = value
                }
            }
            return size > 1 ? first + second : first
        }
        let kept = (0..<groups).sorted { scores[$0] > scores[$1] }.prefix(keptGroups)
        var chosen: [Int] = []
        for expert in kept.flatMap({ $0 * size..<($0 + 1) * size }) {
            var place = chosen.count
            while place > 0, logits[chosen[place - 1]] < logits[expert] { place -= 1 }
            if place < perToken {
                chosen.insert(expert, at: place)
                if chosen.count > perToken { chosen.removeLast() }
            }
        }
        return chosen.map { UInt16($0) }.sorted()
    }
}
