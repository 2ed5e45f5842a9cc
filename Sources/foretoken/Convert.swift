import ArgumentParser
import ForetokenHardware
import ForetokenReport
import ForetokenWeights

/// Writes a checkpoint in another format.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a checkpoint in another format.",
        discussion: "With --to bf16 the values are those of DeepSeek's fp8_cast_bf16.py, MTP modules included.")

    enum Target: String, ExpressibleByArgument, CaseIterable {
        case bf16
    }

    @Option(help: "The new format.")
    var to: Target

    @Argument(help: ArgumentHelp("The folder to read.", valueName: "src"))
    var source: String

    @Argument(help: ArgumentHelp("The folder to make; it must not exist.", valueName: "dst"))
    var destination: String

    func run() throws {
        let checkpoint = try Checkpoint(directory: source)
        for warning in checkpoint.warnings { Console.warning(warning) }
        try Interrupts.install()
        let bar = ProgressBar("converting", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        try BF16Conversion.run(checkpoint, to: destination) { progress in
            if Interrupts.requested { throw Interrupted() }
            bar.update(Double(progress.doneBytes) / Double(max(1, progress.totalBytes))) { seconds in
                "\(Format.bytes(progress.doneBytes)) of \(Format.bytes(progress.totalBytes))  "
                    + "\(Format.fixed(Double(progress.doneBytes) / seconds / 1e9, 1)) GB/s  \(progress.file)"
            }
        }
        Console.note("\(destination) is ready")
    }
}
