import ArgumentParser
import ForetokenHardware
import ForetokenReport
import Glibc

/// The command line. Results go to standard output, everything else to standard error.
@main
struct Foretoken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "foretoken",
        abstract:
            "Generates text from DeepSeek-V3-family checkpoints on CPUs, drafting with the checkpoint's MTP module.",
        discussion: """
            Without --model the small demonstration model inside this program is used.
            Speculation never changes the output: with the same prompt, seed and sampling settings the tokens are the same \
            at every --draft.

            NO_COLOR=1 leaves out colours; TERM=dumb or FORETOKEN_PLAIN=1 all but plain lines, for screen readers.

            Exit codes: 0 done; 2 the command line is wrong; 65 something was found but cannot be used; 1 other errors; \
            130 interrupted.
            """,
        version: "0.1.0",
        subcommands: [
            Generate.self, Chat.self, Serve.self, Score.self, Measure.self, Prove.self, Bench.self, Place.self,
            Tune.self, Inspect.self, Convert.self, Doctor.self,
        ])

    /// Replaces the argument parser's own entry point, whose exit codes are others.
    static func main() {
        do {
            try ProcessLimits.makeRoomForStack()
            // Before anything can open a file.
            try StandardDescriptors.fill()
            try Interrupts.endAtOnce()
            try Interrupts.ignoreWriteSignals()
            try CommandLineText.check()
            let arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.isEmpty { return HostSession.isFollower ? () : try Tour.show() }
            try CommandNames.check(arguments)
            var command = try parseAsRoot()
            try ProcessLimits.checkAddressSpace()
            guard let session = try HostSession.join() else { return try command.run() }
            session.run(&command)
        } catch {
            let failure = Failure(error)
            if failure.isOfCommandLine && HostSession.isFollower { Glibc.exit(failure.code) }
            failure.exit()
        }
    }
}
