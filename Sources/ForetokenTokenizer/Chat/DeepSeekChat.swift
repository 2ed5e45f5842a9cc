import ForetokenTemplate

/// The formats of DeepSeek's checkpoints, for folders that bring no chat template.
///
///     V3     BOS system <｜User｜>u <｜Assistant｜>a EOS … <｜Assistant｜>
///     R1     the same, ending in <｜Assistant｜><think>\n
///     V3.1   BOS system <｜User｜>u <｜Assistant｜></think>a EOS … <｜Assistant｜></think>    or, thinking, …<think>
///
/// with nothing between the parts. System messages are gathered in front, with a blank line between.
public struct DeepSeekChat: Sendable, Equatable {
    /// The generation of checkpoints, which decides how an assistant's turn begins.
    public enum Generation: String, Sendable, CaseIterable {
        /// V3 and V3-0324: answers at once.
        case v3
        /// R1: always thinks first.
        case r1
        /// V3.1 and V3.2: thinks if asked to.
        case v31 = "v3.1"

        /// The checkpoints' name.
        var name: String { "DeepSeek-\(rawValue.uppercased())" }
    }

    let generation: Generation
    private let bos: String
    private let eos: String

    private static let user = "<｜User｜>"
    private static let assistant = "<｜Assistant｜>"
    private static let open = "<think>"
    private static let close = "</think>"

    /// Throws `TokenizerError.chat` when the tokenizer lacks one of the format's tokens.
    init(_ generation: Generation, _ tokenizer: Tokenizer) throws(TokenizerError) {
        guard let bos = tokenizer.bos.flatMap(tokenizer.spelling(of:)),
            let eos = tokenizer.eos.flatMap(tokenizer.spelling(of:)),
            tokenizer.id(of: Self.user) != nil, tokenizer.id(of: Self.assistant) != nil
        else {
            throw .chat(
                reason:
                    "This checkpoint has no chat template, and none of DeepSeek's formats fits it: expected BOS, EOS, "
                    + "\(Self.user) and \(Self.assistant) among its tokens. Use it on plain text, or give its template."
            )
        }
        if generation != .v3, tokenizer.id(of: Self.open) == nil || tokenizer.id(of: Self.close) == nil {
            throw .chat(
                reason:
                    "\(generation.name)'s format needs the tokens \(Self.open) and \(Self.close), which this checkpoint "
                    + "does not have.")
        }
        (self.generation, self.bos, self.eos) = (generation, bos, eos)
    }

    /// The conversation as text. Throws `TokenizerError.chat` for what the format cannot write.
    func pieces(of prompt: ChatPrompt) throws(TokenizerError) -> [TemplatePiece] {
        let thinks = try resolve(prompt.thinking)
        try check(prompt)
        let isInstruction = { (message: ChatMessage) in message.role == .system || message.role == .developer }
        let system = prompt.messages.filter(isInstruction).map { $0.content ?? "" }.joined(separator: "\n\n")
        var pieces = [format(bos), input(system)]
        var last: ChatMessage.Role?
        for message in prompt.messages.dropLast(prompt.continuesAnswer ? 1 : 0) where !isInstruction(message) {
            let content = message.content ?? ""
            pieces +=
                message.role == .user ? [format(Self.user), input(content)] : answer(content, after: last)
            last = message.role
        }
        pieces.append(format(opening(thinks)))
        if prompt.continuesAnswer { pieces.append(input(prompt.messages.last?.content ?? "")) }
        return pieces.filter { !$0.text.isEmpty }
    }

    private func format(_ text: String) -> TemplatePiece { TemplatePiece(text, isInput: false) }

    private func input(_ text: String) -> TemplatePiece { TemplatePiece(text, isInput: true) }

    private func resolve(_ thinking: Bool?) throws(TokenizerError) -> Bool {
        switch (generation, thinking) {
        case (.v3, true): throw .chat(reason: "\(generation.name)'s format has no thinking mode. Ask without it.")
        case (.r1, false):
            throw .chat(reason: "\(generation.name) always thinks before it answers. Ask with thinking on.")
        default: return thinking ?? (generation == .r1)
        }
    }

    private func check(_ prompt: ChatPrompt) throws(TokenizerError) {
        guard let last = prompt.messages.last, last.role == .user || last.role == .assistant else {
            throw .chat(reason: "A conversation must end with a message of the user, or with the answer to go on with.")
        }
        if !prompt.tools.isEmpty || prompt.messages.contains(where: { $0.role == .tool || !$0.toolCalls.isEmpty }) {
            throw .chat(
                reason:
                    "\(generation.name)'s format is written here without tools, since the checkpoint brings no chat "
                    + "template. Leave tools out, or give its template.")
        }
    }

    private func opening(_ thinks: Bool) -> String {
        switch generation {
        case .v3: Self.assistant
        case .r1: Self.assistant + Self.open + "\n"
        case .v31: Self.assistant + (thinks ? Self.open : Self.close)
        }
    }

    /// An earlier answer. R1 and V3.1 write it without its thoughts.
    private func answer(_ content: String, after last: ChatMessage.Role?) -> [TemplatePiece] {
        switch generation {
        case .v3: [format(Self.assistant), input(content), format(eos)]
        case .r1: [format(Self.assistant), input(withoutThoughts(content)), format(eos)]
        // V3.1's template marks an answer only where the user has spoken before it.
        case .v31:
            [format(last == .user ? Self.assistant + Self.close : ""), input(withoutThoughts(content)), format(eos)]
        }
    }

    /// What follows the last `</think>`, V3.1's first; compared byte by byte, for to a `String` a combining mark behind the
    /// marker would hide it.
    private func withoutThoughts(_ content: String) -> String {
        let text = Array(content.utf8)
        let marker = Array(Self.close.utf8)
        guard text.count >= marker.count else { return content }
        let starts = (0...text.count - marker.count).lazy.filter { text[$0...].starts(with: marker) }
        guard let start = generation == .v31 ? starts.first : starts.last else { return content }
        return String(decoding: text[(start + marker.count)...], as: UTF8.self)
    }
}
