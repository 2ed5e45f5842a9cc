import ArgumentParser
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// A conversation, or a file of questions.
struct Chat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Holds a conversation in the checkpoint's chat format.",
        discussion: """
            On a terminal lines can be edited, and /help lists commands: of settings, to save and load, to ask again. \
            Elsewhere each line of standard input is a message. /clear forgets the conversation, /exit (or the end of the \
            input) ends it. Ctrl-C stops an answer; at the prompt it ends the program, and wherever the questions come \
            from no terminal. What is typed is kept until the end and nowhere else.
            """)

    @Option(help: ArgumentHelp("Answers each line of a file as a conversation of its own.", valueName: "f"))
    var inputFile: String?

    @Option(help: ArgumentHelp("System message.", valueName: "text"))
    var system: String?

    @OptionGroup var chat: ChatFlags

    @OptionGroup(title: "Answer") var length: LengthFlags
    @OptionGroup(title: "Sampling") var sampling: SamplingFlags
    @OptionGroup(title: "Speculation") var draft: DraftFlags
    @OptionGroup(title: "Speculation") var fresh: FreshOddsFlag
    @OptionGroup(title: "Speculation") var draftMarks: DraftMarkFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    /// Context of an interactive conversation when the user names none: caches for a large model's whole context would
    /// take tens of gigabytes.
    private static let defaultContext = 8192

    func run() throws {
        let marks = try draftMarks.marks()
        let questions = try inputFile.map { path in
            try InputFile.lines(path).compactMap { number, bytes in
                bytes.isEmpty ? nil : try InputFile.text(bytes, source: "\(path), line \(number)")
            }
        }
        let open = try OpenModel(model)
        try open.check(draft.draft, draft.draftSource)
        var settings = try AnswerSettings(open, length, sampling, draft)
        try settings.endTurns(of: open)
        if let questions {
            try answer(questions, of: inputFile ?? "-", open, settings, marks)
        } else {
            // What the format cannot say is better said before the weights are loaded.
            _ = try open.tokens(of: .chat(ChatPrompt(ChatMessage.opening(system, "?"), thinking: chat.thinking)))
            let context = try open.context(for: Self.defaultContext)
            let input = MessageInput(Console.terminal)
            try input.begin()
            defer { input.end() }
            let model = try open.load(context: context)
            // Drafts may be switched on later.
            let generator = try open.makeGenerator(
                model, context: context, drafting: draft.draftSource.usesModules)
            let memory = try DraftMemory.standard(open, model, generator.experience, draft, fresh)
            let conversation = Conversation(open, generator, system: system, thinking: chat.thinking)
            var session = ChatSession(open, conversation, input, settings, memory, marks)
            try session.run()
        }
    }

    // MARK: A file of questions

    /// - Parameter path: where the questions are from.
    private func answer(
        _ questions: [String], of path: String, _ open: OpenModel, _ settings: AnswerSettings, _ marks: DraftMarks?
    ) throws {
        let prompts = try questions.map { question in
            try open.encode(.chat(ChatPrompt(ChatMessage.opening(system, question), thinking: chat.thinking)))
        }
        guard let longest = prompts.map(\.count).max() else { throw InputError("\(path) holds no prompt") }
        let context = try open.context(for: longest, and: settings.maximumTokens)
        let model = try open.load(context: context)
        let generator = try open.makeGenerator(model, context: context, drafting: draft.usesModules)
        let memory = try DraftMemory.standard(open, model, generator.experience, draft, fresh)
        for (question, prompt) in zip(questions, prompts) {
            generator.clear()
            try StandardOutput.write("Prompt: \(question)\nCompletion: ")
            let answer = try memory.during {
                try generator.answer(
                    prompt, settings, tokenizer: open.tokenizer, show: { try StandardOutput.write(marks.text($0)) })
            }
            try StandardOutput.write("\n\n")
            if marks != nil { Console.write(DraftMarks.legend(answer, on: Console.terminal)) }
            if answer.wasInterrupted { throw Interrupted() }
        }
    }
}
