/// Finds the architecture's tensors by name and checks type, shape and scale; notes every problem.
struct TensorResolver {
    /// A hostile configuration may ask for millions of tensors; nobody reads further than this.
    private static let maximumProblems = 10_000
    static let floats: Set<ElementType> = [.bf16, .f16, .f32]
    /// Rows and columns of one FP8 scale block.
    static let scaleBlock = 128

    private let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    private let layersPresent: Set<Int>
    private var used: Set<String> = []
    private var tolerated: [String] = []
    /// Layers whose indexer nothing uses.
    var idleIndexers: [Int] = []
    private(set) var problems: [CheckpointError] = []

    init(_ checkpoint: Checkpoint) {
        self.checkpoint = checkpoint
        configuration = checkpoint.configuration
        let layers = checkpoint.configuration.family.name("model.layers.")
        layersPresent = Set(checkpoint.tensors.keys.lazy.compactMap { TensorResolver.layerIndex($0, layers) })
        used.reserveCapacity(checkpoint.tensors.count)
    }

    /// N of a name that starts `model.layers.N.`
    /// - Parameter layers: `model.layers.` as the family writes it.
    static func layerIndex(_ name: String, _ layers: String) -> Int? {
        guard name.hasPrefix(layers) else { return nil }
        let rest = name.utf8.dropFirst(layers.utf8.count)
        guard let dot = rest.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        return Int(Substring(rest[..<dot]))
    }

    // MARK: Blocks

    /// A tensor's name as the family writes it.
    private func name(_ tensor: String) -> String { configuration.family.name(tensor) }

    /// `model.embed_tokens`
    mutating func embedding() -> LinearSource { vocabulary(name("model.embed_tokens")) }

    /// `lm_head`
    mutating func lmHead() -> LinearSource { vocabulary(name("lm_head")) }

    private mutating func vocabulary(_ name: String) -> LinearSource {
        linear(name, rows: configuration.vocabularySize, columns: configuration.hiddenSize)
    }

    /// `model.norm`
    mutating func finalNorm() -> TensorInfo { norm(name("model.norm"), configuration.hiddenSize) }

    /// One main decoder layer.
    mutating func layer(_ index: Int) -> LayerSource {
        let hasExperts = configuration.isMoE(layer: index)
        let prefix = name("model.layers.\(index).")
        reportOtherKind(prefix + "mlp.", hasExperts: hasExperts, layer: index)
        return layer(prefix, index, hasExperts: hasExperts)
    }

    private mutating func layer(_ prefix: String, _ index: Int, hasExperts: Bool) -> LayerSource {
        tolerated.append(prefix + "self_attn.rotary_emb.inv_freq")
        return LayerSource(
            attention: attention(prefix, index),
            feedForwardNorm: norm(prefix + "post_attention_layernorm", configuration.hiddenSize),
            feedForward: hasExperts
                ? experts(prefix + "mlp.") : .dense(mlp(prefix + "mlp.", width: configuration.intermediateSize)))
    }

    /// Whether the files hold a feed-forward part with routed experts, and one without.
    private func kinds(_ prefix: String) -> (experts: Bool, dense: Bool) {
        (isThere(prefix + "gate"), hasWeight(prefix + "gate_proj"))
    }

    /// A layer that config.json takes for the other kind: the list of all its missing tensors would not say so.
    private mutating func reportOtherKind(_ prefix: String, hasExperts: Bool, layer: Int) {
        let found = kinds(prefix)
        guard found.experts != found.dense, found.experts != hasExperts else { return }
        let kind = ["dense", "one with routed experts"]
        report(
            CheckpointError(
                "\(checkpoint.label): config.json says that layer \(layer) is \(kind[hasExperts ? 1 : 0])",
                expected: "`first_k_dense_replace` \(hasExperts ? "above" : "of at most") \(layer)",
                found: "\(configuration.denseLayerCount), while the tensors of layer \(layer) are of the other kind",
                hint: "config.json belongs to another model"))
    }

    private mutating func attention(_ layer: String, _ index: Int) -> AttentionSource {
        let prefix = layer + "self_attn."
        let hidden = configuration.hiddenSize
        let heads = configuration.headCount
        let rank = configuration.queryRank
        return AttentionSource(
            inputNorm: norm(layer + "input_layernorm", hidden),
            queryDown: rank.map { linear(prefix + "q_a_proj", rows: $0, columns: hidden) },
            queryNorm: rank.map { norm(prefix + "q_a_layernorm", $0) },
            query: linear(
                prefix + (rank == nil ? "q_proj" : "q_b_proj"), rows: heads * configuration.queryDimension,
                columns: rank ?? hidden),
            latentDown: linear(
                prefix + "kv_a_proj_with_mqa", rows: configuration.latentRank + configuration.ropeDimension,
                columns: hidden),
            latentNorm: norm(prefix + "kv_a_layernorm", configuration.latentRank),
            latentUp: linear(
                prefix + "kv_b_proj", rows: heads * (configuration.nopeDimension + configuration.valueDimension),
                columns: configuration.latentRank),
            output: linear(prefix + "o_proj", rows: hidden, columns: heads * configuration.valueDimension),
            indexer: indexer(prefix, layer: index))
    }

    private mutating func experts(_ prefix: String) -> FeedForwardSource {
        let width = configuration.expertIntermediateSize
        let shared = configuration.sharedExpertCount
        let count = configuration.routedExpertCount
        let router = linear(prefix + "gate", rows: count, columns: configuration.hiddenSize)
        let bias =
            configuration.family.routerRule.hasBias
            ? tensor(prefix + "gate.e_score_correction_bias", [count], types: TensorResolver.floats) : nil
        // A hostile configuration must not keep us busy after the list of problems is full.
        let experts = (0..<(isExhausted ? 0 : count)).map { mlp("\(prefix)experts.\($0).", width: width) }
        if shared == 0, isThere(prefix + "shared_experts.gate_proj") {
            report(
                CheckpointError(
                    "\(checkpoint.label): \(prefix)shared_experts exists but the configuration has no shared experts",
                    hint: "set n_shared_experts in config.json to the number the model was trained with"))
        }
        return .moe(
            router: router, bias: bias, experts: experts,
            shared: shared == 0 ? nil : mlp(prefix + "shared_experts.", width: shared * width))
    }

    private mutating func mlp(_ prefix: String, width: Int) -> MLPSource {
        MLPSource(
            gate: linear(prefix + "gate_proj", rows: width, columns: configuration.hiddenSize),
            up: linear(prefix + "up_proj", rows: width, columns: configuration.hiddenSize),
            down: linear(prefix + "down_proj", rows: configuration.hiddenSize, columns: width))
    }

    // MARK: MTP

    /// How many of the announced MTP modules the files hold, counted from the first.
    func mtpModuleCount() -> Int {
        let first = configuration.layerCount
        // A gap in the middle is not a smaller number of modules but a broken file: the missing tensors get reported.
        return (0..<configuration.mtpModuleCount).last { layersPresent.contains(first + $0) }.map { $0 + 1 } ?? 0
    }

    mutating func mtpModule(_ index: Int) -> MTPSource {
        let layer = configuration.layerCount + index
        let prefix = name("model.layers.\(layer).")
        let hidden = configuration.hiddenSize
        return MTPSource(
            embeddingNorm: norm(prefix + "enorm", hidden),
            hiddenNorm: norm(prefix + "hnorm", hidden),
            projection: linear(prefix + "eh_proj", rows: hidden, columns: 2 * hidden),
            block: self.layer(prefix, layer, hasExperts: moduleHasExperts(prefix)),
            finalNorm: norm(prefix + "shared_head.norm", hidden),
            embedding: copy(prefix + "embed_tokens"),
            lmHead: copy(prefix + "shared_head.head"))
    }

    /// Whether an MTP module's block has routed experts, which its tensors decide: no key of config.json says it.
    private mutating func moduleHasExperts(_ prefix: String) -> Bool {
        let found = kinds(prefix + "mlp.")
        if found.experts && found.dense {
            report(
                CheckpointError(
                    "\(checkpoint.label): \(prefix)mlp has both a router and a dense MLP", expected: "one of them",
                    hint: "the files of two models lie in one folder"))
        }
        return found.experts == found.dense ? !configuration.family.hasDenseModules : found.experts
    }

    private mutating func copy(_ name: String) -> LinearSource? {
        isThere(name) ? vocabulary(name) : nil
    }

    // MARK: Tensors

    /// The matrix `name.weight` with its scale, if it is FP8, or the codes in its place.
    mutating func linear(_ name: String, rows: Int, columns: Int) -> LinearSource {
        let name = name + ".weight"
        let codes = name + PackedCodes.codeSuffix
        if checkpoint.tensor(codes) != nil || checkpoint.knownMissing.contains(codes) {
            return packed(name, rows: rows, columns: columns)
        }
        let weight = tensor(name, [rows, columns], types: TensorResolver.floats.union([.fp8]))
        guard weight.type == .fp8 else { return LinearSource(weight: weight, scale: nil) }
        return LinearSource(weight: weight, scale: scale(of: weight))
    }

    /// The matrix whose codes are there in the place of the weight `name`.
    private mutating func packed(_ name: String, rows: Int, columns: Int) -> LinearSource {
        let suffixes = [PackedCodes.codeSuffix, PackedCodes.scaleSuffix, PackedCodes.shapeSuffix]
        used.formUnion(suffixes.map { name + $0 }.filter { checkpoint.tensor($0) != nil })
        do throws(CheckpointError) {
            if checkpoint.tensor(name) != nil {
                throw CheckpointError(
                    "\(checkpoint.label): \(shown(name)) is there twice", expected: "a weight or its codes",
                    found: "both", hint: "which one belongs to the model cannot be known; convert the checkpoint again")
            }
            return try checkpoint.packedMatrix(name, rows: rows, columns: columns)
        } catch {
            let isExplained = suffixes.contains { checkpoint.knownMissing.contains(name + $0) }
            if !isExplained && !isExhausted { report(error) }
        }
        let placeholder = TensorInfo(name: name, type: .f32, shape: [rows, columns], file: 0, range: 0..<0)
        return LinearSource(weight: placeholder, scale: nil)
    }

    private mutating func scale(of weight: TensorInfo) -> TensorInfo {
        used.formUnion(checkpoint.scaleNames(of: weight.name))
        do {
            return try checkpoint.blockScale(of: weight)
        } catch {
            // The layout is thrown away; its scale only has to have the right shape.
            let name = weight.name + BlockScales.suffixes[0]
            let isExplained = BlockScales.suffixes.contains { checkpoint.knownMissing.contains(weight.name + $0) }
            if !isExplained && !isExhausted { report(error) }
            return TensorInfo(name: name, type: .f32, shape: BlockScales.shape(of: weight.shape), file: 0, range: 0..<0)
        }
    }

    /// The vector `name.weight`.
    mutating func norm(_ name: String, _ size: Int) -> TensorInfo {
        tensor(name + ".weight", [size], types: TensorResolver.floats)
    }

    mutating func tensor(_ name: String, _ shape: [Int], types: Set<ElementType>) -> TensorInfo {
        let placeholder = TensorInfo(name: name, type: .f32, shape: shape, file: 0, range: 0..<0)
        if isExhausted { return placeholder }
        guard let tensor = checkpoint.tensor(name) else {
            if checkpoint.knownMissing.contains(name) { return placeholder }
            report(missing(name, shape))
            return placeholder
        }
        used.insert(name)
        let place = "\(checkpoint.fileNames[tensor.file]): tensor \(name)"
        if !types.contains(tensor.type) {
            let expected = types.map(\.rawValue).sorted().joined(separator: ", ")
            report(CheckpointError("\(place) has the wrong type", expected: expected, found: tensor.type.rawValue))
        }
        if tensor.shape != shape {
            report(CheckpointError("\(place) has the wrong shape", expected: "\(shape)", found: "\(tensor.shape)"))
        }
        return tensor.shape == shape ? tensor : placeholder
    }

    private func missing(_ name: String, _ shape: [Int]) -> CheckpointError {
        if let file = checkpoint.unlisted[name] {
            return CheckpointError(
                "\(CheckpointSurvey.indexFile): tensor \(name) is left out, though \(file) holds it",
                hint: "index and weight files do not belong together; download both again")
        }
        let foreign = foreignWeight(instead: name)
        return CheckpointError(
            "\(checkpoint.label): tensor \(name) is missing", expected: "shape \(shape)",
            found: foreign.map { "the tensor \(shown($0)) in its place" },
            hint: foreign == nil
                ? "the checkpoint is incomplete, or config.json belongs to another model"
                : "weights packed by other quantisers are not read; use the published FP8 or a BF16 checkpoint")
    }

    /// Whether there is a weight `name.weight`, or one that another quantiser packed in its place.
    func hasWeight(_ name: String) -> Bool {
        isThere(name) || foreignWeight(instead: name + ".weight") != nil
    }

    private func isThere(_ name: String) -> Bool {
        ["", PackedCodes.codeSuffix].contains { checkpoint.tensor(name + ".weight" + $0) != nil }
    }

    /// The name of a weight that another quantiser packed, in the place of the weight `name`.
    private func foreignWeight(instead name: String) -> String? {
        guard name.hasSuffix(".weight") else { return nil }
        return BlockScales.foreignWeights.map { name.dropLast("weight".count) + $0 }
            .first { checkpoint.tensor($0) != nil }
    }

    private var isExhausted: Bool { problems.count >= TensorResolver.maximumProblems }

    private mutating func report(_ problem: CheckpointError) {
        problems.append(problem)
        if problems.count == TensorResolver.maximumProblems {
            problems.append(CheckpointError("\(checkpoint.label): too many problems, the rest is not listed"))
        }
    }

    // MARK: Leftovers

    /// Notes that an lm_head may exist although nothing uses it.
    mutating func tolerateLMHead() { tolerateMatrix(name("lm_head")) }

    /// Notes that the tensor may exist although nothing uses it.
    mutating func tolerate(_ name: String) { tolerated.append(name) }

    /// The same of the matrix, or vector, `name.weight` and its scale.
    mutating func tolerateMatrix(_ name: String) {
        tolerate(name + ".weight")
        let suffixes = BlockScales.suffixes + [PackedCodes.codeSuffix, PackedCodes.shapeSuffix]
        tolerated += suffixes.map { name + ".weight" + $0 }
    }

    /// A remark on indexers that nothing uses, where the files hold some.
    func sharedChoices() -> [String] {
        guard let first = idleIndexers.min() else { return [] }
        let (isOne, count) = (idleIndexers.count == 1, idleIndexers.count)
        return [
            "the indexer\(isOne ? "" : "s") of \(count) layer\(isOne ? "" : "s"), for example of layer \(first), "
                + "\(isOne ? "is" : "are") not used: config.json lets \(isOne ? "it" : "them") share the choice of a layer before"
        ]
    }

    /// A remark on the parts of the model that are not run, such as a vision tower, where the files hold them.
    func otherParts() -> [String] {
        let found = configuration.family.otherParts.filter { part in
            checkpoint.tensors.keys.contains { $0.hasPrefix(part) }
        }
        guard !found.isEmpty else { return [] }
        let count = checkpoint.tensors.keys.count(where: isOfOtherPart)
        let names = found.map { "\($0)*" }.joined(separator: " and ")
        return ["\(names) (\(count) tensor\(count == 1 ? "" : "s")) are not read: the text model alone is run"]
    }

    private func isOfOtherPart(_ name: String) -> Bool {
        configuration.family.otherParts.contains { name.hasPrefix($0) }
    }

    /// A warning about the tensors nothing asked for, and one about scales of activations, where there are any. Call last.
    func unexpectedTensors() -> [String] {
        guard used.count < checkpoint.tensors.count else { return [] }
        let unused = Set(checkpoint.tensors.keys.filter { !used.contains($0) && !isOfOtherPart($0) })
            .subtracting(tolerated)
        let activations = unused.filter(BlockScales.isForActivations)
        let unexpected = unused.subtracting(activations)
        var warnings: [String] = []
        if let first = activations.min() {
            warnings.append(
                "\(activations.count) scale\(activations.count == 1 ? "" : "s") of activations "
                    + "\(activations.count == 1 ? "is" : "are") ignored, for example \(shown(first)): "
                    + "activations are not rounded to FP8")
        }
        if let first = unexpected.min() {
            warnings.append(
                "\(unexpected.count) unexpected tensor\(unexpected.count == 1 ? " is" : "s are") ignored, "
                    + "for example \(shown(first))")
        }
        return warnings
    }
}
