import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Every family's shapes, names and modules from the files to the tokens.
@Suite(.serialized) struct FamilyTests {
    private static let geometries: [TinyGeometry] = [.glmFlash, .gigaChat, .joyAI, .deepSeekV2, .kimiK25]

    private struct Answer: Equatable {
        var tokens: [Int32]
        var drafted: Int
    }

    private func answer(
        _ folder: TemporaryFolder, draft: DraftMode, prompt: Int = 5, format: ResidentFormat = .stored,
        nodes: NodeLayout = .single, placement: PlacementPlan? = nil
    ) throws -> Answer {
        let model = try Model.load(folder.path, format: format, nodes: nodes, placement: placement)
        let generator = try Generator(model: model, capacity: 96)
        var request = GenerationRequest(prompt: (0..<Int32(prompt)).map { ($0 * 37 + 5) % 96 })
        request.draft = draft
        request.sources = .mtp
        request.sampling.temperature = 1
        request.maximumTokens = 16
        let result = try generator.generate(request) { _ in .proceed }
        return Answer(tokens: result.tokens, drafted: result.telemetry.modules.drafted)
    }

    private func folder(_ geometry: TinyGeometry, shards: Int = 3) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try TinyModel(geometry, seed: 9).write(to: folder, shards: shards)
        return folder
    }

    @Test(arguments: geometries.indices, [ResidentFormat.stored, .fp8, .bf16, .int8, .int4, .expertsInt4])
    func draftsChangeNoToken(index: Int, format: ResidentFormat) throws {
        let geometry = Self.geometries[index]
        let folder = try folder(geometry)
        let plain = try answer(folder, draft: .off, format: format)
        #expect(plain.tokens.count == 16 && plain.drafted == 0)
        guard geometry.mtpModules > 0 else { return }
        for count in [1, 3] {
            let drafted = try answer(folder, draft: .fixed(count), format: format)
            #expect(drafted.tokens == plain.tokens && drafted.drafted > 0)
        }
    }

    /// Heads that straddle scale blocks, and modules without experts, cut over nodes; a prompt that takes the wide route.
    @Test(arguments: geometries.indices) func cutsOverNodesChangeNoToken(index: Int) throws {
        let geometry = Self.geometries[index]
        let folder = try folder(geometry)
        let draft: DraftMode = geometry.mtpModules > 0 ? .fixed(2) : .off
        let whole = try answer(folder, draft: draft, prompt: 60)
        let configuration = try Checkpoint(directory: folder.path).configuration
        let plan = PlacementPlan.madeUp(configuration, nodes: 2) { layer, expert in
            (layer + expert).isMultiple(of: 2) ? .whole(expert % 2) : .sliced([0, 1])
        }
        for placement in [nil, plan] {
            let cut = try answer(folder, draft: draft, prompt: 60, nodes: .madeUp([1, 1]), placement: placement)
            #expect(cut == whole)
        }
    }

    /// A dense module has nothing to place.
    @Test(arguments: geometries) func layersToPlace(geometry: TinyGeometry) throws {
        let folder = try folder(geometry)
        let checkpoint = try Checkpoint(directory: folder.path)
        let model = try WeightLayout(checkpoint).placementModel(checkpoint, format: .stored, besides: 0)
        let hasMore = geometry.mtpModules > 0 && !geometry.denseModules
        #expect(model?.layers == (hasMore ? [1, 2, 3] : [1, 2]))
    }

    /// Where a module lies changes nothing, and what it is made of changes the drafts alone.
    @Test func modulesOfEveryKind() throws {
        let apart = try answer(folder(.joyAI), draft: .fixed(2))
        #expect(try answer(folder(.joyAI, shards: 1), draft: .fixed(2)) == apart)
        var geometry = TinyGeometry.joyAI
        geometry.modulesApart = false
        #expect(try answer(folder(geometry), draft: .fixed(2)) == apart)
        geometry.denseModules = false
        let withExperts = try answer(folder(geometry), draft: .fixed(2))
        #expect(withExperts.tokens == apart.tokens && withExperts.drafted > 0)
    }

    /// ε is the file's in every norm, those of the latents included: small latents make the difference show.
    @Test func epsilonCounts() throws {
        func logits(_ epsilon: String) throws -> [Float] {
            var tiny = TinyModel(TinyGeometry { ($0.epsilon, $0.storage) = (epsilon, .f32) }, seed: 3)
            for index in tiny.tensors.indices where tiny.tensors[index].name.contains("kv_a_proj") {
                let tensor = tiny.tensors[index]
                tiny.tensors[index] = StoredTensor(
                    name: tensor.name, .f32, shape: tensor.shape, values: tensor.values.map { $0 * 0.003 })
            }
            let folder = try TemporaryFolder()
            try tiny.write(to: folder)
            let text = try SingleText(Model.load(folder.path), context: 8)
            text.run([5, 42, 79, 20])
            text.computeLogits(first: 3, count: 1)
            return Array(text.logits(row: 0))
        }
        let (small, large) = (try logits("1e-06"), try logits("1e-05"))
        #expect(zip(small, large).contains { abs($0 - $1) > 1e-3 })
    }
}
