import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Remembers which experts each position used in each layer.
private final class RoutingRecord: StepObserver {
    struct Site: Hashable {
        let layer: Int
        let position: Int
    }

    private(set) var experts: [Site: [Int32]] = [:]

    var wantsValues: Bool { false }

    func saw(_ site: StepSite, _ rows: StepRows) {}

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        for row in 0..<rows.count {
            self.experts[Site(layer: layer, position: rows.firstPosition + row)] =
                Array(UnsafeBufferPointer(start: chosen + row * perRow, count: perRow))
        }
    }
}

/// Growth changes bytes and shapes, and nothing that comes out.
@Suite(.serialized)
struct GrownModelTests {
    /// What a model does with a prompt.
    private struct Behaviour: Equatable {
        var tokens: [Int32] = []
        /// Every row's drafts, four in a chain.
        var drafts: [[Int32]] = []
        var telemetry = Telemetry()
        /// [position][trained MoE layer], chosen experts.
        var routing: [[[Int32]]] = []
    }

    private func behaviour(_ directory: String, prompt: [Int32], tokens count: Int) throws -> Behaviour {
        let model = try Model.load(directory)
        let configuration = model.configuration
        var result = Behaviour()
        let head = model.draftHead
        let generator = try Generator(model: model, capacity: 256)
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = count
        request.draft = head == nil ? .off : .fixed(3)
        let generated = try generator.generate(request)
        result.tokens = generated.tokens
        result.telemetry = generated.telemetry

        let text = prompt + generated.tokens
        let single = try SingleText(model, context: text.count)
        let record = RoutingRecord()
        model.verifier.observer = record
        defer { model.verifier.observer = nil }
        for position in 0..<text.count - 1 {
            single.run(text[position...position])
            guard let head else { continue }
            head.observe(
                single.sequence, single.hidden(row: 0), stride: model.verifier.hiddenStride, count: 1,
                firstRow: position)
            single.sequence.tokens[position + 1] = text[position + 1]
            single.sequence.count = position + 2
            head.catchUp([single.sequence])
            guard position > head.moduleCount else { continue }
            result.drafts.append(drafts(head, of: single.sequence))
        }
        let layers = (configuration.denseLayerCount..<configuration.layerCount).filter(configuration.isTrained)
        result.routing = (0..<text.count - 1).map { position in
            layers.compactMap { record.experts[RoutingRecord.Site(layer: $0, position: position)] }
        }
        return result
    }

    private func drafts(_ head: MTPHead, of sequence: TokenSequence) -> [Int32] {
        (0..<4).map { index in
            head.drawDrafts([sequence])
            let token = head.drawn(row: 0).token
            sequence.tokens[sequence.count + index] = token
            if index < 3 { head.advance([sequence]) }
            return token
        }
    }

    private func expectSame(_ source: String, _ text: String, prompt: [Int32], tokens: Int) throws {
        let folder = try TemporaryFolder()
        let factors = try #require(GrowthFactors(text))
        try Growth(Checkpoint(directory: source), by: factors).write(to: folder.path + "/out")
        let original = try behaviour(source, prompt: prompt, tokens: tokens)
        let grown = try behaviour(folder.path + "/out", prompt: prompt, tokens: tokens)
        #expect(grown.tokens == original.tokens)
        #expect(grown.drafts == original.drafts)
        #expect(grown.telemetry == original.telemetry)
        #expect(grown.routing == original.routing)
        #expect(original.routing.allSatisfy { !$0.isEmpty })
    }

    @Test(arguments: [
        "hidden=2,experts=2,layers=2", "hidden=4", "experts=4", "layers=4", "heads=4,query=16",
        "hidden=2,layers=2,heads=2,query=4",
    ])
    func theDemonstrationModel(factors: String) throws {
        let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]
        try expectSame(Fixtures.demoModel, factors, prompt: prompt, tokens: 96)
    }

    /// Drafting rounds the hidden state to INT8 in column groups of 128. With MTP modules the hidden size therefore
    /// divides 128 or is a multiple of it: repeated otherwise, it would be divided into other groups.
    private static let shapes: [TinyGeometry] = [
        TinyGeometry {
            $0.hidden = 128
            $0.mtpModules = 2
        },
        TinyGeometry {
            $0.storage = .mixed
            $0.hidden = 128
            $0.tiedHead = true
        },
        TinyGeometry {
            $0.storage = .bf16
            $0.hidden = 256
            $0.mtpCopies = false
        },
        TinyGeometry {
            $0.storage = .f16
            $0.hidden = 64
        },
        TinyGeometry {
            $0.storage = .f32
            $0.mtpModules = 0
            $0.queryRank = nil
            $0.sharedExperts = 0
        },
    ]

    @Test(arguments: shapes.indices)
    func smallModelsOfEveryFormat(index: Int) throws {
        var model = TinyModel(Self.shapes[index], seed: 11)
        // The smallest F16 values cannot be halved exactly; growth refuses them.
        for index in model.tensors.indices where model.tensors[index].type == .f16 {
            let tensor = model.tensors[index]
            model.tensors[index] = StoredTensor(
                name: tensor.name, .f16, shape: tensor.shape, values: tensor.values.map { abs($0) < 0x1p-12 ? 0 : $0 })
        }
        let source = try TemporaryFolder()
        try model.write(to: source, shards: 2)
        let prompt: [Int32] = (0..<20).map { $0 * 7 % 96 }
        try expectSame(source.path, "hidden=2,experts=4,layers=2", prompt: prompt, tokens: 32)
    }
}
