import ArgumentParser
import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Shows what a checkpoint holds and what is wrong with it.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Shows what a checkpoint folder holds, and its problems; or what a model takes that one does not have.")

    @Argument(
        help: ArgumentHelp(
            "The folder, or OWNER/NAME of one in Hugging Face's cache (default: $FORETOKEN_MODEL, or the demonstration "
                + "model).", valueName: "dir"))
    var directory: String?

    @Option(name: .customLong("model"), help: ArgumentHelp("The same as DIR.", valueName: "dir"))
    var givenModel: String?
    @OptionGroup var modelAlias: ModelAlias

    var model: String? { Alias.value(givenModel, modelAlias.values) }

    @Flag(help: "Lists models whose dimensions are known: parameters, size of the files, memory by format, MTP.")
    var shapes = false

    @Option(
        help: ArgumentHelp(
            "Shows the same of one model in full: of a name that --shapes lists, or of the path of a config.json.",
            valueName: "name|f"))
    var shape: String?

    @Flag(help: "Also reads all weights, looking for NaN, infinities and scales that cannot be.")
    var scan = false

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        try modelAlias.check(givenModel)
        if directory != nil && model != nil { throw ValidationError("give the folder once, as DIR or with --model") }
        if shapes && shape != nil { throw ValidationError("give --shape or --shapes, not both") }
        if shapes || shape != nil, directory != nil || model != nil || scan {
            throw ValidationError("--shape and --shapes need no checkpoint: they take no folder and no --scan")
        }
    }

    func run() throws {
        if shapes || shape != nil { return try showShapes() }
        let folder = try (directory ?? model ?? environment("FORETOKEN_MODEL")).map(ModelFolder.resolve)
        var inspection = try inspection(of: folder)
        let text = TextFiles(of: inspection)
        inspection.add(problems: text.problems, warnings: text.warnings)
        for warning in inspection.warnings { Console.warning(warning) }
        for remark in inspection.remarks { Console.note(remark) }
        if json {
            try StandardOutput.write(JSONOutput.line(InspectionLine(inspection: inspection)))
        } else {
            let checked = scan ? "their values are sound" : "weight values are checked while loading, or by --scan"
            try StandardOutput.write(
                StandardOutput.page {
                    inspection.summary(folder ?? "foretoken-demo (embedded)", text, checked: checked, on: $0)
                })
        }
        if !inspection.problems.isEmpty { throw ExitCode(Status.unusable) }
    }

    private func showShapes() throws {
        let available = MemoryBudget.read().available
        if let shape {
            let report = try ShapeReport(SyntheticShape(argument: shape))
            return try StandardOutput.write(
                json
                    ? JSONOutput.line(report)
                    : StandardOutput.page { ShapeTables(terminal: $0, available: available).all(of: report) })
        }
        let reports = try SyntheticShape.names.map { try ShapeReport(SyntheticShape(named: $0)) }
        try StandardOutput.write(
            json
                ? JSONOutput.line(ShapeList(shapes: reports))
                : StandardOutput.page { ShapeTables(terminal: $0, available: available).list(reports) })
    }

    private func inspection(of folder: String?) throws -> Inspection {
        try Interrupts.install()
        let bar = ProgressBar("reading", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        func show(_ done: Int, _ total: Int) throws {
            if Interrupts.requested { throw Interrupted() }
            bar.update(Double(done) / Double(max(1, total))) { _ in
                "\(Format.bytes(done)) of \(Format.bytes(total))"
            }
        }
        return try folder.map { try Inspection(directory: $0, scanningWeights: scan, progress: show) }
            ?? Inspection(.demo(), scanningWeights: scan, progress: show)
    }
}

/// What `--json` prints: the inspection, the version of Unicode by which texts are cut, and what each token of a text takes in
/// the cache.
private struct InspectionLine: Encodable {
    let inspection: Inspection

    private enum Keys: String, CodingKey {
        case unicode
        case cacheBytes = "cache_bytes_per_token"
    }

    func encode(to encoder: any Encoder) throws {
        try inspection.encode(to: encoder)
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(Tokenizer.unicodeVersion, forKey: .unicode)
        let cacheBytes = inspection.configuration?.cacheBytesByType(modules: inspection.mtpModuleCount)
        try container.encode(cacheBytes, forKey: .cacheBytes)
    }
}

extension Inspection {
    fileprivate func summary(_ folder: String, _ files: TextFiles, checked: String, on terminal: Terminal) -> String {
        var facts = Table([.init(""), .init("")])
        let type = modelType ?? "unknown"
        facts.add("architecture", family.map { "\($0) (\(type))" } ?? type)
        if let configuration { configuration.describe(moduleBlocks, generationDefaults, in: &facts) }
        facts.add("tensors", "\(Format.grouped(tensorCount)), \(Format.bytes(bytesByType.values.reduce(0, +)))")
        for (type, bytes) in bytesByType.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            facts.add("  \(type)", Format.bytes(bytes))
        }
        if !weightBytes.isEmpty { facts.add("weights in memory", "by --weights; contexts and scratch come on top") }
        for (format, bytes) in weightBytes { facts.add("  \(format.rawValue)", Format.bytes(bytes)) }
        facts.add(
            "tokenizer",
            (files.tokenizer.map { "\($0.origin), " } ?? "") + "Unicode \(Tokenizer.unicodeVersion), on every machine")
        if let chat = files.chat, let tokenizer = files.tokenizer {
            let ends = chat.turnEnds.map { id in
                "\(String(decoding: tokenizer.decode([id], skippingSpecial: false), as: UTF8.self)) (\(id))"
            }
            facts.add("chat turns end by", ends.isEmpty ? "the end tokens" : ends.joined(separator: ", "))
            facts.add("calls of tools", chat.calls.map { "as \($0.name) writes them" } ?? "none that can be read")
        }
        var text = terminal.styled(folder.printable, .bold) + "\n\n" + facts.rendered(on: terminal)
        if problems.isEmpty {
            return text + "\n" + terminal.prose("The files fit together and can be loaded; \(checked).", .green)
        }
        text += "\n" + terminal.styled("\(problems.count) problem\(problems.count == 1 ? "" : "s"):", .red) + "\n"
        for problem in problems { text += terminal.prose("- \(problem.description.printable)", indent: 2) }
        return text
    }
}

extension ModelConfiguration {
    fileprivate func describe(
        _ modules: [Inspection.ModuleBlock], _ defaults: GenerationDefaults?, in facts: inout Table
    ) {
        facts.add("layers", "\(layerCount), \(denseLayerCount) dense at the start")
        let found = mtpModuleCount == modules.count ? "\(modules.count)" : "\(modules.count) of \(mtpModuleCount)"
        let dense = modules.count { $0 == .dense }
        let kind =
            modules.isEmpty
            ? "" : dense == modules.count ? ", dense" : dense == 0 ? ", with experts" : ", \(dense) of them dense"
        facts.add("MTP modules", found + kind)
        facts.add("hidden size", Format.grouped(hiddenSize))
        facts.add(
            "attention",
            "\(headCount) heads of \(nopeDimension) + \(ropeDimension), values of \(valueDimension), "
                + "latent \(latentRank), \(queryRank.map { "query rank \($0)" } ?? "direct queries")")
        if let sparse = sparseAttention {
            facts.add(
                "sparse attention",
                "\(Format.grouped(sparse.chosenCount)) tokens of a context, chosen by \(sparse.headCount) heads of "
                    + "\(sparse.headDimension) in \(sparse.indexerCount(layers: layerCount)) layers")
        }
        let groups = expertGroupCount > 1 ? ", \(keptGroupCount) of \(expertGroupCount) groups" : ""
        facts.add("experts", "\(expertsPerToken) of \(routedExpertCount)\(groups), \(sharedExpertCount) shared")
        facts.add(
            "expert width", "\(Format.grouped(expertIntermediateSize)), dense \(Format.grouped(intermediateSize))")
        facts.add("vocabulary", Format.grouped(vocabularySize) + (tiesEmbeddings ? ", tied" : ""))
        facts.add("context", "\(Format.grouped(maximumPositions)) tokens\(rope.yarn == nil ? "" : ", YaRN")")
        let cache = CacheType.allCases.map { type in
            let bytes = Model.cacheBytesPerPosition(self, modules: modules.count, cacheType: type)
            return "\(Format.grouped(bytes)) bytes a token in \(type.rawValue)"
        }
        facts.add("cache", cache.joined(separator: ", "))
        let ends = endTokens(defaults)
        facts.add("end tokens", ends.isEmpty ? "those of the tokenizer" : ends.map(String.init).joined(separator: ", "))
        facts.add("sampling defaults", defaults?.spelling ?? "none")
    }
}

extension GenerationDefaults {
    /// How the model's makers draw tokens, in the words of the options.
    fileprivate var spelling: String {
        if doSample == false { return "greedy" }
        let words = [
            temperature.map { "temperature \($0)" }, topP.map { "top-p \($0)" }, topK.map { "top-k \($0)" },
            repetitionPenalty.map { "repetition penalty \($0)" },
        ].compactMap { $0 }
        return words.isEmpty ? "none" : words.joined(separator: ", ")
    }
}
