import ArgumentParser
import ForetokenReport
import Glibc

/// What the argument parser says.
enum HelpText {
    /// Columns of a terminal below which descriptions have no room beside the options.
    private static let narrowest = 60
    /// Where the parser's descriptions begin.
    private static let column = 26
    /// More columns than any description has.
    private static let endless = 1 << 16

    /// The parser's message: help for people who asked for it, and errors.
    static func message(for error: any Error) -> String {
        let terminal = Terminal(descriptor: STDOUT_FILENO)
        guard Foretoken.exitCode(for: error) == .success, terminal.isInteractive, terminal.width < narrowest else {
            return Foretoken.fullMessage(for: error)
        }
        return narrow(Foretoken.fullMessage(for: error, columns: endless), on: terminal)
    }

    /// Help for a narrow terminal: descriptions stand below what they describe.
    /// - Parameter text: the parser's, with each description on one line.
    package static func narrow(_ text: String, on terminal: Terminal) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            let start = line.prefix(column)
            let hasDescription = start.hasPrefix("  ") && start.hasSuffix(" ") && line.count > column
            guard hasDescription else { return terminal.prose(String(line), indent: line.hasPrefix("  ") ? 4 : 0) }
            let label = start.drop { $0 == " " }
            let below = "    " + terminal.prose(String(line.dropFirst(column)), indent: 4)
            return (label.isEmpty ? "" : terminal.prose("  " + label.trimmed, indent: 4)) + below
        }
        return lines.joined()
    }
}
