/// Lists the tensors of an enlarged checkpoint, in the order of the layers, and notes what cannot be enlarged.
///
/// Let x' be the residual stream x repeated G times. Every row that writes to the stream is repeated, so x' stays of that
/// form; mean(x'²) = mean(x²), so RMSNorm with its weight repeated gives the norm of x repeated; and W' = [W … W] / G
/// applied to that is W applied to the norm of x. Experts' neurons are repeated in the same way between `up` and `down`,
/// and the query's low-rank form between its two projections. Heads are repeated with all that they read and write: copies
/// give equal outputs, of which o_proj takes the mean.
struct GrowthPlan {
    private let factors: GrowthFactors
    private let configuration: ModelConfiguration
    private let files: [String]
    private(set) var tensors: [GrownTensor] = []
    private(set) var problems: [CheckpointError] = []

    /// Where the tensors of one block go and what becomes of them there.
    private struct Place {
        let oldPrefix: String
        let newPrefix: String
        var module: Int?
        /// Whether the block's outputs become zero, so that it adds nothing to the residual stream.
        var isSilent = false
        var role = GrownTensor.Role.shared

        func name(_ old: String) -> String { newPrefix + old.dropFirst(oldPrefix.count) }

        func with(_ role: GrownTensor.Role) -> Place {
            var place = self
            place.role = role
            return place
        }
    }

    /// How one matrix grows.
    private struct Rule {
        var rowCopies = 1
        var columnCopies = 1
        /// Whether repeated columns add up and must be divided.
        var divides = true
        var vectors = 1
    }

    init(_ layout: WeightLayout, _ configuration: ModelConfiguration, _ factors: GrowthFactors, files: [String]) {
        self.factors = factors
        self.configuration = configuration
        self.files = files
        let main = Place(oldPrefix: "", newPrefix: "")
        matrix(layout.embedding, repeatsInput(divides: false), main.with(.embedding))
        for (index, layer) in layout.layers.enumerated() {
            for copy in 0..<copies(of: index) {
                self.layer(layer, layerPlace(index, firstIndex(of: index) + copy, isSilent: copy > 0))
            }
        }
        norm(layout.finalNorm, main)
        // A tied lm_head would have to be the embedding and the embedding divided by G at once.
        let lmHead = Place(
            oldPrefix: name(configuration.tiesEmbeddings ? "model.embed_tokens" : "lm_head"),
            newPrefix: name("lm_head"),
            role: .lmHead)
        matrix(layout.lmHead, repeatsInput(), lmHead)
        for (index, module) in layout.mtp.enumerated() {
            let old = configuration.layerCount + index
            var place = layerPlace(old, firstIndex(of: old), isSilent: false)
            place.module = index
            self.module(module, place)
        }
    }

    /// Main layers of the result.
    var layerCount: Int { firstIndex(of: configuration.layerCount) }

    private func copies(of layer: Int) -> Int { configuration.isMoE(layer: layer) ? factors.layers : 1 }

    /// New number of a layer, or the first one where it becomes several; MTP blocks follow the main layers.
    private func firstIndex(of layer: Int) -> Int {
        let plain = min(layer, configuration.denseLayerCount)
        let modules = max(0, layer - configuration.layerCount)
        return plain + (layer - plain - modules) * factors.layers + modules
    }

    private func layerPlace(_ old: Int, _ new: Int, isSilent: Bool) -> Place {
        Place(oldPrefix: name("model.layers.\(old)."), newPrefix: name("model.layers.\(new)."), isSilent: isSilent)
    }

    private func name(_ tensor: String) -> String { configuration.family.name(tensor) }

    // MARK: Blocks

    private mutating func layer(_ layer: LayerSource, _ place: Place) {
        let attention = layer.attention
        norm(attention.inputNorm, place)
        if let queryDown = attention.queryDown, let queryNorm = attention.queryNorm {
            matrix(queryDown, Rule(rowCopies: factors.query, columnCopies: factors.hidden), place)
            add(queryNorm, Rule(columnCopies: factors.query, divides: false), place, isZero: false)
            matrix(attention.query, Rule(rowCopies: factors.heads, columnCopies: factors.query), place)
        } else {
            if factors.query > 1 { refuseQuery(attention.query.weight) }
            matrix(attention.query, Rule(rowCopies: factors.heads, columnCopies: factors.hidden), place)
        }
        matrix(attention.latentDown, repeatsInput(), place)
        copy(attention.latentNorm, place)
        matrix(attention.latentUp, Rule(rowCopies: factors.heads), place)
        matrix(attention.output, Rule(rowCopies: factors.hidden, columnCopies: factors.heads), place, isOutput: true)
        norm(layer.feedForwardNorm, place)
        switch layer.feedForward {
        case .dense(let mlp): self.mlp(mlp, widthCopies: 1, place)
        case .moe(let router, let bias, let experts, let shared):
            matrix(router, repeatsInput(), place)
            if let bias { copy(bias, place) }
            for expert in experts { mlp(expert, widthCopies: factors.experts, place.with(.expert)) }
            if let shared { mlp(shared, widthCopies: factors.experts, place) }
        }
    }

    private mutating func mlp(_ mlp: MLPSource, widthCopies: Int, _ place: Place) {
        let inward = Rule(rowCopies: widthCopies, columnCopies: factors.hidden)
        matrix(mlp.gate, inward, place)
        matrix(mlp.up, inward, place)
        matrix(mlp.down, Rule(rowCopies: factors.hidden, columnCopies: widthCopies), place, isOutput: true)
    }

    private mutating func module(_ module: MTPSource, _ place: Place) {
        norm(module.embeddingNorm, place)
        norm(module.hiddenNorm, place)
        matrix(module.projection, Rule(rowCopies: factors.hidden, columnCopies: factors.hidden, vectors: 2), place)
        layer(module.block, place)
        norm(module.finalNorm, place)
        if let embedding = module.embedding {
            matrix(embedding, repeatsInput(divides: false), place.with(.embedding))
        }
        if let lmHead = module.lmHead { matrix(lmHead, repeatsInput(), place.with(.lmHead)) }
    }

    // MARK: Tensors

    /// The rule of a matrix whose columns belong to the residual stream.
    private func repeatsInput(divides: Bool = true) -> Rule { Rule(columnCopies: factors.hidden, divides: divides) }

    private mutating func norm(_ tensor: TensorInfo, _ place: Place) {
        add(tensor, repeatsInput(divides: false), place, isZero: false)
    }

    private mutating func copy(_ tensor: TensorInfo, _ place: Place) { add(tensor, Rule(), place, isZero: false) }

    private mutating func matrix(_ source: LinearSource, _ rule: Rule, _ place: Place, isOutput: Bool = false) {
        if source.isPacked { return refuseCodes(source.weight) }
        // Scales must stay above zero, so a silent FP8 matrix has codes of zero and the scales it would have anyway.
        add(source.weight, rule, place, isZero: isOutput && place.isSilent, divides: source.scale == nil)
        guard let scale = source.scale else { return }
        guard let rows = blockCopies(source.rows, vectors: 1, copies: rule.rowCopies) else {
            return refuse(source.weight, "\(source.rows) rows")
        }
        guard let columns = blockCopies(source.columns, vectors: rule.vectors, copies: rule.columnCopies) else {
            let width = "\(source.columns / rule.vectors) columns"
            return refuse(source.weight, rule.vectors == 1 ? width : "\(rule.vectors) times \(width)")
        }
        let blocks = Rule(rowCopies: rows.copies, columnCopies: columns.copies, vectors: columns.vectors)
        add(scale, blocks, place, isZero: false, divisor: rule.divides ? rule.columnCopies : 1)
    }

    private mutating func add(
        _ source: TensorInfo, _ rule: Rule, _ place: Place, isZero: Bool, divides: Bool = true, divisor: Int? = nil
    ) {
        do {
            tensors.append(
                try GrownTensor(
                    name: place.name(source.name), source: source, rowCopies: rule.rowCopies,
                    columnCopies: rule.columnCopies, vectors: rule.vectors,
                    divisor: divisor ?? (divides && rule.divides ? rule.columnCopies : 1), isZero: isZero,
                    role: place.role, module: place.module))
        } catch let error as CheckpointError {
            problems.append(error)
        } catch {
            problems.append(CheckpointError("\(error)"))
        }
    }

    // MARK: FP8 blocks

    /// How the scales along a dimension are repeated when each of the `vectors` of its `size` elements is repeated `copies`
    /// times. Elements of one block share a scale wherever they go; of several blocks, all must be full, so that every
    /// copy starts with a block. nil when they are not.
    private func blockCopies(_ size: Int, vectors: Int, copies: Int) -> (vectors: Int, copies: Int)? {
        let block = TensorResolver.scaleBlock
        if copies == 1 { return (1, 1) }
        if size <= block { return (1, (size * copies + block - 1) / block) }
        return (size / vectors).isMultiple(of: block) ? (vectors, copies) : nil
    }

    private mutating func refuseQuery(_ weight: TensorInfo) {
        problems.append(
            CheckpointError(
                "\(files[weight.file]): tensor \(shown(weight.name)) has no down-projection that could be repeated",
                expected: "`q_lora_rank` in config.json", hint: "leave out query"))
    }

    private mutating func refuseCodes(_ weight: TensorInfo) {
        problems.append(
            CheckpointError(
                "\(files[weight.file]): tensor \(shown(weight.name)) cannot be repeated",
                expected: "FP8 or wider weights", found: "INT4 codes",
                hint: "convert the checkpoint first: foretoken convert --to bf16"))
    }

    private mutating func refuse(_ weight: TensorInfo, _ what: String) {
        problems.append(
            CheckpointError(
                "\(files[weight.file]): tensor \(shown(weight.name)) cannot be repeated",
                expected: "FP8 widths of at most 128 or a multiple of 128", found: what,
                hint: "convert the checkpoint first: foretoken convert --to bf16"))
    }
}
