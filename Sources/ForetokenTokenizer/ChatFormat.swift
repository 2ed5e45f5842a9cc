/// One message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// Who speaks.
    public enum Role: String, Sendable {
        /// Instructions that hold for the whole conversation.
        case system
        /// The person.
        case user
        /// The model.
        case assistant
    }

    /// Who speaks.
    public var role: Role
    /// What is said, without any markers.
    public var content: String

    /// A message of `role`.
    public init(_ role: Role, _ content: String) {
        self.role = role
        self.content = content
    }
}

/// How a checkpoint of the DeepSeek-V3 family wants a conversation written.
///
///     V3     BOS system <｜User｜>u <｜Assistant｜>a EOS … <｜Assistant｜>
///     R1     the same, ending in <｜Assistant｜><think>\n
///     V3.1   BOS system <｜User｜>u <｜Assistant｜></think>a EOS … <｜Assistant｜></think>    or, thinking, …<think>
///
/// with nothing between the parts. Only the format itself writes markers: contents are encoded with added tokens
/// disabled, so a user who types `<｜Assistant｜>` sends these characters and not the role token. For contents without
/// such text the ids are those of the whole prompt encoded at once.
public struct ChatFormat: Sendable, Equatable {
    /// The generation of checkpoints, which decides how an assistant's turn begins.
    public enum Generation: String, Sendable {
        /// V3 and V3-0324: answers at once.
        case v3 = "V3"
        /// R1: always thinks first.
        case r1 = "R1"
        /// V3.1: thinks if asked to.
        case v31 = "V3.1"
    }

    /// The generation of checkpoints.
    public let generation: Generation
    /// Whether an earlier answer is written without its thoughts: without everything up to its last `</think>`, V3.1's up to
    /// its first.
    public let dropsEarlierThoughts: Bool

    let bos: Int32
    let eos: Int32
    let user: Int32
    let assistant: Int32
    /// `<think>` and `</think>`; V3 needs neither.
    let think: (open: Int32, close: Int32)?

    /// Finds the format from the checkpoint's role tokens and the text of its chat template.
    ///
    /// A template that asks for `thinking` is V3.1's, one that begins answers with `<think>` is R1's, any other and none
    /// is V3's. Throws `TokenizerError.chat` when BOS, EOS, the role tokens or the thinking tokens are missing.
    /// - Parameter template: the template, if it is not in tokenizer_config.json but in a file of its own.
    public static func detect(
        _ tokenizer: Tokenizer, template: String? = nil
    ) throws(TokenizerError) -> ChatFormat {
        let template = template ?? tokenizer.chatTemplate ?? ""
        guard template.isEmpty || contains(template, "<｜User｜>") else {
            throw .chat(
                reason: "The chat template is none of DeepSeek's: expected <｜User｜> in it. Use this checkpoint on "
                    + "plain text.")
        }
        let generation: Generation =
            if contains(template, "thinking") {
                .v31
            } else if contains(template, "<｜Assistant｜><think>") {
                .r1
            } else {
                .v3
            }
        let drops = generation != .v3 || contains(template, "split('</think>')")
        return try ChatFormat(generation, dropsEarlierThoughts: drops, tokenizer)
    }

    /// A format chosen by hand. Throws `TokenizerError.chat` when the tokenizer lacks one of its tokens.
    /// - Parameter dropsEarlierThoughts: nil for what the generation's template does (V3: no; R1 and V3.1: yes).
    public init(
        _ generation: Generation, dropsEarlierThoughts: Bool? = nil, _ tokenizer: Tokenizer
    ) throws(TokenizerError) {
        guard let bos = tokenizer.bos, let eos = tokenizer.eos, let user = tokenizer.id(of: "<｜User｜>"),
            let assistant = tokenizer.id(of: "<｜Assistant｜>")
        else {
            throw .chat(
                reason: "This checkpoint has no chat format: expected BOS, EOS, <｜User｜> and <｜Assistant｜> among its "
                    + "tokens. Use it on plain text.")
        }
        (self.bos, self.eos, self.user, self.assistant) = (bos, eos, user, assistant)
        self.generation = generation
        self.dropsEarlierThoughts = dropsEarlierThoughts ?? (generation != .v3)
        guard generation != .v3 else {
            think = nil
            return
        }
        guard let open = tokenizer.id(of: "<think>"), let close = tokenizer.id(of: "</think>") else {
            throw .chat(
                reason:
                    "The chat template is that of DeepSeek-\(generation.rawValue), but the tokenizer has no <think> "
                    + "and </think>. Check that both files belong to the same checkpoint.")
        }
        think = (open, close)
    }

    // MARK: Encoding

    /// The prompt for a whole conversation: BOS, the system messages (gathered in front, with a blank line between),
    /// the turns, and the beginning of the next answer.
    ///
    /// - Parameters:
    ///   - messages: must end with the user's.
    ///   - thinking: V3 knows only false, R1 only true, V3.1 both; nil is false for V3 and V3.1, true for R1.
    /// Throws `TokenizerError.chat` for a conversation or a mode that the format cannot write.
    public func encode(
        messages: [ChatMessage], thinking: Bool? = nil, tokenizer: Tokenizer
    ) throws(TokenizerError) -> [Int32] {
        guard messages.last?.role == .user else {
            throw .chat(reason: "A conversation must end with a message of the user for the model to answer.")
        }
        let thinks = try resolve(thinking)
        var ids = [bos]
        let system = messages.filter { $0.role == .system }.map(\.content).joined(separator: "\n\n")
        ids += try tokenizer.encode(system, addedTokens: false)
        var last: ChatMessage.Role?
        for message in messages where message.role != .system {
            if message.role == .user {
                ids.append(user)
                ids += try tokenizer.encode(message.content, addedTokens: false)
            } else {
                try appendAnswer(message.content, after: last, to: &ids, tokenizer)
            }
            last = message.role
        }
        try appendOpening(thinks, to: &ids, tokenizer)
        return ids
    }

    private func resolve(_ thinking: Bool?) throws(TokenizerError) -> Bool {
        switch (generation, thinking) {
        case (.v3, true): throw .chat(reason: "DeepSeek-V3 has no thinking mode. Ask without it.")
        case (.r1, false): throw .chat(reason: "DeepSeek-R1 always thinks before it answers. Ask with thinking on.")
        default: thinking ?? (generation == .r1)
        }
    }

    private func appendAnswer(
        _ content: String, after last: ChatMessage.Role?, to ids: inout [Int32], _ tokenizer: Tokenizer
    ) throws(TokenizerError) {
        // V3.1's template marks an answer only where the user has spoken before it.
        if generation != .v31 {
            ids.append(assistant)
        } else if last == .user, let think {
            ids += [assistant, think.close]
        }
        let answer = dropsEarlierThoughts ? Self.withoutThoughts(content, upToFirst: generation == .v31) : content
        ids += try tokenizer.encode(answer, addedTokens: false)
        ids.append(eos)
    }

    private func appendOpening(
        _ thinks: Bool, to ids: inout [Int32], _ tokenizer: Tokenizer
    ) throws(TokenizerError) {
        ids.append(assistant)
        guard let think else { return }
        ids.append(thinks ? think.open : think.close)
        if generation == .r1 { ids += try tokenizer.encode("\n", addedTokens: false) }
    }

    /// What follows the last `</think>`, or the first; compared byte by byte, for to a `String` a combining mark behind the
    /// marker would hide it.
    static func withoutThoughts(_ content: String, upToFirst: Bool) -> String {
        let text = Array(content.utf8)
        let marker = Array("</think>".utf8)
        guard text.count >= marker.count else { return content }
        let starts = (0...text.count - marker.count).lazy.filter { text[$0...].starts(with: marker) }
        guard let start = upToFirst ? starts.first : starts.last else { return content }
        return String(decoding: text[(start + marker.count)...], as: UTF8.self)
    }

    private static func contains(_ text: String, _ part: String) -> Bool {
        let part = Array(part.utf8)
        var rest = Array(text.utf8)[...]
        while let start = rest.firstIndex(of: part[0]) {
            rest = rest[start...]
            if rest.starts(with: part) { return true }
            rest.removeFirst()
        }
        return false
    }

    /// Equal when the same conversations give the same ids.
    public static func == (left: ChatFormat, right: ChatFormat) -> Bool {
        left.generation == right.generation && left.dropsEarlierThoughts == right.dropsEarlierThoughts
            && (left.bos, left.eos, left.user, left.assistant) == (right.bos, right.eos, right.user, right.assistant)
            && left.think?.open == right.think?.open && left.think?.close == right.think?.close
    }
}
