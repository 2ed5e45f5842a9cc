import ForetokenJSON
import ForetokenLaboratory
import ForetokenPlacement
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights

/// What a measurement is made on: a suite of prompts, or given texts.
struct MeasureSource {
    /// What reports call it.
    let name: String
    private let lines: [(line: SuiteLine, number: Int)]
    private let texts: [(domain: String, text: String)]
    private let flags: Measure

    /// Tokens of one piece of a given text: pieces are what intervals are made of.
    private static let pieceTokens = 512

    /// Reads the files before anything else is opened.
    /// - Throws: `UsageError` for missing files, `InputError` and `LineError` for what is in them.
    init(_ flags: Measure) throws {
        self.flags = flags
        let names = flags.text.map { String($0.split(separator: "/").last ?? "-") }
        if let twice = Self.repeated(flags.text) { throw UsageError("--text names \(twice) twice") }
        // Files of the same name keep their folders.
        texts = try zip(flags.text, Self.repeated(names) == nil ? names : flags.text).map { path, name in
            (domain: name, text: try InputFile.text(path, for: .text))
        }
        guard texts.isEmpty else {
            for (domain, _) in texts { try RoutingTrace.check(domain: domain) }
            name = texts.map(\.domain).joined(separator: ", ")
            lines = []
            return
        }
        name = flags.suite.map { String($0.split(separator: "/").last ?? "-") } ?? "built-in suite"
        lines = try SuiteLine.read(flags.suite)
    }

    private static func repeated(_ names: [String]) -> String? {
        var seen: Set<String> = []
        return names.first { !seen.insert($0).inserted }
    }

    /// What the prompts are: `raw`, `chat`, or some of each. Messages are always chat.
    var format: String {
        if flags.format == .chat { return "chat" }
        let chats = lines.count { $0.line.messages != nil }
        return chats == 0 ? "raw" : chats == lines.count ? "chat" : "raw and chat"
    }

    /// The texts as tokens of that model.
    /// - Throws: `LineError` for prompts that the model cannot take.
    func texts(_ open: OpenModel) throws -> [MeasuredText] {
        if !texts.isEmpty { return try texts.flatMap { try pieces($0.domain, $0.text, open) } }
        var counts: [String: Int] = [:]
        let texts: [MeasuredText] = try lines.compactMap { line, number in
            let domain = line.domain ?? "prompts"
            guard flags.domain.isEmpty || flags.domain.contains(domain) else { return nil }
            counts[domain, default: 0] += 1
            if let most = flags.prompts, counts[domain]! > most { return nil }
            do {
                let prompt = try line.wanted(PromptStyle(format: flags.format, thinking: flags.chat.thinking))
                return MeasuredText(
                    domain: domain, tokens: try open.encode(prompt), isGiven: false,
                    answer: try line.answer.map { try answer($0, open) })
            } catch {
                throw LineError(number: number, file: flags.suite ?? name, cause: error)
            }
        }
        if let missing = flags.domain.first(where: { counts[$0] == nil }) {
            throw UsageError("\(name) has no prompt of the domain \(missing)")
        }
        return texts
    }

    /// The tokens of an answer, which continues a prompt.
    private func answer(_ text: String, _ open: OpenModel) throws -> [Int32] {
        guard let tokenizer = open.tokenizer else {
            throw InputError("\(open.checkpoint.label) has no tokenizer, so an answer cannot be given as text")
        }
        let tokens = try tokenizer.encode(text)
        guard tokens.count >= 2 else {
            throw InputError("the answer has \(count(tokens.count, "token")), but drafts need at least 2")
        }
        try open.checkIDs(tokens)
        return tokens
    }

    /// A text in pieces of at most one context, each behind the text's BOS.
    private func pieces(_ domain: String, _ text: String, _ open: OpenModel) throws -> [MeasuredText] {
        let ids = try open.tokens(of: .text(text))
        // A draft needs a token to start from and one to foresee.
        guard ids.count >= 3 else {
            throw InputError("\(domain) has \(ids.count) tokens; drafts along a text need at least 3")
        }
        try open.checkIDs(ids)
        let size = flags.model.context ?? min(Self.pieceTokens, open.contextLimit)
        guard size >= 3 else {
            throw InputError("--context \(size) is too short for drafts along a text; give 3 or more")
        }
        let hasBOS = ids[0] == open.tokenizer?.bos
        let own = hasBOS ? ids.dropFirst() : ids[...]
        let room = hasBOS ? size - 1 : size
        let most = flags.prompts ?? .max
        return stride(from: own.startIndex, to: own.endIndex, by: room).prefix(most).compactMap { start in
            let piece = (hasBOS ? [ids[0]] : []) + own[start..<min(start + room, own.endIndex)]
            return piece.count < 3 ? nil : MeasuredText(domain: domain, tokens: piece, isGiven: true)
        }
    }
}

/// One line of the suites of `measure` and `tune`.
struct SuiteLine {
    private static let keys: Set<String> = [
        "id", "domain", "prompt", "prompt_tokens", "messages", "answer",
        // What `generate` reads of the same files.
        "prediction",
    ]

    let id: Identifier?
    let domain: String?
    let prompt: String?
    let prompt_tokens: [Int]?
    let messages: [ChatMessage]?
    /// What `measure` makes the model say.
    let answer: String?

    /// - Returns: the line, and keys of it that mean nothing.
    /// - Throws: `JSONError` or `InputError` for anything but a JSON object with values of these types.
    static func parse(_ bytes: [UInt8]) throws -> (line: SuiteLine, unknownKeys: [String]) {
        let fields = try JSONLine.parse(bytes)
        let line = SuiteLine(
            id: try fields["id"].given?.identifier(), domain: try fields["domain"].given?.string(),
            prompt: try fields["prompt"].given?.string(), prompt_tokens: try fields["prompt_tokens"].given?.integers(),
            messages: try ChatMessage.list(fields["messages"]), answer: try fields["answer"].given?.string())
        if let domain = line.domain { try RoutingTrace.check(domain: domain) }
        return (line, fields.keys.filter { !keys.contains($0) }.sorted())
    }

    /// The lines of a suite with their numbers; nil for the built-in one.
    /// - Throws: `UsageError` for a missing file, `InputError` and `LineError` for what is in it.
    static func read(_ file: String?) throws -> [(line: SuiteLine, number: Int)] {
        let label = file ?? "built-in suite"
        let bytes = try file.map { try InputFile.bytes($0, for: .lines) } ?? Checkpoint.demoSuite
        var ignored: Set<String> = []
        var lines: [(line: SuiteLine, number: Int)] = []
        for (number, bytes) in InputLines(bytes)
        where !bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
            do {
                let (line, unknownKeys) = try parse(bytes)
                for key in unknownKeys where ignored.insert(key).inserted {
                    Console.warning(
                        "\(label), line \(number): the key \"\(key)\" means nothing in a suite and is ignored")
                }
                lines.append((line, number))
            } catch {
                throw LineError(number: number, file: label, cause: error)
            }
        }
        if lines.isEmpty { throw InputError("\(label) holds no prompt") }
        return lines
    }

    /// The prompt in the user's form. Messages always take the chat format.
    func wanted(_ style: PromptStyle) throws -> Prompt {
        try Prompt(text: prompt, tokens: prompt_tokens, messages: messages, style: style)
    }
}
