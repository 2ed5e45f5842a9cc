import ArgumentParser
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// Whether an answer is drawn.
struct PictureFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Also draws the answer, for a browser or a README: which tokens came in one step, and where each came from. The \
            file names the command that made it.
            """, valueName: "f.svg"))
    var picture: String?

    /// Finds out early that nothing could be drawn there.
    /// - Parameters:
    ///   - trace: what else is written.
    ///   - inputs: files that are read.
    /// - Throws: `UsageError` where it would overwrite one of them; else as `OutputFile.check` does.
    func check(trace: String?, inputs: [String?]) throws {
        try OutputFile.check([("--picture", picture)], appended: ("--record-routing", trace), inputs: inputs)
    }
}

/// Watches an answer come about, and draws it.
package struct AnswerPicture {
    private var tokens: [(id: Int32, fate: TokenFate)] = []

    /// Nothing seen yet.
    package init() {}

    /// Takes note of what happens.
    package mutating func take(_ event: AnswerEvent) {
        if case .token(let id, let fate, _, _) = event { tokens.append((id, fate)) }
    }

    /// The picture as SVG.
    /// - Parameters:
    ///   - settings: those of the answer.
    ///   - tokenizer: the model's.
    ///   - model: the model's name.
    ///   - command: the command line, the program's path left out.
    package func drawn(
        _ answer: Answer, _ settings: AnswerSettings, _ tokenizer: Tokenizer, model: String, command: [String]
    ) -> TokenPicture {
        var picture = TokenPicture()
        picture.prompt = Self.end(of: answer.promptTokens, tokenizer)
        picture.tokens = zip(zip(tokens, steps), texts(answer, settings, tokenizer)).map { token, text in
            let ((_, fate), step) = token
            return .init(
                text, Self.origin(fate.source), step: step, replacesDraft: fate.rejected != nil)
        }
        picture.headline = headline
        picture.legend = legend
        picture.remarks = [drafts(answer.result.telemetry), "Model: \(model)"]
        picture.origin = "Made by: " + CommandLineText.quoted(["foretoken"] + command)
        return picture
    }

    private static func origin(_ source: TokenSource) -> TokenPicture.Origin {
        switch source {
        case .own: .own
        case .mtp: .module
        case .lookup: .lookup
        case .prediction: .prediction
        }
    }

    /// By token, the step that it came with: a step's last token is the verifier's own, and the first token of all came with
    /// the prompt.
    private var steps: [Int?] {
        var step = 0
        return tokens.enumerated().map { index, token in
            defer { if index > 0 && token.fate.draft == 0 { step += 1 } }
            return index == 0 ? nil : step
        }
    }

    /// Each token's text, as far as the answer has it: nothing of a stop string.
    private func texts(_ answer: Answer, _ settings: AnswerSettings, _ tokenizer: Tokenizer) -> [String] {
        // Without stop strings nothing is held back, so a token's text comes with it.
        var settings = settings
        settings.stopStrings = []
        var stream = settings.textStream(tokenizer)
        var rest = answer.text?.utf8.count ?? 0
        return tokens.indices.map { index in
            let (id, fate) = tokens[index]
            var bytes = stream.push(id, fate).text.bytes
            if index == tokens.count - 1 { bytes += stream.finish().bytes }
            bytes = Array(bytes.prefix(rest))
            rest -= bytes.count
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The end of a prompt; a picture shows no more of it.
    private static func end(of prompt: [Int32], _ tokenizer: Tokenizer) -> String {
        // Of two empty lines before it the picture shows that something is missing.
        let isCut = prompt.count > mostPromptTokens
        let text = tokenizer.decode(prompt.suffix(mostPromptTokens), skippingSpecial: true)
        return (isCut ? "\n\n" : "") + String(decoding: text, as: UTF8.self)
    }

    private static let mostPromptTokens = 512

    // MARK: Words

    private var headline: String {
        let (rounds, plain) = ((steps.last ?? nil).map { $0 + 1 } ?? 0, max(0, tokens.count - 1))
        let all = "\(count(tokens.count, "token")) in \(count(rounds, "step")) of the model"
        return rounds < plain ? "\(all), not \(Format.grouped(plain))" : all
    }

    /// What occurs in the picture.
    private var legend: [TokenPicture.Entry] {
        let names: [(TokenSource, String)] = [
            (.own, "the verifier's own"), (.mtp, "drafted by MTP"), (.lookup, "looked up"), (.prediction, "predicted"),
        ]
        var entries = names.compactMap { source, name -> TokenPicture.Entry? in
            let number = tokens.count { $0.fate.source == source }
            return number == 0 ? nil : .init("\(Format.grouped(number)) \(name)", .origin(Self.origin(source)))
        }
        let wrong = tokens.count { $0.fate.rejected != nil }
        if wrong > 0 { entries.append(.init("\(Format.grouped(wrong)) where a draft was wrong", .replacesDraft)) }
        return entries
    }

    private func drafts(_ telemetry: Telemetry) -> String {
        let box = "Each box is one step of the model; the first token comes with the prompt."
        let (drafted, held) = (telemetry.drafted.reduce(0, +), telemetry.accepted.reduce(0, +))
        guard drafted > 0 else { return "\(box) Nothing was drafted." }
        return "\(box) \(Format.grouped(held)) of \(count(drafted, "draft")) held "
            + "(\(Format.percent(Double(held) / Double(drafted)))). Without drafts the text is the same."
    }
}
