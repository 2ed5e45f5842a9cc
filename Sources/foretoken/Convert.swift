import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenReport
import ForetokenText
import ForetokenWeights

/// Writes a checkpoint in another format, or larger.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a checkpoint in another format, or larger.",
        usage: "foretoken convert (--to (bf16 | fp8 | int4) | --grow <size>) [<src>] <dst>",
        discussion: """
            With --to bf16 the values are those of DeepSeek's fp8_cast_bf16.py, MTP modules included, or those that \
            compressed-tensors makes of INT4 codes. With --to fp8 the projections of attention and all feed-forward parts of \
            a BF16 model become what DeepSeek publishes: e4m3 with a scale for each block of 128x128. With --to int4 the \
            routed experts of a BF16 or FP8 model become the codes that --weights experts-int4 makes, in \
            compressed-tensors' pack-quantized format with groups of 32, and the rest BF16.

            With --grow the checkpoint becomes larger and computes the same: the residual stream, each expert's \
            neurons, the MoE layers, attention's heads and the query's rank are repeated, so that tokens, drafts and \
            routing stay. For measuring at real sizes. <size> is hidden=G,experts=F,layers=D,heads=H,query=Q with powers \
            of two (what is left out is 1), or a preset, made for the demonstration model: \
            \(GrowthFactors.presets.map { "\($0.name) (\($0.factors))" }.joined(separator: ", ")). The last one shares \
            its bytes between experts, attention and draft as DeepSeek-V3 does.
            """)

    @Option(help: "The new format.")
    var to: Conversion.Target?

    @Option(help: ArgumentHelp("How much larger.", valueName: "size"))
    var grow: GrowthFactors?

    @Argument(
        help: ArgumentHelp(
            "The folder to read (default: $FORETOKEN_MODEL, or the demonstration model), and the folder to make, which "
                + "must not exist.", valueName: "src> <dst"))
    var folders: [String]

    func validate() throws {
        if (to == nil) == (grow == nil) { throw ValidationError("give either --to or --grow") }
        if !(1...2).contains(folders.count) {
            throw ValidationError("give the folder to read and the folder to make, or the latter alone")
        }
    }

    func run() throws {
        let source = try (folders.count == 2 ? folders[0] : environment("FORETOKEN_MODEL")).map(ModelFolder.resolve)
        let checkpoint = try source.map { try Checkpoint(directory: $0) } ?? .demo()
        let destination = folders[folders.count - 1]
        if let grow {
            let growth = try Growth(checkpoint, by: grow)
            for warning in growth.warnings { Console.warning(warning) }
            describe(growth)
            if source == nil { try foretell(growth) }
            try showingProgress("growing") { try growth.write(to: destination, progress: $0) }
        } else if let to {
            for warning in checkpoint.warnings { Console.warning(warning) }
            let conversion = try Conversion(checkpoint, to: to)
            let before = checkpoint.tensors.values.reduce(0) { $0 + $1.range.count }
            Console.note("\(to.rawValue): \(Format.bytes(conversion.byteCount)), made of \(Format.bytes(before))")
            var findings = Findings()
            let threads = Topology.read(findings: &findings).defaultWorkers(quota: CPUInfo.quota(findings: &findings))
            try showingProgress("converting") {
                try conversion.write(to: destination, threads: threads.count, progress: $0)
            }
        }
        Console.note("\(destination) is ready")
    }

    private func describe(_ growth: Growth) {
        var facts = "\(growth.factors): \(Format.bytes(growth.byteCount)) in \(growth.layerCount) layers; "
        let routed = Double(growth.routedByteCount) / Double(growth.stepByteCount)
        facts += "a step reads \(Format.bytes(growth.stepByteCount)) for one token, "
        facts += "\(Format.percent(routed)) of it routed experts"
        if let bytes = growth.mtpStepByteCount {
            let share = Double(bytes) / Double(growth.stepByteCount)
            facts += ", an MTP step \(Format.bytes(bytes)) (\(Format.percent(share)) of it)"
        }
        Console.note(facts)
    }

    /// Rows of steps that are foretold, beside what they read in DeepSeek-V3 with the overlap of R1's published trace.
    private static let foretold = [(rows: 2, v3: 1.39), (4, 2.04), (8, 3.09)]

    /// Says what steps of several rows will read: the routing stays, so the embedded model shows it on its own suite.
    private func foretell(_ growth: Growth) throws {
        try Interrupts.install()
        let open = try OpenModel(ModelSettings(), tell: { _ in })
        let tokens = Array(try BenchSource(open).tokens.prefix(open.contextLimit))
        let windows: [BenchReport.Overlap]
        do {
            let overlap = TextOverlap(try open.load(context: tokens.count))
            guard try overlap.read(tokens, proceed: { !Interrupts.requested }) else { throw Interrupted() }
            windows = overlap.windows
        } catch let error as HardwareError {
            return Console.note("what several rows read is not told, since the routing could not be seen: \(error)")
        }
        let routed = Double(growth.routedByteCount) / Double(growth.stepByteCount)
        let figures = Self.foretold.map { rows, v3 in
            let bytes = 1 + routed * (windows[rows - 1].relative - 1)
            return "\(rows) rows \(Format.fixed(bytes, 2)) times that (\(Format.fixed(v3, 2)) in DeepSeek-V3)"
        }
        Console.note(
            "in the built-in suite's text, \(figures.joined(separator: ", ")); V3's by the overlap of a published trace of "
                + "R1")
    }

    /// Runs `body` with a bar that shows how far it is; Ctrl-C ends it.
    private func showingProgress(
        _ title: String, _ body: ((ConversionProgress) throws -> Void) throws -> Void
    ) throws {
        try Interrupts.install()
        let bar = ProgressBar(title, delayNanoseconds: 300_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        try body { progress in
            if Interrupts.requested { throw Interrupted() }
            bar.update(Double(progress.doneBytes) / Double(max(1, progress.totalBytes))) { seconds in
                "\(Format.bytes(progress.doneBytes)) of \(Format.bytes(progress.totalBytes))  "
                    + "\(Format.fixed(Double(progress.doneBytes) / seconds / 1e9, 1)) GB/s  \(progress.file)"
            }
        }
    }
}

extension Conversion.Target: ExpressibleByArgument {}

extension GrowthFactors: ExpressibleByArgument {
    /// Reads a preset's name or the factors by name.
    public init?(argument: String) { self.init(argument) }

    /// The names of the presets, for completion and help.
    public static var allValueStrings: [String] {
        presets.map(\.name) + ["hidden=G,experts=F,layers=D,heads=H,query=Q"]
    }
}
