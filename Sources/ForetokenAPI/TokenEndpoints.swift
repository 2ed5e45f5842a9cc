import ForetokenJSON
import ForetokenText
import ForetokenTokenizer

extension ServedModel {
    /// What POST /tokenize answers: the ids of a text (`prompt`, or `content` as llama-server's clients write) or of a
    /// conversation (`messages`).
    package func tokenize(_ body: [UInt8]) throws(APIError) -> [UInt8] {
        let fields = try RequestFields(body)
        try check(name: fields.string("model"))
        let ids = try tokens(fields)
        let showsTexts = try fields.flag("return_token_strs", or: "with_pieces") ?? false
        var writer = JSONWriter()
        writer.object { answer in
            answer.member("count", ids.count)
            answer.member("max_model_len", context)
            answer.member("tokens", ids)
            guard showsTexts, let tokenizer = open.tokenizer else { return }
            answer.list("token_strs") { list in
                for id in ids { list.value(String(decoding: tokenizer.bytes(of: id) ?? [], as: UTF8.self)) }
            }
        }
        return writer.bytes
    }

    private func tokens(_ fields: RequestFields) throws(APIError) -> [Int32] {
        if fields.has("messages") {
            let chat = try ChatFields(fields)
            return try APIError.reading("messages") { try chat.allTokens(self) }
        }
        let key = fields.has("prompt") ? "prompt" : "content"
        guard let text = try fields.string(key) else {
            throw APIError(
                400, code: "missing_required_parameter", param: "prompt", "`prompt` or `messages` is missing")
        }
        // Each name with the default of the server that it comes from.
        let addsBOS = try fields.flag("add_special_tokens", or: "add_special") ?? (key == "prompt")
        let readsMarkers = try fields.flag("parse_special") ?? true
        return try APIError.reading(key) {
            if addsBOS && readsMarkers { return try open.tokens(of: .text(text)) }
            let tokenizer = try open.requiredTokenizer()
            let ids = try tokenizer.encode(text, addedTokens: readsMarkers)
            return addsBOS && tokenizer.addsBOS ? (tokenizer.bos.map { [$0] } ?? []) + ids : ids
        }
    }

    /// What POST /detokenize answers.
    package func detokenize(_ body: [UInt8]) throws(APIError) -> [UInt8] {
        let fields = try RequestFields(body)
        try check(name: fields.string("model"))
        guard let given = try fields.read("tokens", { try $0.integers() }) else {
            throw APIError(400, code: "missing_required_parameter", param: "tokens", "`tokens` is missing")
        }
        let bytes = try APIError.reading("tokens") {
            try open.checkIDs(given)
            return try open.requiredTokenizer().decode(given.map { Int32($0) }, skippingSpecial: false)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        var writer = JSONWriter()
        writer.object { answer in
            answer.member("prompt", text)
            answer.member("content", text)
        }
        return writer.bytes
    }

    /// What GET /tokenizer_info answers.
    package func tokenizerInfo() throws(APIError) -> [UInt8] {
        let tokenizer = try APIError.reading(nil) { try open.requiredTokenizer() }
        func text(_ id: Int32?) -> String? {
            id.flatMap { tokenizer.bytes(of: $0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        var writer = JSONWriter()
        writer.object { answer in
            answer.member("tokenizer_class", "PreTrainedTokenizerFast")
            answer.member("bos_token", text(tokenizer.bos))
            answer.member("eos_token", text(tokenizer.eos))
            answer.member("add_bos_token", tokenizer.addsBOS)
            answer.member("add_eos_token", tokenizer.addsEOS)
            answer.member("vocab_size", tokenizer.vocabularyCount)
            answer.member("model_max_length", context)
            answer.member("chat_template", tokenizer.chatTemplates["default"])
        }
        return writer.bytes
    }
}
