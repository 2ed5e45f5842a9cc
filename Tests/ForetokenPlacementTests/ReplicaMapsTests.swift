import ForetokenPlacement
import Testing

/// Expected arrays are what DeepSeek's `eplb.rebalance_experts` returned for the same loads.
@Suite struct ReplicaMapsTests {
    private let loads: [[Double]] = [
        [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
    ]

    @Test("EPLB's own example: groups packed to nodes, experts copied, copies packed to devices")
    func hierarchical() throws {
        let maps = try ReplicaMaps(balancing: loads, copies: 16, groups: 4, nodes: 2, devices: 8)
        #expect(
            maps.phy2log == [
                [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1],
                [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1],
            ])
        #expect(maps.logcnt == [[1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1], [1, 2, 1, 1, 1, 2, 2, 1, 2, 1, 1, 1]])
        #expect(
            maps.log2phy[0] == [
                [12, -1], [15, 13], [11, -1], [6, -1], [7, 5], [0, 2], [1, -1], [3, -1], [4, -1], [9, -1], [8, 10],
                [14, -1],
            ])
    }

    @Test("Where nodes do not divide groups, all experts are one group on one node")
    func global() throws {
        let maps = try ReplicaMaps(balancing: loads, copies: 16, groups: 3, nodes: 2, devices: 4)
        #expect(
            maps.phy2log == [
                [10, 8, 3, 7, 10, 1, 1, 4, 0, 5, 4, 2, 11, 5, 9, 6],
                [1, 9, 3, 11, 2, 8, 8, 10, 5, 6, 7, 0, 5, 6, 7, 4],
            ])
        #expect(maps.log2phy[1][5...8] == [[8, 12], [9, 13], [10, 14], [5, 6]])
        let three = try ReplicaMaps(balancing: loads, copies: 15, groups: 1, nodes: 1, devices: 3)
        #expect(three.phy2log[1] == [7, 6, 9, 11, 4, 1, 5, 8, 8, 10, 2, 5, 6, 3, 0])
    }

    struct Large: Sendable {
        var copies: Int, groups: Int, nodes: Int, devices: Int
        var digests: [UInt64]
    }

    @Test(
        "Two layers of 256 experts, by checksum",
        arguments: [
            Large(
                copies: 256, groups: 8, nodes: 1, devices: 8,
                digests: [1_233_216_922_056_465_519, 2_110_954_828_495_079_679, 16_491_488_093_365_898_533]),
            Large(
                copies: 288, groups: 8, nodes: 8, devices: 16,
                digests: [305_297_880_363_721_379, 12_991_494_797_050_350_331, 15_068_417_377_703_983_261]),
            Large(
                copies: 320, groups: 8, nodes: 3, devices: 8,
                digests: [4_480_430_358_538_026_829, 4_895_365_175_049_190_253, 602_470_295_402_475_469]),
            Large(
                copies: 256, groups: 1, nodes: 1, devices: 4,
                digests: [676_191_110_815_150_185, 5_218_495_060_043_190_329, 16_491_488_093_365_898_533]),
        ])
    func large(_ example: Large) throws {
        let maps = try ReplicaMaps(
            balancing: [Self.loads(seed: 7), Self.loads(seed: 8)], copies: example.copies, groups: example.groups,
            nodes: example.nodes, devices: example.devices)
        let found = [
            maps.phy2log.joined().map { $0 }, maps.log2phy.joined().flatMap { $0 }, maps.logcnt.joined().map { $0 },
        ]
        #expect(found.map(Self.digest) == example.digests)
    }

    /// Knuth's linear congruential generator, so that loads are the same in any language.
    private static func loads(seed: UInt64) -> [Double] {
        var state = seed
        return (0..<256).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double((state >> 44) % 100_000)
        }
    }

    /// FNV-1a over whole numbers.
    private static func digest(_ values: [Int]) -> UInt64 {
        values.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64(bitPattern: Int64($1))) &* 0x100_0000_01B3 }
    }

    @Test("The balanced policy on equal nodes is EPLB's packing of one copy each")
    func policy() throws {
        let model = PlacementFixtures.v3(layers: 3)
        let machine = PlacementFixtures.machine(nodes: 4, for: model)
        let halves = try WindowHalves(of: PlacementFixtures.smallTrace)
        let planner = try Planner(model: model, machine: machine, halves: halves)
        let plan = try #require(planner.plan([.balanced]).results[0].plan)
        let statistics = RoutingStatistics(halves.training, machine: machine)
        let maps = try ReplicaMaps(balancing: statistics.rows, copies: 256, groups: 1, nodes: 1, devices: 4)
        for (index, layer) in model.layers.enumerated() {
            for (place, expert) in maps.phy2log[index].enumerated() {
                #expect(plan.layers[layer]![expert] == .whole(place / 64))
            }
        }
    }

    @Test("Numbers that do not divide each other are refused")
    func refusals() {
        #expect(throws: PlacementError.self) {
            try ReplicaMaps(balancing: loads, copies: 13, groups: 1, nodes: 1, devices: 4)
        }
        #expect(throws: PlacementError.self) {
            try ReplicaMaps(balancing: loads, copies: 8, groups: 1, nodes: 1, devices: 4)
        }
        #expect(throws: PlacementError.self) {
            try ReplicaMaps(balancing: loads, copies: 16, groups: 5, nodes: 1, devices: 4)
        }
        #expect(throws: PlacementError.self) {
            try ReplicaMaps(balancing: [[1, .nan]], copies: 2, groups: 1, nodes: 1, devices: 1)
        }
    }
}
