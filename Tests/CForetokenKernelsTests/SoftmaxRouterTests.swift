import CForetokenKernels
import Glibc
import Testing

/// DeepSeek-V2's rule (`greedy` is that of one group) written down naively, in double precision where it rounds.
struct SoftmaxRouter {
    var groups = 1
    var keptGroups = 1
    var chosen: Int
    var scale: Float = 16
    /// Ignored: weights are never divided by their sum.
    var normalise = false

    func route(_ table: Table, _ logits: [Float]) -> (ids: [Int32], weights: [Float]) {
        var ids = [Int32](repeating: -1, count: chosen)
        var weights = [Float](repeating: .nan, count: chosen)
        var scratch = [Float](repeating: .nan, count: 2 * logits.count)
        var router = foretoken_router(
            bias: nil, scoring: Int32(FORETOKEN_SOFTMAX.rawValue), experts: Int32(logits.count),
            expert_groups: Int32(groups), kept_groups: Int32(keptGroups), chosen: Int32(chosen), scale: scale,
            normalise: normalise)
        table.kernels.route(&router, logits, &ids, &weights, &scratch)
        return (ids, weights)
    }

    func reference(_ logits: [Float]) -> (ids: [Int32], weights: [Double]) {
        let largest = logits.max()!
        // Differences are rounded to Float in every implementation.
        let powers = logits.map { exp(Double($0 - largest)) }
        let sum = powers.reduce(0, +)
        var scores = powers.map { $0 / sum }
        let size = logits.count / groups
        let best = (0..<groups).map { g in scores[g * size..<(g + 1) * size].max()! }
        // Sorting keeps the order of equals: the lower one comes first.
        let kept = (0..<groups).sorted { best[$0] > best[$1] }.prefix(keptGroups)
        for e in scores.indices where !kept.contains(e / size) { scores[e] = 0 }
        let ids = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(chosen).sorted()
        return (ids.map(Int32.init), ids.map { scores[$0] * Double(scale) })
    }
}

@Suite struct SoftmaxRouterTests {
    @Test(arguments: Table.reachable)
    func choosesAsTheRuleSays(table: Table) {
        var numbers = Numbers(11)
        for (experts, groups, kept, chosen) in [
            (160, 8, 3, 6), (64, 1, 1, 6), (16, 4, 2, 3), (12, 12, 5, 5), (7, 1, 1, 2), (1, 1, 1, 1),
        ] {
            for spread in [1, 6, 60] as [Float] {
                for _ in 0..<30 {
                    let logits = numbers.floats(experts, in: -spread...spread)
                    let router = SoftmaxRouter(groups: groups, keptGroups: kept, chosen: chosen)
                    let (ids, weights) = router.route(table, logits)
                    let expected = router.reference(logits)
                    // Scores that underflow are equal here and not there.
                    guard expected.weights.allSatisfy({ $0 > 1e-35 }) else { continue }
                    #expect(ids == expected.ids)
                    for (w, exact) in zip(weights, expected.weights) { #expect(abs(Double(w) - exact) <= 2e-6 * exact) }
                }
            }
        }
    }

    /// All experts count in the softmax, those of other groups too, and the sum of the chosen is not made 1.
    @Test(arguments: Table.reachable)
    func weightsAreScoresOfAllExperts(table: Table) {
        let router = SoftmaxRouter(groups: 2, keptGroups: 1, chosen: 2, scale: 1, normalise: true)
        let (ids, weights) = router.route(table, [1, 0, 0, 0.5])
        let sum = exp(1.0) + 1 + 1 + exp(0.5)
        #expect(ids == [0, 1])
        #expect(abs(Double(weights[0]) - exp(1.0) / sum) < 1e-7 && abs(Double(weights[1]) - 1 / sum) < 1e-7)
    }

    /// One strong expert makes a group, where DeepSeek-V3 counts two.
    @Test(arguments: Table.reachable)
    func groupsAreRankedByTheirBest(table: Table) {
        let router = SoftmaxRouter(groups: 2, keptGroups: 1, chosen: 2)
        #expect(router.route(table, [4, -8, -9, 3, 3, 3]).ids == [0, 1])
    }

    /// Masked experts count as 0 and are chosen, with that weight, only where scores underflow.
    @Test(arguments: Table.reachable)
    func maskedExpertsHaveNoWeight(table: Table) {
        let router = SoftmaxRouter(groups: 2, keptGroups: 1, chosen: 2)
        let (ids, weights) = router.route(table, [100, -100, 90, 90])
        #expect(ids == [0, 1] && weights[1] == 0 && weights[0] > 15.9)
        let (last, others) = router.route(table, [90, 90, -100, 100])
        #expect(last == [0, 3] && others[0] == 0 && others[1] > 15.9)
    }

    @Test(arguments: Table.reachable)
    func tiesGoToTheLowerIndex(table: Table) {
        let logits = [Float](repeating: 0.5, count: 16)
        let router = SoftmaxRouter(groups: 4, keptGroups: 2, chosen: 3)
        #expect(router.route(table, logits).ids == [0, 1, 2])
        let far = SoftmaxRouter(groups: 4, keptGroups: 2, chosen: 5)
        #expect(far.route(table, (0..<16).map { $0 >= 8 ? 1 : 0 }).ids == [8, 9, 10, 11, 12])
    }

    @Test(arguments: Table.reachable)
    func nonFiniteLogitsStillGiveDistinctExperts(table: Table) {
        let router = SoftmaxRouter(groups: 2, keptGroups: 1, chosen: 3)
        let odd: [[Float]] = [
            [.nan, .infinity, -.infinity, .nan, .nan, .nan, 1, .nan], .init(repeating: .nan, count: 8),
            .init(repeating: -.infinity, count: 8), .init(repeating: .infinity, count: 8),
            [0, 1, 2, 3, 4, 5, 6, .infinity],
        ]
        for logits in odd {
            let (ids, weights) = router.route(table, logits)
            #expect(Set(ids).count == 3 && ids == ids.sorted() && ids.allSatisfy { (0..<8).contains($0) })
            // What is wrong goes on into the row, where it is found.
            #expect(weights.contains { !$0.isFinite })
        }
        // An expert that cannot be chosen is no error.
        let (ids, weights) = router.route(table, [0, -.infinity, 1, 2, -.infinity, 0, 0, 0])
        #expect(ids == [0, 2, 3] && weights.allSatisfy(\.isFinite))
    }
}
