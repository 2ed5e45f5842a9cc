import ArgumentParser
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import Glibc

/// Whether tokens are marked by where they came from.
struct DraftMarkFlags: ParsableArguments {
    @Flag(
        help: """
            Marks each token on the terminal: the verifier's own plain, drafts of the MTP modules underlined and green, what was \
            looked up underlined twice and cyan, what a prediction had as well in magenta and italics. With NO_COLOR the lines do \
            without colours; on plain terminals there are ‹quotes›, «quotes» and ⟦brackets⟧ instead.
            """)
    var showDrafts = false

    /// How an answer's text is written to standard output.
    /// - Throws: `UsageError` where tokens are to be marked, but not on a terminal.
    func marks() throws -> DraftMarks? {
        showDrafts ? try DraftMarks.standard("--show-drafts") : nil
    }
}

/// An answer's text with marks that tell where its tokens came from.
package struct DraftMarks {
    private let terminal: Terminal

    /// - Parameter terminal: what the text is shown on.
    package init(terminal: Terminal) { self.terminal = terminal }

    /// Marks for standard output.
    /// - Parameter option: how they were asked for.
    /// - Throws: `UsageError` where that is no terminal.
    static func standard(_ option: String) throws -> DraftMarks {
        let terminal = Terminal(descriptor: STDOUT_FILENO)
        guard terminal.isInteractive else {
            throw UsageError(
                "\(option) marks tokens by colours and lines, but standard output is no terminal; leave it out, or see "
                    + "speculation.sources of --json")
        }
        return DraftMarks(terminal: terminal)
    }

    private static func mark(_ source: TokenSource) -> Mark {
        switch source {
        case .own: .plain
        case .mtp: .green
        case .lookup: .cyan
        case .prediction: .magenta
        }
    }

    /// The pieces, marked.
    package func text(_ pieces: [TextPiece]) -> [UInt8] {
        pieces.flatMap { terminal.marked($0.bytes, Self.mark($0.fate.source)) }
    }

    /// One line that shows every mark, and how many tokens of the answer have it.
    /// - Parameter terminal: what the line is shown on.
    package static func legend(_ answer: Answer, on terminal: Terminal) -> String {
        func entry(_ text: String, _ source: TokenSource) -> String {
            String(decoding: terminal.marked(Array(text.utf8), mark(source)), as: UTF8.self)
        }
        let telemetry = answer.result.telemetry
        let lookup = telemetry.lookup.accepted - telemetry.prediction.accepted
        let own = answer.result.tokens.count - telemetry.modules.accepted - telemetry.lookup.accepted
        var entries = [
            entry("\(own) the verifier's own", .own), entry("\(telemetry.modules.accepted) drafted by MTP", .mtp),
            entry("\(lookup) looked up", .lookup),
        ]
        if answer.prediction != nil { entries.append(entry("\(telemetry.prediction.accepted) predicted", .prediction)) }
        return terminal.prose("tokens: " + entries.joined(separator: ", "))
    }
}

extension DraftMarks? {
    /// The pieces as they are shown.
    func text(_ pieces: [TextPiece]) -> [UInt8] { self?.text(pieces) ?? pieces.bytes }
}
