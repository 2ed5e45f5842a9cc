import ForetokenReport
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenText
import FoundationEssentials
import Testing
import foretoken

extension EngineTests {
    /// Drafts from beside the text, and how they are shown.
    @Suite struct Predictions {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func file(_ text: String, _ name: String = "prediction") throws -> String {
            try folder.write(Array(text.utf8), name)
            return folder.path + "/" + name
        }

        @Test func aPredictionChangesSpeedAlone() throws {
            let plain = try Command.generate(prompt, "--max-tokens", "60", "--draft", "off")
            #expect(plain.speculation.prediction == nil)
            let right = try file(plain.text)
            let flags = ["--max-tokens", "60", "--prediction-file", right]
            for (draft, source) in [("15", "lookup"), ("15", "both"), ("auto", "both"), ("off", "both"), ("3", "mtp")] {
                let outcome = try Command(
                    ["generate", "--json", prompt, "--draft", draft, "--draft-source", source] + flags
                ).finish()
                let answer: Generated = try outcome.json()
                #expect(answer.tokens == plain.tokens && answer.text == plain.text, "\(draft), \(source)")
                let prediction = try #require(answer.speculation.prediction)
                let lookup = answer.speculation.sources.lookup
                #expect(prediction.accepted <= lookup.accepted, "\(draft), \(source)")
                #expect(prediction.accepted + prediction.rejected <= lookup.drafted, "\(draft), \(source)")
                if draft == "15" && source == "lookup" {
                    #expect(prediction.accepted > 40 && answer.speculation.rounds < 10, "\(answer.speculation)")
                }
                if draft == "off" || source == "mtp" { #expect(prediction.accepted + prediction.rejected == 0) }
            }
            let shown = try Command.run(
                "generate", prompt, "--max-tokens", "60", "--draft", "15", "--draft-source", "lookup",
                "--prediction-file", right)
            #expect(shown.output == plain.text + "\n" && shown.errors.contains("prediction"), "\(shown.errors)")
        }

        @Test func whatCannotBeAPredictionIsRefused() throws {
            let missing = try Command.run("generate", "a", "--prediction-file", folder.path + "/none")
            #expect(missing.status == 2 && missing.errors.contains("does not exist"))
            try folder.write([0x61, 0xFF], "bytes")
            let bytes = try Command.run("generate", "a", "--prediction-file", folder.path + "/bytes")
            #expect(bytes.status == 65 && bytes.errors.contains("not valid UTF-8"), "\(bytes.errors)")
            let endless = try Command.run("generate", "a", "--prediction-file", "/dev/zero")
            #expect(
                endless.status == 65 && endless.errors.contains("larger than the 16 MiB that a prediction may have"),
                "\(endless.errors)")
            let lines = try file(#"{"prompt": "a"}"#)
            let both = try Command.run("generate", "--input-file", lines, "--prediction-file", lines)
            #expect(both.status == 2 && both.errors.contains("`prediction`"), "\(both.errors)")
            let twice = try Command.run("generate", "--prompt-file", "-", "--prediction-file", "-", input: "a")
            #expect(twice.status == 2 && twice.errors.contains("standard input"), "\(twice.errors)")
        }

        /// The second prompt is the first with its answer: look-up finds that answer in the first one's company.
        @Test func promptsAreLookedUpInOneAnother() throws {
            let first = try Command.generate("func reverse", "--max-tokens", "40", "--draft", "off")
            let lines = [first.prompt_tokens, first.prompt_tokens + first.tokens]
                .map { #"{"prompt_tokens": \#($0)}"# }.joined(separator: "\n")
            func answers(_ arguments: String...) throws -> [Generated] {
                let outcome = try Command(
                    ["generate", "--input-file", try file(lines, "in.jsonl"), "--max-tokens", "40"] + arguments
                ).finish()
                try #require(outcome.status == 0, "\(outcome.errors)")
                return try outcome.output.split(separator: "\n").map {
                    try JSONDecoder().decode(Generated.self, from: Data($0.utf8))
                }
            }
            let found = try answers("--draft", "15", "--draft-source", "lookup", "--parallel", "1")
            #expect(found[0].tokens == first.tokens)
            let alone = try Command.generate(
                "func reverse", "--max-tokens", "40", "--draft", "15", "--draft-source", "lookup")
            #expect(found[0].speculation.rounds < alone.speculation.rounds / 2, "\(found[0].speculation)")
            let plain = try answers("--draft", "off")
            #expect(plain.map(\.tokens) == found.map(\.tokens))
        }

        @Test func marksNeedATerminal() throws {
            let piped = try Command.run("generate", "a", "--show-drafts")
            #expect(
                piped.status == 2 && piped.output.isEmpty && piped.errors.contains("no terminal"), "\(piped.errors)")
            #expect(try Command.run("chat", "--show-drafts").status == 2)
            let json = try Command.run("generate", "a", "--show-drafts", "--json")
            #expect(json.status == 2 && json.errors.contains("--json"), "\(json.errors)")
            let lines = try Command.run("generate", "--show-drafts", "--input-file", try file(#"{"prompt": "a"}"#))
            #expect(lines.status == 2 && lines.errors.contains("--input-file"), "\(lines.errors)")
        }
    }
}

/// How tokens are marked by where they came from.
@Suite struct DraftMarkTests {
    private let pieces = [
        TextPiece(bytes: Array("let".utf8), fate: .own),
        TextPiece(bytes: Array(" é\n\n  x".utf8), fate: TokenFate(.mtp, draft: 1)),
        TextPiece(bytes: Array("=".utf8), fate: TokenFate(.lookup, draft: 2)),
        TextPiece(bytes: Array("5\n".utf8), fate: TokenFate(.prediction, draft: 3)),
    ]

    private func shown(_ terminal: Terminal) -> String {
        String(decoding: DraftMarks(terminal: terminal).text(pieces), as: UTF8.self)
    }

    @Test func coloursAndLines() {
        #expect(
            shown(Terminal(isInteractive: true, usesColor: true))
                == "let\u{1B}[4;32m é\u{1B}[0m\n\n\u{1B}[4;32m  x\u{1B}[0m\u{1B}[4;21;1;36m=\u{1B}[0m"
                + "\u{1B}[4;21;1;3;35m5\u{1B}[0m\n")
    }

    @Test func withoutColourTheLinesStay() {
        #expect(
            shown(Terminal(isInteractive: true, usesColor: false))
                == "let\u{1B}[4m é\u{1B}[0m\n\n\u{1B}[4m  x\u{1B}[0m\u{1B}[4;21;1m=\u{1B}[0m\u{1B}[4;21;1;3m5\u{1B}[0m\n"
        )
        #expect(shown(Terminal(isInteractive: false, usesColor: false)) == "let é\n\n  x=5\n")
    }

    @Test func plainTerminalsGetQuotes() {
        #expect(
            shown(Terminal(isInteractive: true, usesColor: true, isPlain: true)) == "let‹ é›\n\n‹  x›«=»⟦5⟧\n")
    }

    @Test func everyMarkIsItsOwn() {
        for usesColor in [false, true] {
            let terminal = Terminal(isInteractive: true, usesColor: usesColor)
            #expect(Set(Mark.allCases.map { terminal.marked([0x61], $0) }).count == Mark.allCases.count)
            #expect(Mark.allCases.allSatisfy { terminal.marked([], $0).isEmpty })
        }
    }
}
