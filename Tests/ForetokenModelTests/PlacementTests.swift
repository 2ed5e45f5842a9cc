import ForetokenModel
import ForetokenPlacement
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Promise 1 under placement: wherever weights lie and whoever reads them, every bit stays the same.
@Suite(.serialized)
struct PlacementTests {
    typealias Place = (_ layer: Int, _ expert: Int) -> ExpertPlacement

    /// Every kind of placement on so many nodes, and all of them in one model.
    static func kinds(_ nodes: Int) -> [(name: String, place: Place)] {
        func node(_ layer: Int, _ expert: Int) -> Int { (expert * 7 + layer) % nodes }
        let kinds: [(String, Place)] = [
            ("sliced", { _, _ in .sliced(Array(0..<nodes)) }),
            ("whole", { .whole(node($0, $1)) }),
            ("mirrored", { .mirrored([node($0, $1), (node($0, $1) + 1) % nodes].sorted()) }),
            ("shares", { layer, expert in .shares((0..<nodes).map { 1 + (expert + $0 * 5 + layer) % 4 }) }),
            ("one corner", { _, _ in .whole(nodes - 1) }),
        ]
        let place: Place = { layer, expert in kinds[(layer + expert) % kinds.count].1(layer, expert) }
        return kinds + [("mixed", place)]
    }

    /// Bits of hidden states and logits of a prompt chunk, and of windows of several widths behind it.
    private func bits(_ model: Model, _ tokens: [Int32], prompt: Int) throws -> [[UInt32]] {
        let verifier = try SingleText(model, context: tokens.count)
        var rows: [[UInt32]] = []
        let widths = [1, 2, 3, 5, 8, 16, 1, 4]
        var next = 0
        while verifier.position < tokens.count {
            let start = verifier.position
            let width = start == 0 ? prompt : min(widths[next % widths.count], tokens.count - start)
            next += 1
            verifier.run(tokens[start..<start + width])
            let last = min(width, Step.windowRows)
            verifier.computeLogits(first: width - last, count: last)
            for row in 0..<last {
                let hidden = UnsafeBufferPointer(
                    start: verifier.hidden(row: width - last + row), count: model.configuration.hiddenSize)
                rows.append(verifier.logits(row: row).map(\.bitPattern) + hidden.map(\.bitPattern))
            }
        }
        return rows
    }

    private func tokens(_ count: Int, _ configuration: ModelConfiguration) -> [Int32] {
        (0..<count).map { Int32(($0 * 37 + 5) % configuration.vocabularySize) }
    }

    private static let layouts: [[Int]] = [[1, 1], [2, 1], [1, 1, 1], [1, 0], [2, 2, 0], [1, 1, 1, 1]]

    @Test("Every plan on every layout gives the bits of one node", arguments: layouts)
    func everyPlanGivesTheSameBits(workers: [Int]) throws {
        let single = try Model.load(Fixtures.demoModel)
        let tokens = tokens(100, single.configuration)
        let reference = try bits(single, tokens, prompt: 50)
        let nodes = NodeLayout.madeUp(workers)
        let dense = try Model.load(Fixtures.demoModel, threads: workers.reduce(0, +), nodes: nodes)
        #expect(try bits(dense, tokens, prompt: 50) == reference, "no plan")
        for (name, place) in Self.kinds(workers.count) {
            let plan = PlacementPlan.madeUp(single.configuration, nodes: workers.count, place)
            let model = try Model.load(
                Fixtures.demoModel, threads: workers.reduce(0, +), nodes: nodes, placement: plan)
            #expect(try bits(model, tokens, prompt: 50) == reference, "\(name)")
        }
    }

    @Test("Ragged shapes and every instruction set, under a mixed plan", arguments: GeometryTests.geometries.indices)
    func raggedShapes(index: Int) throws {
        let folder = try TemporaryFolder()
        try TinyModel(GeometryTests.geometries[index].1, seed: UInt64(index)).write(to: folder)
        defer { withExtendedLifetime(folder) {} }
        for set in InstructionSet.available {
            let single = try Model.load(folder.path, instructionSet: set)
            let tokens = tokens(90, single.configuration)
            let reference = try bits(single, tokens, prompt: 40)
            for workers in [[1, 1], [2, 1, 0]] {
                for (name, place) in Self.kinds(workers.count).suffix(2) {
                    let plan = PlacementPlan.madeUp(single.configuration, nodes: workers.count, place)
                    let model = try Model.load(
                        folder.path, threads: workers.reduce(0, +), instructionSet: set,
                        nodes: .madeUp(workers), placement: plan)
                    #expect(try bits(model, tokens, prompt: 40) == reference, "\(set), \(workers), \(name)")
                }
            }
        }
    }

    @Test("Resident formats made while loading", arguments: [ResidentFormat.fp8, .bf16, .int8, .int4, .expertsInt4])
    func residentFormats(format: ResidentFormat) throws {
        let single = try Model.load(Fixtures.demoModel, format: format)
        let tokens = tokens(70, single.configuration)
        let reference = try bits(single, tokens, prompt: 30)
        let plan = PlacementPlan.madeUp(single.configuration, nodes: 3, Self.kinds(3).last!.place)
        let model = try Model.load(
            Fixtures.demoModel, threads: 3, format: format, nodes: .madeUp([1, 1, 1]), placement: plan)
        #expect(try bits(model, tokens, prompt: 30) == reference)
    }

    @Test("Plans know each format's bytes before anything is packed", arguments: ResidentFormat.allCases)
    func formatsAreForetold(format: ResidentFormat) throws {
        let checkpoint = try Checkpoint(directory: Fixtures.demoModel)
        let foretold = try #require(
            try WeightLayout(checkpoint).placementModel(checkpoint, format: format, besides: 0))
        let weights = try Model.load(Fixtures.demoModel, format: format).weights
        for layer in weights.layers + weights.modules.map(\.block) {
            guard case .moe(let moe) = layer.feedForward else { continue }
            let copy = moe.experts[3].copies[0]
            #expect(foretold.gateUpBytes == copy.gate.byteCount + copy.up.byteCount)
            #expect(foretold.downBytes == copy.down.byteCount)
        }
        // Cut by head, kv_b_proj has a few scales more.
        let dense = Double(weights.denseBytesPerStep.reduce(0, +))
        #expect(abs(Double(foretold.denseBytesPerStep) / dense - 1) < 1e-3)
    }

    @Test("A pool with fewer or more teams than the weights were cut for serves them all", arguments: 1...5)
    func otherPools(threads: Int) throws {
        let single = try Model.load(Fixtures.demoModel)
        let tokens = tokens(70, single.configuration)
        let reference = try bits(single, tokens, prompt: 30)
        let plan = PlacementPlan.madeUp(single.configuration, nodes: 4, Self.kinds(4).last!.place)
        let model = try Model.load(
            Fixtures.demoModel, threads: threads, nodes: .madeUp([1, 1, 1, 1]), placement: plan)
        #expect(try bits(model, tokens, prompt: 30) == reference)
    }

    @Test("Experts move between steps, and every bit stays")
    func movingExperts() throws {
        let single = try Model.load(Fixtures.demoModel)
        let tokens = tokens(80, single.configuration)
        let reference = try bits(single, tokens, prompt: 40)
        let model = try Model.load(Fixtures.demoModel, threads: 3, nodes: .madeUp([1, 1, 1]))
        let store = model.weights.experts
        let before = store.byteCounts
        for (name, place) in Self.kinds(3) + Self.kinds(3).reversed() {
            let plan = PlacementPlan.madeUp(single.configuration, nodes: 3, place)
            try store.move(to: plan)
            #expect(store.placements[1]?[3] == place(1, 3))
            #expect(try bits(model, tokens, prompt: 40) == reference, "\(name)")
        }
        let other = PlacementPlan.madeUp(single.configuration, nodes: 3) { _, expert in .whole(expert % 2) }
        #expect(try store.move(to: other).copied > 0)
        #expect(try store.move(to: other).copied == 0, "nothing is moved twice")
        #expect(store.byteCounts.reduce(0, +) <= before.reduce(0, +) * 11 / 10)
    }
}
