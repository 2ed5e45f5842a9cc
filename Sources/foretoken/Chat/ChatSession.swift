import ForetokenHardware
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// A conversation with somebody who types, or with lines that come from elsewhere.
struct ChatSession {
    private let open: OpenModel
    private let conversation: Conversation
    private let memory: DraftMemory?
    private var settings: AnswerSettings
    private var marks: DraftMarks?
    private var input: MessageInput
    private var last: Answer?

    /// - Parameters:
    ///   - input: where messages come from.
    ///   - settings: of all answers, until commands change them.
    ///   - memory: what drafting learns from runs.
    ///   - marks: how tokens are marked; nil for not at all.
    init(
        _ open: OpenModel, _ conversation: Conversation, _ input: MessageInput, _ settings: AnswerSettings,
        _ memory: DraftMemory?, _ marks: DraftMarks?
    ) {
        (self.open, self.conversation, self.settings, self.memory) = (open, conversation, settings, memory)
        (self.input, self.marks) = (input, marks)
    }

    /// Asks for messages and answers them until the end.
    /// - Throws: `Interrupted` for Ctrl-C at the prompt, and what is no fault of a message.
    mutating func run() throws {
        if input.isEdited { Console.write(greeting) }
        while true {
            switch try input.next() {
            case .end:
                Console.write("\n")
                return
            case .interrupted:
                Console.write("\n")
                throw Interrupted()
            case .bad: Console.error("that line is not valid UTF-8")
            case .line(let text) where text.allSatisfy(\.isWhitespace): continue
            case .line(let text):
                do {
                    if let command = try ChatCommand.parse(text) {
                        if command == .exit { return }
                        try obey(command)
                    } else {
                        try ask(text)
                    }
                } catch  where Self.isAboutMessage(error) {
                    Console.error("\(error)")
                }
            }
        }
    }

    /// Whether the conversation can go on after that error.
    private static func isAboutMessage(_ error: any Error) -> Bool {
        error is UsageError || error is LineError || error is InputError || error is SettingsError
            || error is TokenizerError
    }

    // MARK: Answers

    private mutating func ask(_ text: String) throws {
        let marks = marks
        let answer = try memory.during {
            try conversation.ask(text, settings, show: { try StandardOutput.write(marks.text($0)) })
        }
        // The next Ctrl-C is the first again, and for the prompt.
        if input.isTerminal { Interrupts.reset() }
        last = answer
        try answer.finishLine()
        if marks != nil { Console.write(DraftMarks.legend(answer, on: Console.terminal)) }
        Console.write(Console.terminal.prose("[\(remark(on: answer))]", .dim))
    }

    private func remark(on answer: Answer) -> String {
        let (timings, telemetry) = (answer.result.timings, answer.result.telemetry)
        var text = "\(timings.predictedCount) \(timings.predictedCount == 1 ? "token" : "tokens")"
        if timings.predictedPerSecond > 0 { text += ", \(Format.short(timings.predictedPerSecond)) tok/s" }
        let drafted = telemetry.drafted.reduce(0, +)
        if drafted > 0 {
            let accepted = Double(telemetry.accepted.reduce(0, +)) / Double(drafted)
            text +=
                ", \(Format.fixed(telemetry.tokensPerRound, 2)) per round, \(Format.percent(accepted)) of drafts accepted"
        }
        if answer.wasInterrupted { text += "; interrupted" }
        if answer.result.reason == .length {
            text +=
                conversation.isFull
                ? "; the context is full: /clear starts anew, --context makes room" : "; cut at --max-tokens"
        }
        return text
    }

    private mutating func retry() throws {
        let (turns, seed) = (conversation.turns, settings.sampling.seed)
        guard let question = conversation.takeBack() else { throw UsageError("there is nothing to ask again") }
        if settings.sampling.temperature > 0 {
            settings.sampling.seed &+= 1
            Console.note("asking again with --seed \(settings.sampling.seed), which holds from now on")
        } else {
            Console.note(
                "asking again at temperature 0, where the answer is always the same; /temperature changes that")
        }
        do {
            try ask(question)
        } catch {
            settings.sampling.seed = seed
            // It was there a moment ago; what is to be told is why the answer could not be had.
            try? conversation.replace(with: turns, system: conversation.system)
            throw error
        }
    }

    // MARK: Commands

    private mutating func obey(_ command: ChatCommand) throws {
        switch command {
        case .help: Console.write(help)
        case .clear: conversation.clear()
        case .stats: Console.write(stats)
        case .retry: try retry()
        case .exit: break
        case .system(let text): setSystem(text)
        case .temperature, .seed: try setSampling(command)
        case .draft(let mode): try setDraft(mode)
        case .marks(let isOn): try setMarks(isOn)
        case .save(let name):
            guard !conversation.turns.isEmpty else { throw UsageError("there is no conversation yet to save") }
            try save(Transcript(system: conversation.system, turns: conversation.turns), name)
        case .load(let name):
            let transcript = try Transcript.load(name)
            try conversation.replace(with: transcript.turns, system: transcript.system)
            last = nil
            Console.note("going on after \(count(transcript.turns.count / 2, "question")), answered")
        }
    }

    private func save(_ transcript: Transcript, _ name: String) throws {
        do {
            Console.note("saved to \(try transcript.save(name))")
        } catch let error as OutputError {
            throw InputError(error.description)
        }
    }

    private func setSystem(_ text: String?) {
        guard let text else {
            return Console.note(
                conversation.system.map { "the system message is: \($0)" } ?? "there is no system message")
        }
        conversation.system = text.isEmpty ? nil : text
        Console.note(
            "the system message is \(text.isEmpty ? "gone" : "set"); the next answer reads the conversation again")
    }

    private mutating func setSampling(_ command: ChatCommand) throws {
        var wanted = settings.sampling
        if case .temperature(let value?) = command { wanted.temperature = value }
        if case .seed(let value?) = command { wanted.seed = value }
        try wanted.check()
        settings.sampling = wanted
        Console.note("temperature \(wanted.temperature), seed \(wanted.seed)")
    }

    private mutating func setDraft(_ mode: DraftMode?) throws {
        if let mode {
            try open.check(mode, settings.sources)
            settings.draft = mode
            // The modules have seen nothing of what was answered without them.
            conversation.forgetTokens()
        }
        Console.note("drafts: \(drafts)")
    }

    private mutating func setMarks(_ isOn: Bool?) throws {
        if let isOn { marks = isOn ? try DraftMarks.standard("/marks") : nil }
        Console.note("marks are \(marks == nil ? "off" : "on")")
    }

    // MARK: Texts

    private var greeting: String {
        let name = Console.terminal.styled(ModelFolder.name(of: open.checkpoint.label).printable, .bold)
        let keys =
            "Enter sends, behind a \\ it begins another line, as Alt-Enter does; Ctrl-C stops an answer, Ctrl-D ends. "
            + "/help lists commands."
        return Console.terminal.prose("\(name), drafts: \(drafts)") + Console.terminal.prose(keys, .dim)
    }

    /// Where drafts come from and how many.
    private var drafts: String {
        guard settings.draft != .off else { return "off" }
        var sources: [String] = []
        if settings.sources.usesModules && !open.layout.mtp.isEmpty { sources.append("MTP") }
        if settings.sources.looksUp { sources.append("look-up") }
        guard !sources.isEmpty else { return "none (no MTP module)" }
        return "\(settings.draft.defaultValueDescription), by \(sources.joined(separator: " and "))"
    }

    private var help: String {
        var table = Table([.init(""), .init("")])
        for command in ChatCommand.all { table.add(command.usage, command.meaning) }
        table.add("", "")
        for (keys, meaning) in Self.keys { table.add(keys, meaning) }
        return table.rendered(on: Console.terminal)
    }

    private static let keys = [
        ("Enter", "sends; behind a \\ it begins another line, as Alt-Enter does"),
        ("Up, Down", "earlier messages, which are kept until the end and nowhere else"),
        ("Ctrl-R", "finds an earlier message; again: an older one; Enter sends it, Esc takes it, Ctrl-G does not"),
        ("Ctrl-A E K U W Y", "start, end, cut to the end, to the start, a word, paste what was cut"),
        ("Ctrl-L", "clears the screen"),
        ("Ctrl-C", "stops an answer, drops what was typed, or ends"),
        ("any time", "what is typed while an answer comes is there in the next message"),
    ]

    private var stats: String {
        let size = conversation.size
        var text = ""
        if let last { text += Statistics.text(last.result, on: Console.terminal) }
        var table = Table([.init(""), .init("")])
        table.add("context", "\(Format.grouped(size.tokens)) of \(Format.grouped(size.capacity)) tokens")
        table.add("sampling", "temperature \(settings.sampling.temperature), seed \(settings.sampling.seed)")
        table.add("drafts", drafts)
        return text + "\n" + table.rendered(on: Console.terminal)
    }
}

/// Where messages come from.
enum MessageInput {
    /// Somebody who types and looks on.
    case editor(TerminalLines)
    case plain(LineReader)

    /// - Parameter terminal: what the prompt is shown on.
    init(_ terminal: Terminal) {
        self = TerminalLines(terminal).map { .editor($0) } ?? .plain(LineReader())
    }

    var isEdited: Bool {
        if case .editor = self { return true }
        return false
    }

    /// Whether somebody may be typing.
    var isTerminal: Bool {
        switch self {
        case .editor: true
        case .plain(let reader): reader.isTerminal
        }
    }

    /// From now on keys wait until a message is asked for.
    func begin() throws {
        if case .editor(let lines) = self { try lines.begin() }
    }

    /// The terminal is as it was.
    func end() {
        if case .editor(let lines) = self { lines.end() }
    }

    mutating func next() throws -> LineReader.Result {
        switch self {
        case .editor(var lines):
            defer { self = .editor(lines) }
            return try lines.next()
        case .plain(var reader):
            defer { self = .plain(reader) }
            Console.write(Console.terminal.styled("> ", .cyan))
            return try reader.next()
        }
    }
}
