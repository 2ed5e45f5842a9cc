import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenWeights
import Glibc

/// All models of which the dimensions are known.
struct ShapeList: Encodable {
    let shapes: [ShapeReport]
}

/// What a model takes of which only the dimensions are known.
struct ShapeReport: Encodable {
    /// Memory in one of the resident formats.
    struct Memory: Encodable {
        let format: String
        /// Packed weights.
        let weight_bytes: Int
        /// Weights, the cache of a text of `context` tokens, and scratch.
        let needed_bytes: Int
    }

    let name: String
    let title: String
    let parameters: Int
    /// Read by a token's step, lm_head included.
    let active_parameters: Int
    let mtp_modules: Int
    /// Weights of all MTP modules.
    let mtp_parameters: Int
    /// Bytes of the published files.
    let file_bytes: Int
    /// The longest text that the model was made for.
    let maximum_context: Int
    /// Bytes of latents for each token of a text, those of MTP modules included, by element type.
    let cache_bytes_per_token: [String: Int]
    /// Tokens of the text that `memory` has room for.
    let context: Int
    let memory: [Memory]
    let remarks: [String]

    /// Tokens of the text that memory is counted for, where the model can hold so many.
    private static let usualContext = 8192

    /// - Throws: `CheckpointError` for a model beyond any memory.
    init(_ shape: SyntheticShape) throws {
        let whole = try WholeShape(shape)
        let (configuration, modules) = (shape.whole, whole.moduleCount)
        let context = min(Self.usualContext, configuration.maximumPositions)
        let workers = Topology.read().defaultWorkers(quota: nil).count
        let besides = try Model.workingBytes(
            configuration, modules: modules, contexts: [context], cacheType: .f32, workers: workers)
        name = shape.name
        title = shape.title
        parameters = whole.parameterCount
        active_parameters = whole.activeParameterCount
        mtp_modules = modules
        mtp_parameters = whole.moduleParameterCount
        file_bytes = whole.fileByteCount
        maximum_context = configuration.maximumPositions
        self.context = context
        cache_bytes_per_token = configuration.cacheBytesByType(modules: modules)
        memory = ResidentFormat.allCases.map {
            let bytes = whole.residentByteCount($0)
            return Memory(format: $0.rawValue, weight_bytes: bytes, needed_bytes: bytes + besides)
        }
        remarks = shape.remarks
    }

    func needed(_ format: ResidentFormat) -> Int? { memory.first { $0.format == format.rawValue }?.needed_bytes }
}

extension ModelConfiguration {
    /// Bytes of latents for each token of a text, by element type.
    /// - Parameter modules: MTP modules that will draft.
    func cacheBytesByType(modules: Int) -> [String: Int] {
        Dictionary(
            uniqueKeysWithValues: CacheType.allCases.map {
                ($0.rawValue, Model.cacheBytesPerPosition(self, modules: modules, cacheType: $0))
            })
    }
}

/// Models of which only the dimensions are known, as tables in a terminal.
struct ShapeTables {
    let terminal: Terminal
    /// Bytes that can be had on this machine; nil where that is not known.
    let available: Int?

    /// Formats that the list of all models shows.
    private static let shown: [ResidentFormat] = [.bf16, .fp8, .int8, .int4]

    /// One line a model.
    func list(_ reports: [ShapeReport]) -> String {
        // What it takes in the formats that most have room for stays longest.
        var columns: [Table.Column] = [.init("--shape"), .init("", rank: 3)]
        columns += [("parameters", 1), ("active", 5), ("files", 2)].map { .init($0.0, .right, rank: $0.1) }
        columns += Self.shown.map { .init($0.rawValue, .right, rank: [.bf16, .int8].contains($0) ? 4 : 0) }
        columns += [.init("cache a token", .right, rank: 5), .init("MTP")]
        var table = Table(columns)
        for report in reports {
            var cells = [report.name, report.title, billions(report.parameters), billions(report.active_parameters)]
            cells.append(Format.bytes(report.file_bytes))
            cells += Self.shown.map { report.needed($0).map(fitting) ?? "–" }
            cells += [
                Format.bytes(report.cache_bytes_per_token[CacheType.bf16.rawValue] ?? 0),
                report.mtp_modules > 0 ? "yes" : "no",
            ]
            table.add(cells)
        }
        let remarks = reports.filter { !$0.remarks.isEmpty }.map { "\($0.name): \($0.remarks.joined(separator: "; "))" }
        let note =
            "by format: memory for the weights in it, the F32 cache of a text of 8,192 tokens and scratch; cache a token: in "
            + "BF16, half of F32\(here)"
        return table.rendered(on: terminal)
            + ([note] + remarks).map { terminal.prose($0, .dim) }.joined()
    }

    /// All of one model.
    func all(of report: ShapeReport) -> String {
        var facts = Table([.init(report.name), .init("")])
        facts.add("model", report.title)
        facts.add("parameters", "\(Format.grouped(report.parameters)), \(billions(report.active_parameters)) active")
        facts.add(
            "MTP modules",
            report.mtp_modules == 0
                ? "none" : "\(report.mtp_modules), \(Format.grouped(report.mtp_parameters)) parameters")
        facts.add("published files", Format.bytes(report.file_bytes))
        facts.add("context", "\(Format.grouped(report.maximum_context)) tokens")
        for type in CacheType.allCases {
            let bytes = report.cache_bytes_per_token[type.rawValue] ?? 0
            facts.add(
                "cache, \(type.rawValue)",
                "\(Format.grouped(bytes)) bytes a token, \(Format.bytes(bytes * report.maximum_context)) for all of them"
            )
        }
        var memory = Table([.init("--weights"), .init("weights", .right), .init("needed", .right)])
        for row in report.memory { memory.add(row.format, Format.bytes(row.weight_bytes), fitting(row.needed_bytes)) }
        let note =
            "needed: with the F32 cache of a text of \(Format.grouped(report.context)) tokens and scratch\(here)"
        return facts.rendered(on: terminal) + "\n" + memory.rendered(on: terminal)
            + ([note] + report.remarks).map { terminal.prose($0, .dim) }.joined()
    }

    /// What marks mean, where there are any.
    private var here: String {
        available.map { "; * fits the \(Format.bytes($0)) that are available here" } ?? ""
    }

    private func fitting(_ bytes: Int) -> String {
        Format.bytes(bytes) + (available.map { bytes <= $0 ? " *" : "  " } ?? "")
    }

    private func billions(_ count: Int) -> String { Format.short(Double(count) / 1e9) + " B" }
}
