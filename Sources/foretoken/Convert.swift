import ArgumentParser
import ForetokenHardware
import ForetokenReport
import ForetokenWeights

/// Writes a checkpoint in another format, or larger.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a checkpoint in another format, or larger.",
        usage: "foretoken convert (--to bf16 | --grow <size>) [<src>] <dst>",
        discussion: """
            With --to bf16 the values are those of DeepSeek's fp8_cast_bf16.py, MTP modules included.

            With --grow the checkpoint becomes larger and computes the same: the residual stream, each expert's neurons \
            and the MoE layers are repeated, so that tokens, drafts and routing stay. For measuring at real sizes. \
            <size> is hidden=G,experts=F,layers=D with powers of two (what is left out is 1), or a preset, made for the \
            demonstration model: \
            \(GrowthFactors.presets.map { "\($0.name) (\($0.factors))" }.joined(separator: ", ")).
            """)

    enum Target: String, ExpressibleByArgument, CaseIterable {
        case bf16
    }

    @Option(help: "The new format.")
    var to: Target?

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
        let source = folders.count == 2 ? folders[0] : environment("FORETOKEN_MODEL")
        let checkpoint = try source.map { try Checkpoint(directory: $0) } ?? .demo()
        let destination = folders[folders.count - 1]
        if let grow {
            try write(Growth(checkpoint, by: grow), to: destination)
        } else {
            for warning in checkpoint.warnings { Console.warning(warning) }
            try showingProgress("converting") { try BF16Conversion.run(checkpoint, to: destination, progress: $0) }
        }
        Console.note("\(destination) is ready")
    }

    private func write(_ growth: Growth, to destination: String) throws {
        for warning in growth.warnings { Console.warning(warning) }
        var facts = "\(growth.factors): \(Format.bytes(growth.byteCount)) in \(growth.layerCount) layers; "
        facts += "a step reads \(Format.bytes(growth.stepByteCount)) for one token"
        if let bytes = growth.mtpStepByteCount {
            let share = Double(bytes) / Double(growth.stepByteCount)
            facts += ", an MTP step \(Format.bytes(bytes)) (\(Format.percent(share)) of it)"
        }
        Console.note(facts)
        try showingProgress("growing") { try growth.write(to: destination, progress: $0) }
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

extension GrowthFactors: ExpressibleByArgument {
    /// Reads a preset's name or the factors by name.
    public init?(argument: String) { self.init(argument) }

    /// The names of the presets, for completion and help.
    public static var allValueStrings: [String] { presets.map(\.name) + ["hidden=G,experts=F,layers=D"] }
}
