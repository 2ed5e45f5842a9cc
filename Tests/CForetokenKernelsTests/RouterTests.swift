import CForetokenKernels
import Glibc
import Testing

/// DeepSeek-V3's rule written down naively, in double precision where it rounds.
struct Router {
    var bias: [Float]
    var groups = 1
    var keptGroups = 1
    var chosen: Int
    var scale: Float = 2.5
    var normalise = true

    func route(_ table: Table, _ logits: [Float]) -> (ids: [Int32], weights: [Float]) {
        var ids = [Int32](repeating: -1, count: chosen)
        var weights = [Float](repeating: .nan, count: chosen)
        var scratch = [Float](repeating: .nan, count: 2 * logits.count)
        bias.withUnsafeBufferPointer { bias in
            var router = foretoken_router(
                bias: bias.baseAddress, scoring: Int32(FORETOKEN_SIGMOID.rawValue), experts: Int32(logits.count),
                expert_groups: Int32(groups), kept_groups: Int32(keptGroups), chosen: Int32(chosen), scale: scale,
                normalise: normalise)
            table.kernels.route(&router, logits, &ids, &weights, &scratch)
        }
        return (ids, weights)
    }

    func reference(_ logits: [Float]) -> (ids: [Int32], weights: [Double]) {
        let scores = logits.map { 1 / (1 + exp(-Double($0))) }
        var biased = zip(scores, bias).map { $0 + Double($1) }
        let size = logits.count / groups
        let groupScores = (0..<groups).map { g in
            biased[g * size..<(g + 1) * size].sorted(by: >).prefix(2).reduce(0, +)
        }
        let kept = (0..<groups).sorted { groupScores[$0] > groupScores[$1] }.prefix(keptGroups)
        for e in biased.indices where !kept.contains(e / size) { biased[e] = -.infinity }
        let ids = biased.indices.sorted { biased[$0] > biased[$1] }.prefix(chosen).sorted()
        let sum = ids.reduce(1e-20) { $0 + scores[$1] }
        return (ids.map(Int32.init), ids.map { scores[$0] / (normalise ? sum : 1) * Double(scale) })
    }
}

@Suite struct RouterTests {
    @Test(arguments: Table.reachable)
    func choosesAsTheRuleSays(table: Table) {
        var numbers = Numbers(1)
        for (experts, groups, kept, chosen) in [
            (256, 8, 4, 8), (16, 4, 2, 3), (12, 12, 5, 5), (7, 1, 1, 2), (64, 1, 1, 6),
        ] {
            for round in 0..<50 {
                let logits = numbers.floats(experts, in: -6...6)
                let router = Router(
                    bias: numbers.floats(experts), groups: groups, keptGroups: kept, chosen: chosen,
                    normalise: round % 2 == 0)
                let (ids, weights) = router.route(table, logits)
                let expected = router.reference(logits)
                #expect(ids == expected.ids)
                for (w, exact) in zip(weights, expected.weights) { #expect(abs(Double(w) - exact) <= 1e-6 * exact) }
            }
        }
    }

    @Test(arguments: Table.reachable)
    func biasSelectsButDoesNotWeigh(table: Table) {
        let router = Router(bias: [0, 0, 5, 0], chosen: 2, scale: 1, normalise: false)
        let (ids, weights) = router.route(table, [2, 1, -3, 0])
        #expect(ids == [0, 2])
        #expect(abs(weights[0] - 0.880797) < 1e-6 && abs(weights[1] - 0.04742587) < 1e-6)
    }

    /// With zero in place of -inf, the masked experts would beat these negative scores.
    @Test(arguments: Table.reachable)
    func negativeScoresBeatMaskedGroups(table: Table) {
        let router = Router(bias: [-3, -3, -9, -9], groups: 2, keptGroups: 1, chosen: 2)
        #expect(router.route(table, [0, 0, 0, 0]).ids == [0, 1])
    }

    @Test(arguments: Table.reachable)
    func tiesGoToTheLowerIndex(table: Table) {
        let logits = [Float](repeating: 0.5, count: 16)
        let router = Router(bias: [Float](repeating: 0, count: 16), groups: 4, keptGroups: 2, chosen: 3)
        #expect(router.route(table, logits).ids == [0, 1, 2])
        let far = Router(bias: (0..<16).map { $0 >= 8 ? 1 : 0 }, groups: 4, keptGroups: 2, chosen: 5)
        #expect(far.route(table, logits).ids == [8, 9, 10, 11, 12])
    }

    /// One strong expert does not make a group: the two best count together.
    @Test(arguments: Table.reachable)
    func groupsAreRankedByTheirTwoBest(table: Table) {
        let router = Router(bias: [0, 0, 0, 0, 0, 0], groups: 2, keptGroups: 1, chosen: 2)
        #expect(router.route(table, [4, -8, -8, 1, 1, -8]).ids == [3, 4])
    }

    @Test(arguments: Table.reachable)
    func nonFiniteLogitsStillGiveDistinctExperts(table: Table) {
        let router = Router(bias: [Float](repeating: 0, count: 8), groups: 2, keptGroups: 1, chosen: 3)
        let logits: [Float] = [.nan, .infinity, -.infinity, .nan, .nan, .nan, 1, .nan]
        for candidate in [logits, [Float](repeating: .nan, count: 8)] {
            let ids = router.route(table, candidate).ids
            #expect(Set(ids).count == 3 && ids == ids.sorted() && ids.allSatisfy { (0..<8).contains($0) })
        }
    }
}
