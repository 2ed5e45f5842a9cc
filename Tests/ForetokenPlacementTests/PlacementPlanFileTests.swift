import ForetokenPlacement
import ForetokenTestSupport
import FoundationEssentials
import Testing

@Suite struct PlacementPlanFileTests {
    private let plan = PlacementPlan(
        policy: "tiered", model: "v3", machine: "machine", nodes: [0, 2],
        layers: [
            3: [.whole(0), .mirrored([1, 0]), .shares([3, 13])], 7: [.whole(1), .whole(0), .shares([3, 13])],
        ])

    private func text(_ plan: PlacementPlan) throws -> String {
        String(decoding: try PlacementPlanFile.encode(plan), as: UTF8.self)
    }

    private func decode(_ text: String) throws -> PlacementPlan {
        try PlacementPlanFile.decode(Array(text.utf8), name: "plan.json")
    }

    @Test("A plan comes back as it was, and every distinct placement is written once")
    func roundTrip() throws {
        #expect(try decode(text(plan)) == plan)
        var empty = plan
        empty.layers = [:]
        #expect(try decode(text(empty)) == empty)
        var large = plan
        large.layers = [:]
        for layer in 0..<58 { large.layers[layer] = (0..<256).map { .whole($0 * (layer + 1) % 2) } }
        let written = try text(large)
        #expect(written.utf8.count < 40_000)
        #expect(try decode(written) == large)
    }

    @Test(
        "Damage is named",
        arguments: [
            ("\"version\":1", "\"version\":2", "version 1"), ("\"version\":1", "\"version\":\"1\"", "version"),
            ("foretoken-placement", "other", "other"), ("\"nodes\":[0,2]", "\"nodes\":[2,0]", "ascending"),
            ("\"nodes\":[0,2]", "\"nodes\":[0,0]", "ascending"), ("\"nodes\":[0,2]", "\"nodes\":[]", "nodes"),
            ("\"nodes\":[0,2]", "\"nodes\":[-1,2]", "nodes"), ("[[0,1]]", "[[2,1]]", "node index below 2"),
            ("[[0,1]]", "[[0,0]]", "share"), ("[[0,1]]", "[[0,-4]]", "share"), ("[[0,1]]", "[[0,9999999]]", "share"),
            ("[[0,1]]", "[[0]]", "[node, share]"), ("[[0,1]]", "[]", "part"),
            ("[0,3],[1,13]", "[1,3],[0,13]", "ascending"), ("[0,3],[1,13]", "[0,3],[0,13]", "ascending"),
            ("[[1,1]],[[0,1]]", "[[1,1]],[[1,1]]", "twice"), ("\"layer\":7", "\"layer\":3", "ascending"),
            ("\"layer\":7", "\"layer\":2", "ascending"), ("\"layer\":3", "\"layer\":-3", "ascending"),
            ("\"experts\":[0,1,2]", "\"experts\":[0,1]", "same number"),
            ("\"experts\":[0,1,2]", "\"experts\":[0,1,9]", "placement 9"),
            ("\"experts\":[0,1,2]", "\"experts\":[0,1,-1]", "placement -1"),
            ("\"experts\":[0,1,2]", "\"experts\":[0,1,1e99]", "not a placement plan"),
            ("\"policy\":\"tiered\",", "", "policy"), ("\"machine\":\"machine\"", "\"machine\":null", "machine"),
        ])
    func damage(from: String, to: String, expected: String) throws {
        let good = try text(plan)
        let damaged = good.replacing(from, with: to, maxReplacements: 1)
        #expect(damaged != good)
        #expect {
            try decode(damaged)
        } throws: { error in
            error is PlacementError && "\(error)".contains(expected) && "\(error)".contains("plan.json")
        }
    }

    @Test("Cut off, and changed anywhere, a file is refused or is a sound plan; never a crash")
    func fuzz() throws {
        let good = try PlacementPlanFile.encode(plan)
        for length in 0..<good.count - 2 {
            #expect(throws: PlacementError.self) {
                try PlacementPlanFile.decode(Array(good[..<length]), name: "plan.json")
            }
        }
        var random = SeededGenerator(seed: 3)
        let likely = Array("0123456789-[]{},:\"e. \u{0}\u{ff}".utf8)
        let model = PlacementFixtures.v3()
        let machine = PlacementFixtures.machine(nodes: 2, for: model)
        var (survivors, refusals) = (0, 0)
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = likely.randomElement(using: &random)!
                case 1: bytes.remove(at: place)
                default: bytes.insert(likely.randomElement(using: &random)!, at: place)
                }
            }
            do throws(PlacementError) {
                try PlacementPlanFile.decode(bytes, name: "plan.json").validate(for: model, on: machine)
                survivors += 1
            } catch {
                refusals += 1
            }
        }
        #expect(refusals > 15_000 && survivors + refusals == 20_000)
    }

    @Test("A plan for another model or machine, or one that does not fit, is refused by name")
    func validation() throws {
        let model = PlacementFixtures.v3()
        let machine = PlacementFixtures.machine(nodes: 2, for: model)
        let sound = PlacementPlan(
            policy: "spread", model: "v3", machine: "machine", nodes: [0, 1],
            layers: [3: (0..<256).map { .whole($0 % 2) }])
        try sound.validate(for: model, on: machine)
        func refuses(_ text: String, _ change: (inout PlacementPlan) -> Void) {
            var plan = sound
            change(&plan)
            #expect {
                try plan.validate(for: model, on: machine)
            } throws: { error in
                error is PlacementError && "\(error)".contains(text)
            }
        }
        refuses("model v2") { $0.model = "v2" }
        refuses("machine elsewhere") { $0.machine = "elsewhere" }
        refuses("nodes [0, 2]") { $0.nodes = [0, 2] }
        refuses("layer 4") { $0.layers[4] = $0.layers[3] }
        refuses("255 experts") { $0.layers[3]!.removeLast() }
        refuses("node index") { $0.layers[3]![9] = .whole(2) }
        refuses("copy") { $0.layers[3]![9].copies = [] }
        refuses("ascending") { $0.layers[3]![9].copies[0] += $0.layers[3]![9].copies[0] }
        var tight = machine
        tight.nodes[1].capacity = 100 * model.expertBytes
        #expect {
            try sound.validate(for: model, on: tight)
        } throws: { error in
            "\(error)".contains("node 1 is \(28 * model.expertBytes) bytes short")
        }
    }
}
