import ForetokenJSON
import ForetokenTemplate

/// Conversations as a checkpoint's own chat template writes them, with the variables that Hugging Face transformers gives it.
struct RenderedChat: Sendable {
    private let templates: ChatTemplates
    private let specialTokens: [(name: String, text: String)]
    /// The time that templates are told: one for all renderings of a prompt, which are compared with each other.
    private var now = 0
    /// How the template writes calls of tools; nil where it writes none with markers that are known.
    private(set) var calls: CallFormat?
    /// Tokens that end the model's turn.
    private(set) var turnEnds: [Int32] = []
    /// Whether the template writes Python's `None` where a message has no text.
    private var writesNone = false

    init(_ templates: ChatTemplates, _ tokenizer: Tokenizer) throws(TokenizerError) {
        self.templates = templates
        specialTokens = tokenizer.specialTokens
        _ = try templates.template(withTools: false)
        calls = callStyle.flatMap { CallFormat($0, tokenizer) }
        turnEnds = try findTurnEnds(tokenizer)
        writesNone = findNone
    }

    /// How the template writes a call, seen by letting it write one.
    private var callStyle: CallFormat.Style? {
        let name = "probed_tool"
        // Some write calls only where there are tools.
        for tools in [[], [Self.probedCall(name)]] {
            guard let pieces = try? render(ChatPrompt(Self.probe(name), tools: tools)) else { continue }
            if let style = CallFormat.style(of: pieces, name: name) { return style }
        }
        return nil
    }

    /// A call with an id of the only form that any family asks for.
    private static func probedCall(_ name: String) -> JSONValue {
        var arguments = JSONObject()
        arguments["probed_key"] = .string("probed value")
        var function = JSONObject()
        function["name"] = .string(name)
        function["arguments"] = .string(JSONValue.object(arguments).text)
        var call = JSONObject()
        call["id"] = .string("functions.\(name):0")
        call["type"] = .string("function")
        call["function"] = .object(function)
        return .object(call)
    }

    /// A question, a call and its result.
    private static func probe(_ name: String) -> [ChatMessage] {
        var calling = ChatMessage(.assistant, nil)
        calling.toolCalls = [probedCall(name)]
        var result = ChatMessage(.tool, "done")
        result.toolCallID = "functions.\(name):0"
        result.name = name
        return [ChatMessage(.user, "?"), calling, result]
    }

    /// What a template writes behind an answer, a token at once: its end, or the role of who speaks next, since a model that has no
    /// other end goes on with that. Before results of tools that is another role, which some have.
    private func findTurnEnds(_ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        var ends: [Int32] = []
        let messages = [ChatMessage(.user, "?"), ChatMessage(.assistant, Self.unusual), ChatMessage(.user, "?")]
        if let pieces = try? render(ChatPrompt(messages), opensAnswer: false),
            let answer = pieces.lastIndex(where: { $0.isInput && $0.text.lastPlace(of: Self.unusual) != nil })
        {
            let behind = pieces[(answer + 1)...].prefix { !$0.isInput }
            let tokens = try tokenizer.encode(Array(behind))
            let end = tokens.first { token in tokenizer.bytes(of: token)?.allSatisfy(\.isSpace) != true }
            if let end, tokenizer.isAdded(end) { ends.append(end) }
        }
        let written = (try? render(ChatPrompt(Self.probe("probed_tool")), opensAnswer: false)) ?? []
        if let observation = tokenizer.id(of: Self.observation), !ends.contains(observation),
            written.contains(where: { !$0.isInput && $0.text.lastPlace(of: Self.observation) != nil })
        {
            ends.append(observation)
        }
        return ends
    }

    /// GLM's role of results of tools.
    private static let observation = "<|observation|>"

    private var findNone: Bool {
        func written(_ content: String?) -> String? {
            var messages = Self.probe("probed_tool")
            messages[1].content = content
            return (try? render(ChatPrompt(messages)))?.map(\.text).joined()
        }
        guard let none = written(nil), let empty = written("") else { return false }
        return none.utf8.count == empty.utf8.count + 4 && none.lastPlace(of: "None") != nil
    }

    /// The prompt's text. Throws `TokenizerError.chat` for what the template refuses, and for what it would leave out without a
    /// word: tools, their results, and a wish to think or not.
    func pieces(of prompt: ChatPrompt) throws(TokenizerError) -> [TemplatePiece] {
        var chat = self
        chat.now = Template.now
        return try chat.checkedPieces(of: prompt)
    }

    private func checkedPieces(of prompt: ChatPrompt) throws(TokenizerError) -> [TemplatePiece] {
        let prompt = declared(try withKnownRoles(withTexts(prompt)))
        if prompt.continuesAnswer { return try unfinished(prompt) }
        let pieces = try render(prompt)
        try checkThinking(prompt, pieces)
        try checkTools(prompt, pieces)
        return pieces
    }

    // MARK: What a template may not know

    /// The same with empty texts for none, where the template would write a word of Python for these.
    private func withTexts(_ prompt: ChatPrompt) -> ChatPrompt {
        guard writesNone else { return prompt }
        var prompt = prompt
        for index in prompt.messages.indices where prompt.messages[index].content == nil {
            prompt.messages[index].content = ""
        }
        return prompt
    }

    /// The same with developers' messages as system messages, where the template does not know the newer role.
    private func withKnownRoles(_ prompt: ChatPrompt) throws(TokenizerError) -> ChatPrompt {
        guard prompt.messages.contains(where: { $0.role == .developer }) else { return prompt }
        var (without, asSystem) = (prompt, prompt)
        without.messages.removeAll { $0.role == .developer }
        for index in asSystem.messages.indices where asSystem.messages[index].role == .developer {
            asSystem.messages[index].role = .system
        }
        guard let written = try? render(prompt) else { return asSystem }
        return without.messages.isEmpty || written == (try? render(without)) ? asSystem : prompt
    }

    /// The same with tools in the system message, where the template writes calls of tools but not what tools there are.
    private func declared(_ prompt: ChatPrompt) -> ChatPrompt {
        guard !prompt.tools.isEmpty, let calls else { return prompt }
        var declared = prompt
        declared.tools = []
        guard let written = try? render(prompt), written == (try? render(declared)) else { return prompt }
        declared.declaration = calls.declaration(of: prompt.tools)
        return declared
    }

    private func checkThinking(_ prompt: ChatPrompt, _ pieces: [TemplatePiece]) throws(TokenizerError) {
        guard let thinking = prompt.thinking else { return }
        var undecided = prompt
        undecided.thinking = nil
        guard pieces.opensThoughts != thinking, pieces == (try render(undecided)) else { return }
        // Some only say when there are to be no thoughts.
        var without = prompt
        without.thinking = false
        if thinking, let quiet = try? render(without), quiet != pieces { return }
        throw .chat(
            reason: thinking
                ? "This checkpoint's chat template has no thinking mode. Ask without it."
                : "This checkpoint's chat template always lets the model think. Ask without --no-thinking.")
    }

    private func checkTools(_ prompt: ChatPrompt, _ pieces: [TemplatePiece]) throws(TokenizerError) {
        if !prompt.tools.isEmpty {
            var without = prompt
            without.tools = []
            if pieces == (try? render(without)) {
                throw .chat(reason: "This checkpoint's chat template does not write tools. Ask without them.")
            }
        }
        if prompt.messages.contains(where: { !$0.toolCalls.isEmpty }) {
            var without = prompt
            for index in without.messages.indices { without.messages[index].toolCalls = [] }
            if pieces == (try? render(without)) {
                throw .chat(
                    reason: "This checkpoint's chat template does not write the model's calls of tools"
                        + (prompt.messages.contains { !$0.toolCalls.isEmpty && $0.content != nil }
                            ? " beside text. Leave the text out." : "."))
            }
        }
        let results = prompt.messages.indices.filter { prompt.messages[$0].role == .tool }
        guard !results.isEmpty else { return }
        var other = prompt
        for index in results { other.messages[index].content = (prompt.messages[index].content ?? "") + Self.unusual }
        if pieces == (try? render(other)) {
            throw .chat(reason: "This checkpoint's chat template does not write what tools give back.")
        }
    }

    /// A text that no message ends with by chance.
    private static let unusual = "\u{F8FF}\u{E0F1}\u{E2AD}"

    /// The text up to the end of the last message, which is the model's own to go on with. A mark behind that message shows where
    /// the template puts its end.
    private func unfinished(_ prompt: ChatPrompt) throws(TokenizerError) -> [TemplatePiece] {
        var marked = prompt
        let last = marked.messages.count - 1
        marked.messages[last].content = (prompt.messages[last].content ?? "") + Self.unusual
        var pieces = try render(marked, opensAnswer: false)
        while let piece = pieces.popLast() {
            guard piece.isInput, let mark = piece.text.lastPlace(of: Self.unusual) else { continue }
            let text = String(piece.text.unicodeScalars[..<mark])
            return pieces + (text.isEmpty ? [] : [TemplatePiece(text, isInput: true)])
        }
        throw .chat(
            reason:
                "This checkpoint's chat template does not write the last message so that the model could go on with it."
        )
    }

    // MARK: Variables

    /// Templates want the arguments of calls as objects or as JSON text. Objects come first: those that want text fail at them.
    private func render(_ prompt: ChatPrompt, opensAnswer: Bool = true) throws(TokenizerError) -> [TemplatePiece] {
        let template = try templates.template(withTools: !prompt.tools.isEmpty)
        let hasCalls = prompt.messages.contains { !$0.toolCalls.isEmpty }
        do {
            return try template.render(variables(prompt, opensAnswer, argumentsAsObjects: true), now: now)
        } catch let error {
            if hasCalls,
                let pieces = try? template.render(variables(prompt, opensAnswer, argumentsAsObjects: false), now: now)
            {
                return pieces
            }
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: TemplateError) -> TokenizerError {
        error.kind == .raised
            ? .chat(reason: "The chat template refuses this conversation: \(error.reason)")
            : .chat(reason: "The chat template cannot be rendered: \(error)")
    }

    private func variables(_ prompt: ChatPrompt, _ opensAnswer: Bool, argumentsAsObjects: Bool) -> TemplateDictionary {
        var variables = TemplateDictionary()
        var messages = prompt.messages.map { $0.variables(argumentsAsObjects: argumentsAsObjects) }
        if !prompt.declaration.isEmpty { Self.declare(prompt.declaration, in: &messages) }
        // DeepSeek's name for an answer to go on with.
        if !opensAnswer, let last = messages.indices.last { messages[last]["prefix"] = .bool(true) }
        variables["messages"] = .list(messages.map { .dictionary($0) })
        variables["tools"] = prompt.tools.isEmpty ? TemplateValue.none : .list(prompt.tools.map { .input($0) })
        variables["documents"] = TemplateValue.none
        variables["add_generation_prompt"] = .bool(opensAnswer)
        for token in specialTokens { variables[token.name] = .own(token.text) }
        if let thinking = prompt.thinking {
            // DeepSeek's name, and that of GLM and others.
            variables["thinking"] = .bool(thinking)
            variables["enable_thinking"] = .bool(thinking)
        }
        return variables
    }

    /// Adds to the first system message, which comes first where there is none.
    private static func declare(_ declaration: [TemplatePiece], in messages: inout [TemplateDictionary]) {
        let system = TemplateValue.own(ChatMessage.Role.system.rawValue)
        guard let index = messages.firstIndex(where: { $0["role"] == system }),
            case .string(let text) = messages[index]["content"]
        else {
            var message = TemplateDictionary()
            message["role"] = system
            message["content"] = .string(TemplateText(declaration))
            return messages.insert(message, at: 0)
        }
        let gap = TemplatePiece(text.string.isEmpty ? "" : "\n\n", isInput: false)
        messages[index]["content"] = .string(TemplateText(text.pieces + [gap] + declaration))
    }
}

extension [TemplatePiece] {
    /// Whether the text ends inside thoughts that the template itself has opened.
    fileprivate var opensThoughts: Bool {
        guard let last, !last.isInput, let open = last.text.lastPlace(of: "<think>") else { return false }
        return last.text.lastPlace(of: "</think>").map { $0 < open } ?? true
    }
}

extension UInt8 {
    fileprivate var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}

extension String {
    /// Where the last occurrence of `part` begins, compared scalar by scalar.
    fileprivate func lastPlace(of part: String) -> Index? {
        unicodeScalars.indices.reversed().first { unicodeScalars[$0...].starts(with: part.unicodeScalars) }
    }
}
