import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Requests of the embedded model, whose weights nobody needs for that.
@Suite struct OrderTests {
    private let served: ServedModel

    init() throws {
        let open = try OpenModel(ModelSettings()) { _ in }
        var base = AnswerSettings(endTokens: open.endTokens)
        base.sampling.temperature = 1
        served = ServedModel(open, names: ["demo"], context: 512, base: base, created: 1, fingerprint: "f")
    }

    private func chat(_ members: String = "") throws -> Order {
        let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]\(members.isEmpty ? "" : "," + members)}"
        return try Order(.chat, Array(body.utf8), served, seed: 99)
    }

    private func completion(_ members: String) throws -> Order {
        try Order(.completion, Array("{\(members)}".utf8), served, seed: 99)
    }

    @Test func whatIsNotSaidIsOpenAIsDefault() throws {
        let order = try chat()
        #expect(order.settings.sampling.temperature == 1 && order.settings.sampling.seed == 99)
        #expect(order.settings.maximumTokens == 512 && order.settings.endTokens == served.open.endTokens)
        #expect(order.settings.logProbabilities == nil && order.settings.stopStrings.isEmpty)
        #expect(order.choiceCount == 1 && !order.isStreamed && order.model == "demo")
        #expect(try completion("\"prompt\":\"a\"").settings.maximumTokens == 16)
    }

    @Test func everySettingIsTaken() throws {
        let order = try chat(
            """
            "max_tokens":9,"max_completion_tokens":7,"temperature":0.5,"top_p":0.25,"top_k":4,"min_p":0.125,
            "repetition_penalty":1.5,"presence_penalty":-1,"frequency_penalty":2,"logit_bias":{"17":-100},
            "seed":18446744073709551615,"stop":"end","stop_token_ids":[3],"ignore_eos":true,"logprobs":true,
            "top_logprobs":5,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},
            "return_token_ids":true,"return_tokens_as_token_ids":true,"foretoken":{"trace":true},"n":3
            """)
        var sampling = SamplingOptions()
        sampling.temperature = 0.5
        sampling.topP = 0.25
        sampling.topK = 4
        sampling.minP = 0.125
        sampling.repetitionPenalty = 1.5
        sampling.presencePenalty = -1
        sampling.frequencyPenalty = 2
        sampling.logitBias = [17: -100]
        sampling.seed = .max
        #expect(order.settings.sampling == sampling)
        #expect(order.settings.maximumTokens == 7, "the newer name counts")
        #expect(order.settings.endTokens == [3] && order.settings.stopStrings == ["end"])
        #expect(order.settings.logProbabilities == 5 && order.choiceCount == 3)
        #expect(order.isStreamed && order.includesUsage && order.countsInChunks)
        #expect(order.showsIDs && order.namesByID && order.isTraced)
        #expect(try chat("\"logprobs\":true").settings.logProbabilities == 0)
    }

    @Test func whatWouldChangeThePromptIsRefused() throws {
        for (member, param) in [
            (#""chat_template":"{{ x }}""#, "chat_template"), (#""documents":[{"text":"a"}]"#, "documents"),
            (#""add_special_tokens":true"#, "add_special_tokens"), (#""echo":true"#, "echo"),
            (#""chat_template_kwargs":{"thinking":false,"tone":"kind"}"#, "chat_template_kwargs"),
        ] {
            let error = #expect(throws: APIError.self, "\(member)") { try chat(member) }
            #expect(error?.status == 400 && error?.param == param, "\(member): \(error?.message ?? "")")
        }
        let error = #expect(throws: APIError.self) { try completion(#""prompt":"a","add_special_tokens":false"#) }
        #expect(error?.param == "add_special_tokens")
        for harmless in [
            #""chat_template":null"#, #""documents":[]"#, #""add_special_tokens":false"#, #""echo":false"#,
            #""chat_template_kwargs":{"tone":null}"#,
        ] {
            #expect(try chat(harmless).prompts == chat().prompts)
        }
        let prompts = try completion(#""prompt":"a","add_special_tokens":true"#).prompts
        #expect(try prompts == completion(#""prompt":"a""#).prompts)
    }

    @Test func choicesHaveSeedsOfTheirOwn() throws {
        let order = try completion("\"prompt\":[\"a\",\"b\"],\"n\":2,\"seed\":5")
        #expect(order.choiceCount == 4)
        let seeds = (0..<4).map { order.settings(choice: $0).sampling.seed }
        #expect(seeds[0] == 5 && seeds[1] != 5, "the first has the request's own")
        #expect(seeds[2...] == seeds[..<2], "each prompt of a list is answered as that prompt alone")
        #expect(
            order.prompt(choice: 1) == order.prompt(choice: 0) && order.prompt(choice: 2) != order.prompt(choice: 0))
        let many = (0..<64).map { Order.seed(5, choice: $0) } + (0..<64).map { Order.seed(6, choice: $0) }
        #expect(Set(many).count == 128)
    }

    @Test func promptsOfAllForms() throws {
        let text = try completion("\"prompt\":\"func\"").prompts
        #expect(text.count == 1 && text[0].first == served.open.tokenizer?.bos)
        #expect(try completion("\"prompt\":[7,8]").prompts == [[7, 8]], "ids are taken as they are")
        #expect(try completion("\"prompt\":[[7],[8,9]]").prompts == [[7], [8, 9]])
        let parts = try Order(
            .chat,
            Array(#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#.utf8), served, seed: 1)
        #expect(try parts.prompts == chat().prompts)
    }

    @Test func messagesNameTheFieldAndNeverGrow() throws {
        let name = "\\u001b[31m" + String(repeating: "x", count: 5000)
        do {
            _ = try chat("\"model\":\"\(name)\"")
            Issue.record("there is no such model")
        } catch let error as APIError {
            #expect(error.status == 404 && error.param == "model")
            #expect(error.message.utf8.count < 400 && !error.message.contains("\u{1B}"))
        }
    }

    private static let bodies: [(Dialect, String)] = [
        (
            .chat,
            #"{"model":"demo","messages":[{"role":"user","content":"a"}],"stop":["a",null],"logit_bias":{"5":1},"n":2}"#
        ),
        (
            .messages,
            #"{"max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"#
                + #""text","text":"a"}]}],"thinking":{"type":"adaptive"},"stop_sequences":["a"]}"#
        ),
        (
            .responses,
            #"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"#
                + #""reasoning","summary":[]}],"instructions":"i","tools":[],"text":{"format":{"type":"text"}}}"#
        ),
    ]

    @Test(arguments: bodies) func everyMutatedBodyIsTakenOrRefused(dialect: Dialect, text: String) throws {
        let body = Array(text.utf8)
        var random = SystemRandomNumberGenerator()
        var (taken, refused) = (0, 0)
        for _ in 0..<2000 {
            var changed = body
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<changed.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed[place] = UInt8.random(in: 0...255, using: &random)
                case 1: changed.remove(at: place)
                default: changed.insert("[{\"0-,:]}".utf8.randomElement(using: &random)!, at: place)
                }
            }
            do {
                _ = try Order(dialect, changed, served, seed: 1)
                taken += 1
            } catch {
                #expect((400..<500).contains(error.status), "\(error)")
                refused += 1
            }
        }
        #expect(taken > 0 && refused > 500)
    }
}
