import ForetokenPlacement
import ForetokenWeights

#if canImport(Glibc)
    import Glibc
#endif

/// Router biases under which a made-up model's rows overlap like real ones: some experts are favoured. What a step reads,
/// and how many rows each expert gets, is then as in the routing that it stands for; which text it is plays no part.
struct MadeRouting {
    /// What it stands for.
    let overlap: ExpertOverlap
    /// By expert: `e_score_correction_bias`; zeros for uniform routing.
    let biases: [Float]

    private static let rows = 512
    private static let rounds = 400
    private static let pace = 0.15

    /// - Parameters:
    ///   - configuration: of the made-up model, with as many experts as the overlap.
    ///   - deviation: standard deviation of its router logits.
    init(_ overlap: ExpertOverlap, _ configuration: ModelConfiguration, deviation: Double) {
        self.overlap = overlap
        let groups = configuration.expertGroupCount
        let perGroup = overlap.expertCount / groups
        // Favoured experts are dealt out to the groups: few groups are kept for a row.
        var wanted = [Double](repeating: 0, count: overlap.expertCount)
        for (rank, chance) in OverlapChances(overlap).chances.enumerated() {
            wanted[rank % groups * perGroup + rank / groups] = chance
        }
        guard (wanted.max() ?? 0) > 1.001 * (wanted.min() ?? 0) else {
            biases = wanted.map { _ in 0 }
            return
        }
        var routing = MadeRouter(configuration, deviation: deviation, rows: Self.rows)
        for _ in 0..<Self.rounds {
            let counts = routing.chosen()
            for (expert, chance) in wanted.enumerated() {
                let found = max(Double(counts[expert]), 0.5) / Double(Self.rows)
                routing.biases[expert] += Self.pace * log(chance / found)
            }
        }
        let least = routing.biases.min() ?? 0
        biases = routing.biases.map { Float($0 - least) }
    }

    /// Makes all routers of the model choose so from now on.
    func apply(to weights: ModelWeights) { weights.setRouterBiases(biases) }
}

/// The choice of experts as DeepSeek-V3's router makes it, over rows of made-up scores.
private struct MadeRouter {
    /// By expert.
    var biases: [Double]
    /// [row][expert]
    private var scores: [Double] = []
    private let groups, kept, perRow: Int

    init(_ configuration: ModelConfiguration, deviation: Double, rows: Int) {
        groups = configuration.expertGroupCount
        kept = configuration.keptGroupCount
        perRow = configuration.expertsPerToken
        biases = .init(repeating: 0, count: configuration.routedExpertCount)
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func uniform() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (Double(state >> 11) + 0.5) / 0x1p53
        }
        scores = (0..<rows * biases.count).map { _ in
            let normal = sqrt(-2 * log(uniform())) * cos(2 * .pi * uniform())
            return 1 / (1 + exp(-deviation * normal))
        }
    }

    /// By expert: rows that choose it.
    func chosen() -> [Int] {
        let count = biases.count
        let perGroup = count / groups
        var counts = [Int](repeating: 0, count: count)
        var order: [(score: Double, expert: Int)] = []
        for row in stride(from: 0, to: scores.count, by: count) {
            func score(_ expert: Int) -> Double { scores[row + expert] + biases[expert] }
            let ranked = (0..<groups).map { group -> (score: Double, group: Int) in
                var (first, second) = (-Double.infinity, -Double.infinity)
                for expert in group * perGroup..<(group + 1) * perGroup {
                    let score = score(expert)
                    if score > first { (first, second) = (score, first) } else { second = max(second, score) }
                }
                return (perGroup > 1 ? first + second : first, group)
            }.sorted { $0.score > $1.score }
            order.removeAll(keepingCapacity: true)
            for (_, group) in ranked.prefix(kept) {
                for expert in group * perGroup..<(group + 1) * perGroup {
                    let score = score(expert)
                    if order.count == perRow && score <= order[perRow - 1].score { continue }
                    order.insert((score, expert), at: order.firstIndex { $0.score < score } ?? order.count)
                    if order.count > perRow { order.removeLast() }
                }
            }
            for (_, expert) in order { counts[expert] += 1 }
        }
        return counts
    }
}
