import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights

/// What a request asks to be generated, checked and in tokens.
package struct Order: Sendable {
    /// The endpoint.
    package enum Kind: Sendable { case chat, completion }

    /// Most answers of one request.
    package static let mostChoices = 64

    /// How the request is written, and how its answer is to be.
    package private(set) var dialect: Dialect
    package let kind: Kind
    /// What is to be continued; a conversation is one.
    package let prompts: [[Int32]]
    /// Answers to each prompt.
    package let choicesPerPrompt: Int
    /// Of the first choice; see `settings(choice:)`.
    package let settings: AnswerSettings
    /// What the request calls the model.
    package let model: String
    package let isStreamed: Bool
    package let includesUsage: Bool
    /// Whether every chunk counts the tokens so far.
    package let countsInChunks: Bool
    /// Whether answers show the ids of tokens, too.
    package let showsIDs: Bool
    /// Whether log-probabilities name tokens by id.
    package let namesByID: Bool
    /// Whether a completion begins with its prompt.
    package let echoesPrompt: Bool
    /// Whether chunks tell what became of the drafts.
    package let isTraced: Bool
    /// How answers are told apart into thoughts, calls of tools and content; nil where all is content.
    package let grammar: AnswerGrammar?
    /// Whether a call of a tool counts as the answer that was asked for, and not as something that the model wants.
    package let asksForCall: Bool
    /// What the answer repeats of the request, where its dialect wants that.
    private(set) var repeated = JSONObject()

    /// Answers of the whole request.
    package var choiceCount: Int { prompts.count * choicesPerPrompt }

    /// The prompt of a choice.
    package func prompt(choice: Int) -> [Int32] { prompts[choice / choicesPerPrompt] }

    /// The settings of a choice: as the request's, but each choice of one prompt has a seed of its own.
    package func settings(choice: Int) -> AnswerSettings {
        var settings = settings
        settings.sampling.seed = Self.seed(settings.sampling.seed, choice: choice % choicesPerPrompt)
        return settings
    }

    /// The seed of choice `choice` of a prompt: the request's own for the first, its hash with the number for others
    /// (splitmix64's finaliser).
    package static func seed(_ seed: UInt64, choice: Int) -> UInt64 {
        guard choice > 0 else { return seed }
        var hash = seed &+ UInt64(choice) &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }

    /// - Parameters:
    ///   - body: the request.
    ///   - seed: for a request that brings none.
    ///   - salt: only requests with the same one share what is cached of their prompts; the request may add its own.
    package init(
        _ dialect: Dialect, _ body: [UInt8], _ served: ServedModel, seed: UInt64, salt: String = ""
    ) throws(APIError) {
        let request = try TranslatedRequest(dialect, RequestFields(body))
        do {
            try self.init(
                dialect == .completion ? .completion : .chat, request.fields, served, seed: seed, salt: salt)
        } catch {
            throw error.renamed(request.names)
        }
        self.dialect = dialect
        repeated = request.repeated
    }

    init(
        _ kind: Kind, _ fields: RequestFields, _ served: ServedModel, seed: UInt64, salt: String
    ) throws(APIError) {
        self.kind = kind
        dialect = kind == .chat ? .chat : .completion
        let name = try fields.string("model")
        try served.check(name: name)
        model = name ?? served.name
        try Self.refuseUnsupported(fields, kind)
        isStreamed = try fields.flag("stream") ?? false
        let options = try fields.fields("stream_options")
        if options != nil && !isStreamed {
            throw .value("stream_options", "`stream_options` are only allowed with \"stream\": true")
        }
        includesUsage = try options?.flag("include_usage") ?? false
        countsInChunks = try options?.flag("continuous_usage_stats") ?? false
        showsIDs = try fields.flag("return_token_ids") ?? false
        namesByID = try fields.flag("return_tokens_as_token_ids") ?? false
        isTraced = try fields.fields("foretoken")?.flag("trace") ?? false
        let n = try fields.integer("n", in: 1...Self.mostChoices) ?? 1
        choicesPerPrompt = n
        try fields.refuse("best_of", unless: { $0.integer == n }, "it must be n where it is given")
        let echo = try fields.flag("echo")
        echoesPrompt = kind == .completion && echo == true
        var settings = served.base
        try settings.read(fields, kind, served, seed: seed, echoesPrompt: echoesPrompt)
        settings.cacheSalt = try salt + "\n" + (fields.string("cache_salt") ?? "")
        let form = try FormFields(fields, settings)
        settings.minimumTokens = form.minimumTokens
        switch kind {
        case .chat:
            let chat = try ChatFields(fields)
            let prompt = try chat.tokens(served)
            prompts = [prompt]
            grammar = try chat.grammar(served, prompt)
            asksForCall = chat.tools.isNamed
            settings.mask = try form.mask(served, settings, grammar, chat.tools)
            if let calls = grammar?.calls {
                // The end of the first call is the answer's where there may be no second.
                if chat.tools.isSingle { try settings.endTokens.append(FormFields.singleEnd(calls)) }
                if chat.tools.mustCall, let end = calls.callsEnd { settings.endTokens.append(end) }
            }
        case .completion:
            prompts = try CompletionFields.prompts(fields, served)
            grammar = nil
            asksForCall = false
            settings.mask = try form.mask(served, settings, nil, nil)
        }
        self.settings = settings
        if choiceCount > Self.mostChoices {
            throw .value(
                "n",
                "\(prompts.count) prompts with \(n) answers each are \(choiceCount) answers; a request may ask for "
                    + "\(Self.mostChoices)")
        }
    }

    private static let fieldsOfOtherServers = [
        "logits_processors", "allowed_token_ids", "bad_words", "guided_json", "guided_regex", "guided_choice",
        "guided_grammar", "structured_outputs", "prompt_logprobs", "truncate_prompt_tokens", "grammar", "json_schema",
    ]

    /// What a chat refuses, unless it asks for nothing.
    static let refusedFields =
        fieldsOfOtherServers + neutralOfOtherServers.map(\.0) + [
            "use_beam_search", "include_stop_str_in_output", "skip_special_tokens", "modalities", "audio",
            "web_search_options", "echo",
        ]

    /// Ways of drawing tokens that other servers know, with what leaves the answer as it is.
    private static let neutralOfOtherServers: [(String, Int)] = [
        ("mirostat", 0), ("mirostat_mode", 0), ("typical_p", 1), ("tfs_z", 1), ("tfs", 1), ("top_a", 0),
        ("epsilon_cutoff", 0), ("eta_cutoff", 0), ("top_n_sigma", -1), ("xtc_probability", 0), ("dry_multiplier", 0),
        ("dynatemp_range", 0), ("length_penalty", 1), ("repeat_penalty", 1), ("no_repeat_ngram_size", 0),
        ("smoothing_factor", 0),
    ]

    /// What would change the answer and is not done here is refused, never ignored. Fields that nobody knows pass, as
    /// clients of OpenAI's API expect.
    private static func refuseUnsupported(_ fields: RequestFields, _ kind: Kind) throws(APIError) {
        func isFalse(_ value: JSONValue) -> Bool { value == .bool(false) }
        func isTrue(_ value: JSONValue) -> Bool { value == .bool(true) }
        func isEmpty(_ value: JSONValue) -> Bool { value == .array([]) }
        for key in fieldsOfOtherServers { try fields.refuse(key, unless: isEmpty, "leave it out") }
        for (key, neutral) in neutralOfOtherServers {
            try fields.refuse(key, unless: { $0.integer == neutral }, "only \(neutral) is possible")
        }
        try fields.refuse("use_beam_search", unless: isFalse, "tokens are drawn one after the other")
        try fields.refuse("include_stop_str_in_output", unless: isFalse, "an answer ends before its stop string")
        try fields.refuse("skip_special_tokens", unless: isTrue, "answers have none")
        switch kind {
        case .chat:
            try fields.refuse(
                "modalities", unless: { $0 == .array([.string("text")]) || isEmpty($0) }, "only [\"text\"] is possible")
            try fields.refuse("audio", "only text is answered")
            try fields.refuse("web_search_options", "the server searches nothing")
            try fields.refuse("echo", unless: isFalse, "only a completion can begin with its prompt")
        case .completion:
            try fields.refuse(
                "add_special_tokens", unless: isTrue, "texts get the tokenizer's first token; send ids to go without")
            let (echo, suffix) = (try fields.flag("echo"), try fields.string("suffix"))
            if echo == true, let suffix, !suffix.isEmpty {
                throw .value("echo", "a prompt with a gap cannot be repeated; leave `echo` or `suffix` out")
            }
        }
    }
}

extension AnswerSettings {
    /// Takes what the request says of tokens.
    fileprivate mutating func read(
        _ fields: RequestFields, _ kind: Order.Kind, _ served: ServedModel, seed: UInt64, echoesPrompt: Bool
    ) throws(APIError) {
        // The newer name counts. An answer that begins with its prompt may have nothing else.
        let least = echoesPrompt ? 0 : 1
        let newer = try fields.integer("max_completion_tokens", in: least ... .max)
        let older = try fields.integer("max_tokens", in: least ... .max)
        maximumTokens = newer ?? older ?? (kind == .chat ? served.context : 16)
        try readSampling(fields, served, seed: seed)
        let ignoresEnd = try fields.flag("ignore_eos") ?? false
        let own = try fields.read("stop_token_ids") { try served.open.stopTokens($0.integers()) } ?? []
        if kind == .chat {
            // A chat format that cannot be used has been refused before.
            turnEnds = (try? served.open.turnEnds()) ?? []
            endTokens += turnEnds.filter { !endTokens.contains($0) }
        }
        endTokens = (ignoresEnd ? [] : endTokens) + own
        stopStrings = try fields.read("stop", Self.stops) ?? []
        logProbabilities = try Self.logProbabilities(fields, kind)
        streamsLogProbabilities = try fields.flag("stream") ?? false
        if echoesPrompt { promptLogProbabilities = logProbabilities ?? (maximumTokens == 0 ? 0 : nil) }
        prediction = try fields.read("prediction") { try Self.prediction($0, served) }
        if let count = prediction?.count, count > served.context {
            throw .value(
                "prediction", "the prediction has \(count) tokens, but no answer can have more than \(served.context)")
        }
    }

    private mutating func readSampling(
        _ fields: RequestFields, _ served: ServedModel, seed: UInt64
    ) throws(APIError) {
        func set(_ key: String, _ path: WritableKeyPath<SamplingOptions, Float>) throws(APIError) {
            guard let value = try fields.float(key) else { return }
            sampling[keyPath: path] = value
            if let problem = sampling.problem { throw .value(key, problem) }
        }
        try set("temperature", \.temperature)
        try set("top_p", \.topP)
        try set("min_p", \.minP)
        try set("repetition_penalty", \.repetitionPenalty)
        try set("presence_penalty", \.presencePenalty)
        try set("frequency_penalty", \.frequencyPenalty)
        // Some clients write -1 for all.
        if let count = try fields.integer("top_k", in: -1 ... .max) { sampling.topK = max(0, count) }
        if let biases = try fields.read("logit_bias", { try Self.biases($0, served) }) {
            sampling.logitBias = biases
            if let problem = sampling.problem { throw .value("logit_bias", problem) }
        }
        sampling.seed = try fields.read("seed", Self.seed) ?? seed
    }

    private static func seed(_ field: JSONField) throws -> UInt64 {
        if let number = field.value?.integer { return UInt64(bitPattern: Int64(number)) }
        return try field.unsigned()
    }

    private static func biases(_ field: JSONField, _ served: ServedModel) throws -> [Int: Float] {
        let members = try field.fields().members
        guard members.count <= 1024 else {
            throw APIError.value("logit_bias", "`logit_bias` has \(members.count) entries; at most 1024 are possible")
        }
        var biases: [Int: Float] = [:]
        for (key, value) in members {
            // One spelling for each id: 017 would be 17 once more.
            guard let token = Int(key), String(token) == key,
                (0..<served.open.configuration.vocabularySize).contains(token)
            else {
                throw APIError.value(
                    "logit_bias",
                    "`logit_bias` wants ids of tokens as keys, such as \"17\", below "
                        + "\(served.open.configuration.vocabularySize); \"\(key.prefix(60))\" is none")
            }
            biases[token] = try value.float()
        }
        return biases
    }

    private static func stops(_ field: JSONField) throws -> [String] {
        // Harnesses list a missing end token as null.
        let texts =
            if case .array = field.value {
                try field.list().compactMap { try $0.given?.string() }
            } else {
                [try field.string()]
            }
        guard texts.count <= 16 else {
            throw APIError.value("stop", "`stop` has \(texts.count) strings; at most 16 are possible")
        }
        guard texts.allSatisfy({ (1...256).contains($0.utf8.count) }) else {
            throw APIError.value("stop", "a stop string must have 1...256 bytes")
        }
        return texts
    }

    private static func logProbabilities(_ fields: RequestFields, _ kind: Order.Kind) throws(APIError) -> Int? {
        let range = 0...GenerationRequest.maximumLogProbabilities
        guard kind == .chat else { return try fields.integer("logprobs", in: range) }
        let isWanted = try fields.flag("logprobs") ?? false
        let count = try fields.integer("top_logprobs", in: range)
        if let count, count > 0, !isWanted {
            throw .value("top_logprobs", "`top_logprobs` needs \"logprobs\": true")
        }
        return isWanted ? count ?? 0 : nil
    }

    /// `{"type": "content", "content": …}`, or just a text.
    private static func prediction(_ field: JSONField, _ served: ServedModel) throws -> [Int32]? {
        if let text = field.value?.string { return try served.open.tokens(ofPrediction: text) }
        let fields = try field.fields()
        guard try fields["type"].string() == "content" else {
            throw APIError.value("prediction", "only a prediction of type \"content\" is known")
        }
        return try ChatMessage.text(fields["content"]).map(served.open.tokens(ofPrediction:))
    }
}
