import ArgumentParser
import ForetokenReport
import ForetokenText
import ForetokenTokenizer
import Glibc

extension PromptFormat: EnumerableFlag {
    package static func help(for value: PromptFormat) -> ArgumentHelp? {
        switch value {
        case .raw: "Continues the text as it is."
        case .chat: "Answers the text, in the checkpoint's chat format."
        }
    }
}

/// Where the prompt comes from and how it is read.
struct PromptFlags: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The text to continue. Standard input is read where this is -, and where nothing is given and it is no terminal.",
            valueName: "prompt"))
    var givenPrompt: String?
    @OptionGroup var promptAlias: PromptAlias

    @Option(help: ArgumentHelp("Reads the prompt from a file; - is standard input.", valueName: "f"))
    var promptFile: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Token ids to continue, as they are.", valueName: "1,2,3"))
    var promptTokens: String?

    @Option(
        help: ArgumentHelp(
            "Answers many prompts in one load: JSON lines in, JSON lines out. A line has `prompt`, `prompt_tokens` or "
                + "`messages`, and may have id, domain, tools, max_tokens, stop, stop_token_ids, logprobs, logit_bias, seed, "
                + "temperature, top_k, top_p, min_p, penalties and prediction, as in OpenAI's API.", valueName: "f"))
    var inputFile: String?

    @Flag var format = PromptFormat.raw

    @Option(help: ArgumentHelp("System message, with --chat.", valueName: "text"))
    var system: String?

    @OptionGroup var chat: ChatFlags

    var prompt: String? { Alias.value(givenPrompt, promptAlias.values) }

    /// How many prompts are given.
    private var count: Int { [prompt, promptFile, promptTokens, inputFile].count { $0 != nil } }

    /// Whether the prompt is read from standard input.
    var isStandardInput: Bool { prompt == "-" || promptFile == "-" || count == 0 }

    private var wrongCount: String {
        "give exactly one of PROMPT, --prompt-file, --prompt-tokens and --input-file (found \(count))"
            + (count == 0 ? PromptText.dashAdvice : "")
    }

    func validate() throws {
        try promptAlias.check(givenPrompt)
        guard count == 1 || (count == 0 && PromptText.isPiped) else { throw ValidationError(wrongCount) }
        if format == .raw, system != nil || (chat.thinking != nil && inputFile == nil) {
            throw ValidationError("--system, --thinking and --no-thinking need --chat")
        }
        if format == .chat, promptTokens != nil {
            throw ValidationError("--prompt-tokens are taken as they are; --chat needs text")
        }
    }

    /// How text that was given is read.
    var style: PromptStyle { PromptStyle(format: format, system: system, thinking: chat.thinking) }

    /// What was given, before a tokenizer has seen it.
    func read() throws -> Prompt {
        if let promptTokens { return .tokens(try TokenList.parse(promptTokens, option: "--prompt-tokens")) }
        if let prompt, prompt != "-" {
            PromptText.noteFile(prompt, option: "--prompt-file")
            return style.prompt(prompt)
        }
        if count == 0 { PromptText.noteWaiting() }
        let text = try InputFile.text(promptFile ?? "-", for: .prompt)
        if count == 0 && text.isEmpty { throw UsageError(wrongCount) }
        return style.prompt(text)
    }
}

/// A text on the command line.
enum PromptText {
    /// What may help whoever gave a text that was taken for flags.
    static let dashAdvice = "; a text that begins with - comes last, after --"

    /// Whether standard input may hold a text: nobody is typing there.
    static var isPiped: Bool { isatty(STDIN_FILENO) == 0 }

    /// Tells somebody who looks on what is being waited for.
    static func noteWaiting() {
        if Console.terminal.isInteractive { Console.note("no text is given, so standard input is read") }
    }

    /// Tells that a text is the name of a file which could be meant.
    /// - Parameter option: reads a file.
    static func noteFile(_ text: String, option: String) {
        if ModelFolder.likeness(of: text) == .gguf, !text.contains(" ") {
            return Console.note("the text is '\(text)'; --model takes a model, and \(ModelFolder.ggufAdvice)")
        }
        var status = stat()
        guard !text.isEmpty, text.utf8.count < Int(PATH_MAX), stat(text, &status) == 0,
            status.st_mode & S_IFMT == S_IFREG
        else { return }
        Console.note("the text is '\(text)', which is also the name of a file; \(option) reads the file")
    }
}

/// A list of token ids on the command line.
enum TokenList {
    /// - Throws: `UsageError` for what is no number, `InputError` for a number beyond all ids.
    static func parse(_ text: String, option: String) throws -> [Int] {
        if text.allSatisfy(\.isWhitespace) { return [] }
        return try text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            let words = item.split(whereSeparator: \.isWhitespace)
            if words.count == 1, let id = Int(words[0]) { return id }
            let digits = words.count == 1 ? words[0].drop { $0 == "-" } : ""
            if !digits.isEmpty && digits.allSatisfy(\.isNumber) {
                throw InputError("\(option): no model has a token \(words[0])")
            }
            throw UsageError("\(option) wants ids such as 1,2,3, but '\(item)' is not one")
        }
    }
}
