import ForetokenTemplate

/// How a checkpoint wants a conversation written: by its own chat template, or without one in a format of DeepSeek's.
///
/// Only the format itself writes markers. What comes from messages and tools is encoded with added tokens as ordinary
/// characters, so a user who types `<｜Assistant｜>` sends these characters and not the role token. For messages without such
/// text the ids are those of the whole rendered prompt.
public struct ChatFormat: Sendable {
    private enum Form {
        case template(RenderedChat)
        case deepSeek(DeepSeekChat)
    }

    private let form: Form
    /// How the model calls tools; nil where the format writes no calls, or none with markers that are known.
    public let calls: CallFormat?
    /// Tokens that end the model's turn, whether or not the checkpoint's settings say so.
    public let turnEnds: [Int32]

    /// What a remark says of a format that no template gave; nil for a template's.
    public var remark: String? {
        guard case .deepSeek(let format) = form else { return nil }
        return
            "conversations are written in \(format.generation.name)'s format, since the checkpoint brings no chat template"
    }

    /// The checkpoint's template, or without one V3's format.
    ///
    /// - Parameter templates: the checkpoint's templates.
    /// - Throws: `TokenizerError.chat` when the template cannot be used, or when there is none and the tokenizer lacks the
    ///   tokens of V3's format.
    public init(_ templates: ChatTemplates, _ tokenizer: Tokenizer) throws(TokenizerError) {
        guard !templates.isEmpty else {
            self = try ChatFormat(.v3, tokenizer)
            return
        }
        let chat = try RenderedChat(templates, tokenizer)
        form = .template(chat)
        calls = chat.calls
        turnEnds = chat.turnEnds
    }

    /// A format of DeepSeek's. Throws `TokenizerError.chat` when the tokenizer lacks one of its tokens.
    public init(_ generation: DeepSeekChat.Generation, _ tokenizer: Tokenizer) throws(TokenizerError) {
        form = .deepSeek(try DeepSeekChat(generation, tokenizer))
        calls = nil
        turnEnds = tokenizer.eos.map { [$0] } ?? []
    }

    /// The prompt's text in pieces that know whether they are the format's own or came from the messages.
    ///
    /// - Throws: `TokenizerError.chat` for a conversation that the format cannot write, with its reason.
    public func pieces(of prompt: ChatPrompt) throws(TokenizerError) -> [TemplatePiece] {
        guard !prompt.messages.isEmpty else { throw .chat(reason: "A conversation needs at least one message.") }
        if prompt.continuesAnswer, prompt.messages.last?.toolCalls.isEmpty == false {
            throw .chat(reason: "A conversation cannot end with calls of tools: their results come next.")
        }
        switch form {
        case .template(let chat):
            let pieces = try chat.pieces(of: prompt)
            guard pieces.contains(where: { !$0.text.isEmpty }) else {
                throw .chat(
                    reason:
                        "The chat template writes nothing for this conversation. Use this checkpoint on plain text, or give "
                        + "another template.")
            }
            return pieces
        case .deepSeek(let chat): return try chat.pieces(of: prompt)
        }
    }

    /// The ids of the prompt: the whole conversation and the beginning of the next answer, or the last message without its end
    /// where that is the model's own.
    ///
    /// - Throws: as `pieces(of:)` and `Tokenizer.encode` do.
    public func encode(_ prompt: ChatPrompt, _ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        try tokenizer.encode(try pieces(of: prompt))
    }
}

extension Tokenizer {
    /// The ids of a text whose pieces know whether they came from strangers: those hold no added tokens, and none reaches into
    /// them.
    func encode(_ pieces: [TemplatePiece]) throws(TokenizerError) -> [Int32] {
        var text: [UInt8] = []
        var plain: [Range<Int>] = []
        for piece in pieces {
            let start = text.count
            text.append(contentsOf: piece.text.utf8)
            if piece.isInput { plain.append(start..<text.count) }
        }
        let result: Result<[Int32], TokenizerError> = text.withUnsafeBufferPointer { utf8 in
            Result { () throws(TokenizerError) in try encode(utf8, plain: plain) }
        }
        return try result.get()
    }
}
