import ForetokenJSON
import ForetokenServer
import Testing

extension ServerTests {
    @Suite struct Routes {
        @Test("Every fault has its status, its code and the field that is to blame")
        func faults() async throws {
            let message = "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]"
            let cases: [(path: String, body: String, status: Int, param: String?, code: String)] = [
                ("chat/completions", "{\(message)", 400, nil, "invalid_json"),
                ("chat/completions", "[]", 400, nil, "invalid_json"),
                ("chat/completions", "{}", 400, "messages", "missing_required_parameter"),
                ("chat/completions", "{\"messages\":[]}", 400, "messages", "invalid_value"),
                (
                    "chat/completions", "{\"messages\":[{\"role\":\"king\",\"content\":\"a\"}]}", 400, "messages",
                    "invalid_value"
                ),
                ("chat/completions", "{\(message),\"model\":\"other\"}", 404, "model", "model_not_found"),
                ("chat/completions", "{\(message),\"temperature\":-1}", 400, "temperature", "invalid_value"),
                ("chat/completions", "{\(message),\"temperature\":\"hot\"}", 400, "temperature", "invalid_value"),
                ("chat/completions", "{\(message),\"top_p\":0}", 400, "top_p", "invalid_value"),
                ("chat/completions", "{\(message),\"n\":65}", 400, "n", "invalid_value"),
                ("chat/completions", "{\(message),\"n\":0}", 400, "n", "invalid_value"),
                ("chat/completions", "{\(message),\"max_tokens\":0}", 400, "max_tokens", "invalid_value"),
                ("chat/completions", "{\(message),\"top_logprobs\":2}", 400, "top_logprobs", "invalid_value"),
                ("chat/completions", "{\(message),\"stop\":[\"\"]}", 400, "stop", "invalid_value"),
                ("chat/completions", "{\(message),\"stop\":3}", 400, "stop", "invalid_value"),
                ("chat/completions", "{\(message),\"logit_bias\":{\"01\":1}}", 400, "logit_bias", "invalid_value"),
                ("chat/completions", "{\(message),\"logit_bias\":{\"1\":200}}", 400, "logit_bias", "invalid_value"),
                ("chat/completions", "{\(message),\"stop_token_ids\":[99999]}", 400, "stop_token_ids", "invalid_value"),
                ("chat/completions", "{\(message),\"stream_options\":{}}", 400, "stream_options", "invalid_value"),
                (
                    "chat/completions",
                    "{\(message),\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
                    400, "tools",
                    "unsupported_parameter"
                ),
                (
                    "chat/completions", "{\(message),\"response_format\":{\"type\":\"grammar\"}}", 400,
                    "response_format", "unsupported_parameter"
                ),
                (
                    "chat/completions",
                    "{\(message),\"thinking\":{\"type\":\"enabled\"},\"reasoning_effort\":\"most\"}", 400,
                    "reasoning_effort", "invalid_value"
                ),
                (
                    "chat/completions",
                    "{\(message),\"chat_template_kwargs\":{\"thinking\":true,\"enable_thinking\":1}}", 400,
                    "chat_template_kwargs.enable_thinking", "invalid_value"
                ),
                (
                    "chat/completions", "{\(message),\"stream\":true,\"stream_options\":{\"include_usage\":1}}", 400,
                    "stream_options.include_usage", "invalid_value"
                ),
                (
                    "completions",
                    "{\"prompt\":\"a\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":"
                        + "{\"not\":{}}}}}",
                    400, "response_format", "invalid_json_schema"
                ),
                ("chat/completions", "{\(message),\"min_tokens\":-1}", 400, "min_tokens", "invalid_value"),
                ("completions", "{\"prompt\":\"a\",\"echo\":1}", 400, "echo", "invalid_value"),
                ("completions", "{\"prompt\":\"a\",\"max_tokens\":0}", 400, "max_tokens", "invalid_value"),
                ("completions", "{\"prompt\":[5],\"suffix\":\"b\"}", 400, "suffix", "unsupported_parameter"),
                ("completions", "{\"prompt\":\"a\",\"best_of\":3}", 400, "best_of", "unsupported_parameter"),
                ("completions", "{\"prompt\":\"a\",\"mirostat\":2}", 400, "mirostat", "unsupported_parameter"),
                ("completions", "{\"prompt\":\"a\",\"typical_p\":0.9}", 400, "typical_p", "unsupported_parameter"),
                ("completions", "{\"prompt\":\"\"}", 400, "prompt", "invalid_value"),
                ("completions", "{\"prompt\":[]}", 400, "prompt", "invalid_value"),
                ("completions", "{\"prompt\":[5,-1]}", 400, "prompt", "invalid_value"),
                ("completions", "{\"prompt\":\"a\",\"logprobs\":21}", 400, "logprobs", "invalid_value"),
                (
                    "completions", "{\"prompt\":\"\(String(repeating: "word ", count: 2000))\"}", 400, "prompt",
                    "context_length_exceeded"
                ),
                ("tokenize", "{}", 400, "prompt", "missing_required_parameter"),
                ("detokenize", "{\"tokens\":[123456]}", 400, "tokens", "invalid_value"),
            ]
            try await TestServer.run { server in
                for one in cases {
                    let response = try await ask(server.port, "POST", "/v1/" + one.path, [:], one.body)
                    let error = try response.json["error"]
                    let body = one.body.prefix(100)
                    #expect(response.status == one.status, "\(body)")
                    #expect(error?.keys == ["message", "type", "param", "code"], "\(body)")
                    #expect(error?["param"]?.string == one.param, "\(body)")
                    #expect(error?["code"]?.string == one.code, "\(body)")
                    #expect(response.headers["x-request-id"]?.count == 24)
                }
                // What asks for nothing is taken.
                let harmless = try await server.chat(
                    "\"max_tokens\":1,\"tools\":[],\"user\":\"me\",\"store\":false,\"top_k\":-1,\"seed\":-5,\"logit_bias\":null,"
                        + "\"response_format\":{\"type\":\"text\"},\"nonsense\":{\"a\":1},\"typical_p\":1.0,\"model\":\"gpt-x\""
                )
                #expect(harmless.status == 200, "\(harmless.text)")
                #expect(try harmless.json["model"]?.string == "gpt-x")
                #expect(harmless.text.contains("\"seed\":\(UInt64(bitPattern: -5))"))
                let gap = "{\"prompt\":\"func f() {\",\"suffix\":\"}\",\"max_tokens\":2}"
                let filled = try await ask(server.port, "POST", "/beta/completions", [:], gap)
                #expect(filled.status == 200, "\(filled.text)")
                #expect(try filled.json["choices"]?[0]?["text"]?.string != nil)
            }
        }

        @Test func pathsAndMethods() async throws {
            try await TestServer.run { server in
                func get(_ path: String, _ headers: [String: String] = [:]) async throws -> Response {
                    try await ask(server.port, "GET", path, headers)
                }
                for prefix in ["", "/v1"] {
                    let models = try await get(prefix + "/models").json
                    #expect(models["data"]?.list.compactMap { $0["id"]?.string } == ["demo", "gpt-x"])
                    #expect(models["data"]?[0]?["max_model_len"]?.integer == 1024)
                    #expect(models["data"]?[0]?["foretoken"]?["embedded"] == .bool(true))
                    #expect(try await get(prefix + "/models/gpt%2Dx").json["id"]?.string == "gpt-x")
                    #expect(try await get(prefix + "/models/other").status == 404)
                    #expect(try await get(prefix + "/health").status == 200)
                }
                #expect(try await get("/version").text == "{\"version\":\"test\"}")
                #expect(try await get("/openapi.json").json["openapi"]?.string == "3.1.0")
                #expect(try await get("/nothing").status == 404)
                let wrong = try await get("/v1/completions")
                #expect(wrong.status == 405 && wrong.headers["allow"] == "POST")
                #expect(try await ask(server.port, "DELETE", "/v1/models").headers["allow"] == "GET, HEAD")
                let head = try await ask(server.port, "HEAD", "/health")
                #expect(head.status == 200 && head.body.isEmpty && head.headers["content-length"] == "15")
                let page = try await get("/")
                #expect(page.headers["content-type"] == "text/html; charset=utf-8")
                #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
                #expect(try await get("/", ["If-None-Match": page.headers["etag"] ?? ""]).status == 304)
                let info = try await get("/tokenizer_info").json
                #expect(info["eos_token"]?.string == "<｜end▁of▁sentence｜>")
                let words = try await ask(server.port, "POST", "/tokenize", [:], "{\"prompt\":\"hello\"}").json
                let plain = try await ask(
                    server.port, "POST", "/tokenize", [:], "{\"content\":\"hello\",\"with_pieces\":true}"
                ).json
                #expect(words["tokens"]?.integers == [0] + (plain["tokens"]?.integers ?? []), "BOS by default")
                #expect(plain["token_strs"]?.list.compactMap(\.string).joined() == "hello")
                let back = try await ask(
                    server.port, "POST", "/detokenize", [:], "{\"tokens\":\(plain["tokens"]!.text)}"
                ).json
                #expect(back["prompt"]?.string == "hello" && back["content"]?.string == "hello")
                let chat = try await ask(
                    server.port, "POST", "/tokenize", [:], "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"
                ).json
                #expect(chat["count"]?.integer ?? 0 > 2)
            }
        }

        @Test func keysHostsAndOrigins() async throws {
            try await TestServer.run({
                $0.settings.keys = ["one", "two"]
                $0.settings.hosts = ["mine.example"]
                $0.settings.origins = ["https://page.example"]
            }) { server in
                func status(
                    _ path: String, _ headers: [String: String] = [:], _ method: String = "GET"
                ) async throws -> Int {
                    try await ask(server.port, method, path, headers).status
                }
                for path in ["/v1/models", "/metrics", "/version", "/foretoken/status", "/nothing"] {
                    let refused = try await ask(server.port, "GET", path)
                    #expect(refused.status == 401 && refused.headers["www-authenticate"] == "Bearer")
                    #expect(try refused.json["error"]?["code"]?.string == "invalid_api_key")
                    #expect(try await status(path, ["Authorization": "Bearer three"]) == 401)
                    #expect(try await status(path, ["Authorization": "Bearer "]) == 401)
                }
                #expect(try await status("/v1/models", ["Authorization": "Bearer one"]) == 200)
                #expect(try await status("/v1/models", ["X-Api-Key": "two"]) == 200)
                #expect(try await status("/health") == 200)
                #expect(try await status("/") == 200)
                #expect(try await status("/openapi.json") == 200)
                for (host, wanted) in [
                    "localhost:1": 200, "127.0.0.1": 200, "[::1]:8": 200, "192.168.1.5:80": 200, "mine.example": 200,
                    "evil.example": 403,
                ] {
                    #expect(try await status("/health", ["Host": host]) == wanted, "\(host)")
                }
                #expect(try await status("/health", ["Origin": "http://evil.example"]) == 403)
                #expect(try await status("/health", ["Origin": "http://localhost"]) == 200, "its own page")
                let page = try await ask(server.port, "GET", "/health", ["Origin": "https://page.example"])
                #expect(page.headers["access-control-allow-origin"] == "https://page.example")
                let preflight = try await ask(
                    server.port, "OPTIONS", "/v1/chat/completions",
                    ["Origin": "https://page.example", "Access-Control-Request-Method": "POST"])
                #expect(preflight.status == 204 && preflight.headers["access-control-allow-methods"] == "POST")
                #expect(try await status("/v1/models", ["Origin": "https://evil.example"], "OPTIONS") == 403)
            }
        }

        @Test("Metrics have vLLM's names and count what was done")
        func metrics() async throws {
            try await TestServer.run { server in
                let before = try await ask(server.port, "GET", "/metrics")
                #expect(before.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
                #expect(before.text.contains("vllm:generation_tokens_total{model_name=\"demo\",engine=\"0\"} 0\n"))
                let answer = try await server.chat("\"max_tokens\":20,\"temperature\":0,\"ignore_eos\":true").json
                var status = try await ask(server.port, "GET", "/foretoken/status").json
                // The engine tells of pages when it has done with the text.
                for _ in 0..<6000 where status["pages"]?["free"] != status["pages"]?["count"] {
                    try await Task.sleep(for: .milliseconds(10))
                    status = try await ask(server.port, "GET", "/foretoken/status").json
                }
                let text = try await ask(server.port, "GET", "/metrics").text
                let prompt = answer["usage"]?["prompt_tokens"]?.integer ?? 0
                #expect(text.contains("foretoken_prompt_tokens_total \(prompt)\n"))
                #expect(text.contains("vllm:generation_tokens_total{model_name=\"demo\",engine=\"0\"} 20\n"))
                #expect(
                    text.contains(
                        "vllm:request_success_total{model_name=\"demo\",engine=\"0\",finished_reason=\"length\"} 1\n"))
                #expect(text.contains("foretoken_time_to_first_token_seconds_count 1\n"))
                #expect(text.contains("foretoken_inter_token_latency_seconds_count 19\n"))
                let accepted = answer["timings"]?["draft_n_accepted"]?.integer ?? -1
                #expect(text.contains("foretoken_spec_decode_num_accepted_tokens_total \(accepted)\n"))
                // The prompt's end may be a step of its own.
                let rounds = answer["foretoken"]?["rounds"]?.integer ?? -1
                let drafts = answer["timings"]?["draft_n"]?.integer ?? -1
                let ends = [0, 1].filter { text.contains("foretoken_step_rows_count \(rounds + $0)\n") }
                #expect(ends.count == 1)
                let sums = (0...16).map { "foretoken_step_rows_sum \(Double(rounds + drafts + $0))\n" }
                #expect(sums.contains { text.contains($0) })
                #expect(!text.contains("foretoken_step_experts_total 0\n"))
                #expect(status["pages"]?["free"] == status["pages"]?["count"])
                #expect(status["cached_tokens"]?["sought"]?.integer == prompt)
                for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                    let parts = line.split(separator: " ")
                    #expect(parts.count == 2 && Double(parts[1]) != nil, "\(line)")
                }
                let families = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
                #expect(Set(families).count == families.count, "each family once")
            }
        }
    }
}
