import ArgumentParser
import ForetokenPlacement
import ForetokenReport
import Glibc

/// Where experts should lie, by what their router does.
struct Place: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the router of a model does with its experts.",
        discussion: """
            --record-routing makes traces. In their text form they have one JSON object a line and row: \
            {"round":0,"row":0,"domain":"code","layers":[[3,7],[1,2]]}; lines of equal round form a window.
            """)

    @Option(
        help: ArgumentHelp(
            "Shows the statistics of a routing trace, recorded or in its text form; - is standard input.",
            valueName: "f"))
    var show: String

    @Flag(help: "Prints one JSON object.")
    var json = false

    func run() throws {
        let input = try TraceInput(show)
        if input.droppedByteCount > 0 {
            Console.note(
                "the last \(input.droppedByteCount) bytes of \(show) are no whole record: a crash cut them off, or the "
                    + "recording goes on; everything before them is shown")
        }
        let statistics = TraceStatistics(input.trace)
        if json {
            try StandardOutput.write(JSONOutput.line(statistics, snakeCase: true))
        } else {
            try StandardOutput.write(TraceTables(statistics).text(on: Terminal(descriptor: STDOUT_FILENO)))
        }
    }
}
