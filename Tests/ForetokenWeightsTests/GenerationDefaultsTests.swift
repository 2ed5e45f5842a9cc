import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite("generation_config.json")
struct GenerationDefaultsTests {
    private func read(_ text: String) throws -> GenerationDefaults {
        try GenerationDefaults(json: Array(text.utf8), vocabularySize: 96)
    }

    @Test("End tokens are a number or a list; all keys may be missing")
    func readsEveryKey() throws {
        let full = try read(
            """
            {"_from_model_config": true, "eos_token_id": [1, 2.0], "do_sample": true, "temperature": 0.6, "top_p": 0.95, \
            "top_k": 20, "repetition_penalty": 1}
            """)
        #expect(full.eosTokens == [1, 2] && full.temperature == 0.6 && full.topP == 0.95 && full.topK == 20)
        #expect(full.repetitionPenalty == 1 && full.doSample == true)
        let empty = try read("{\"eos_token_id\": null}")
        #expect(empty.eosTokens.isEmpty && empty.temperature == nil && empty.doSample == nil)
        #expect(try read("{\"eos_token_id\": 7}").eosTokens == [7])
    }

    @Test(
        "What means nothing is refused, with the file and the key",
        arguments: [
            ("{\"eos_token_id\": [1, 96]}", "eos_token_id"), ("{\"eos_token_id\": -1}", "eos_token_id"),
            ("{\"eos_token_id\": \"1\"}", "eos_token_id"), ("{\"temperature\": -1}", "temperature"),
            ("{\"temperature\": Infinity}", "temperature"), ("{\"top_p\": 0}", "top_p"), ("{\"top_k\": 1.5}", "top_k"),
            ("{\"top_k\": -1}", "top_k"), ("{\"do_sample\": 1}", "do_sample"), ("[]", "an object"),
            ("{\"a\": 1,}", "a comma too many"),
        ])
    func refuses(_ text: String, _ mention: String) {
        let message = complaint { _ = try read(text) }
        #expect(message.contains("generation_config.json") && message.contains(mention), "\(message)")
    }

    @Test("A checkpoint's end tokens are those of both files, each once")
    func joinsEndTokens() throws {
        let folder = try TemporaryFolder()
        try TinyModel().write(to: folder)
        #expect(try Checkpoint(directory: folder.path).generationDefaults() == nil)
        try folder.write(Array("{\"eos_token_id\": [5, 1]}".utf8), "generation_config.json")
        let checkpoint = try Checkpoint(directory: folder.path)
        let defaults = try checkpoint.generationDefaults()
        #expect(checkpoint.configuration.endTokens(defaults) == [1, 5])
        try folder.write(Array("{".utf8), "generation_config.json")
        let problems = try Inspection(directory: folder.path).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains("generation_config.json"))
    }

    @Test("A module among the main layers is refused, as its tensors say what it is")
    func oneLayerTooMany() throws {
        let folder = try TemporaryFolder()
        try TinyModel().write(to: folder)
        let text = String(decoding: try folder.read("config.json"), as: UTF8.self)
        let more = text.replacing("\"num_hidden_layers\": 3", with: "\"num_hidden_layers\": 4")
        try #require(more != text)
        try folder.write(Array(more.utf8), "config.json")
        let message = complaint { _ = try WeightLayout(Checkpoint(directory: folder.path)) }
        #expect(
            message.contains("model.layers.3.") && message.contains("`num_hidden_layers` of at most 3"), "\(message)")
    }
}
