import FoundationEssentials
import ForetokenJSON

/// What a server says of itself.
package struct ServerFacts: Sendable, Encodable {
    /// What requests call the model.
    package var model = ""
    /// By `Server` header or endpoints: "foretoken 0.1.0", "llama.cpp", "vLLM"; nil where nothing tells.
    package var program: String?
    /// Most texts at once, and most that wait; nil where the server does not say.
    package var parallel: Int?
    package var mostWaiting: Int?
    package var context: Int?
    /// Whether prompts can be measured in tokens before they are sent.
    package var tokenizes = false
    /// Whether /metrics is read.
    package var hasMetrics = false
}

/// What a server's /metrics and /foretoken/status say at one time; nil where they do not.
struct ServerGauges: Sendable {
    var running: Int?
    var waiting: Int?
    var usedPages: Int?
    /// Of those, pages of beginnings of prompts that may come again.
    var cachedPages: Int?
    var residentBytes: Int?
    /// Windows that were computed, and rows in them.
    var steps: Double?
    var rows: Double?

    /// Pages that belong to requests.
    var requestPages: Int? { usedPages.map { $0 - (cachedPages ?? 0) } }
}

extension LoadClient {
    /// Finds out whom it talks to.
    /// - Throws: `LoadError` when nobody answers, or without a model.
    package func survey() async throws -> ServerFacts {
        let models: Response
        do {
            models = try await get("/v1/models")
        } catch {
            throw LoadError("\(address) does not answer: \(Self.reason(error))")
        }
        if models.status == 401 || models.status == 403 {
            throw LoadError(
                "\(address) wants an API key; put it into $FORETOKEN_API_KEY (\(Self.message(of: models.body)))")
        }
        guard models.status == 200 else {
            throw LoadError("\(address)/v1/models answers \(models.status): \(Self.message(of: models.body))")
        }
        var facts = ServerFacts()
        do {
            let list = try JSONField(JSONValue(models.body)).fields()["data"].list()
            guard let first = try list.first?.fields() else { throw LoadError("\(address) serves no model") }
            facts.model = try first["id"].string()
            facts.context = try? first["max_model_len"].given?.integer()
        } catch let error as JSONError {
            throw LoadError("\(address)/v1/models answers what OpenAI's servers do not: \(error)")
        }
        try await readStatus(&facts)
        facts.hasMetrics = try await metrics() != nil
        facts.tokenizes = await tokenize("a") != nil
        return facts
    }

    private func readStatus(_ facts: inout ServerFacts) async throws {
        if let status = try await fields("/foretoken/status") {
            facts.program = (try? status["version"].string()).map { "foretoken \($0)" } ?? "foretoken"
            facts.parallel = try? status["parallel"].integer()
            facts.mostWaiting = try? status["max_queue"].integer()
            facts.context = facts.context ?? (try? status["context"].integer())
        } else if let properties = try await fields("/props"), properties["default_generation_settings"].given != nil {
            let build = try? properties["build_info"].given?.string()
            facts.program = build.flatMap { $0 }.map { "llama.cpp \($0)" } ?? "llama.cpp"
            facts.parallel = try? properties["total_slots"].given?.integer()
            facts.context = try? properties["default_generation_settings"].fields()["n_ctx"].given?.integer()
        } else if let version = try await fields("/version"), let number = try? version["version"].string() {
            facts.program = "version \(number)"
        }
    }

    /// The members of what a path answers; nil where it answers no JSON object.
    private func fields(_ path: String) async throws -> JSONFields? {
        let response = try await get(path)
        guard response.status == 200 else { return nil }
        return try? JSONField(JSONValue(response.body)).fields()
    }

    /// A text's tokens, that which begins all texts included; nil where the server does not tell.
    package func tokenize(_ text: String) async -> [Int]? {
        struct Body: Encodable {
            // Each server reads its own name.
            let prompt: String
            let content: String
            let add_special_tokens = true
            let add_special = true
        }
        guard let body = try? JSONEncoder().encode(Body(prompt: text, content: text)),
            let response = try? await post("/tokenize", Array(body)), response.status == 200
        else { return nil }
        return try? JSONField(JSONValue(response.body)).fields()["tokens"].integers()
    }

    /// All samples of /metrics; nil where there are none.
    func metrics() async throws -> MetricsText? {
        let response = try await get("/metrics")
        guard response.status == 200 else { return nil }
        let text = MetricsText(String(decoding: response.body, as: UTF8.self))
        return text.isEmpty ? nil : text
    }

    /// How busy the server is. It is asked anew each time.
    func gauges() async throws -> ServerGauges {
        var gauges = ServerGauges()
        guard let metrics = try await metrics() else { return gauges }
        func whole(_ names: String..., label: String? = nil) -> Int? {
            names.lazy.compactMap { metrics.sum($0, label: label) }.first.map { Int($0) }
        }
        gauges.running = whole(
            "foretoken_num_requests_running", "vllm:num_requests_running", "llamacpp:requests_processing")
        gauges.waiting = whole(
            "foretoken_num_requests_waiting", "vllm:num_requests_waiting", "llamacpp:requests_deferred")
        gauges.usedPages = whole("foretoken_pages", label: "state=\"used\"")
        gauges.cachedPages = whole("foretoken_pages", label: "state=\"cached\"")
        gauges.residentBytes = whole("process_resident_memory_bytes")
        gauges.steps = metrics.sum("foretoken_step_rows_count")
        gauges.rows = metrics.sum("foretoken_step_rows_sum")
        return gauges
    }
}

/// Prometheus' text format, as far as single numbers go.
package struct MetricsText {
    private var samples: [(name: Substring, labels: Substring, value: Double)] = []

    package init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let name = line.prefix { $0 != "{" && $0 != " " }
            var rest = line.dropFirst(name.count)
            var labels: Substring = ""
            if rest.hasPrefix("{"), let end = rest.lastIndex(of: "}") {
                labels = rest[rest.index(after: rest.startIndex)..<end]
                rest = rest[rest.index(after: end)...]
            }
            guard let number = rest.split(separator: " ").first.flatMap({ Double($0) }), number.isFinite,
                abs(number) < 1e18
            else { continue }
            samples.append((name, labels, number))
        }
    }

    package var isEmpty: Bool { samples.isEmpty }

    /// The sum of a family's samples, of those with that label where one is named; nil where there are none.
    package func sum(_ name: String, label: String? = nil) -> Double? {
        let found = samples.filter { sample in
            sample.name == name && (label.map { sample.labels.split(separator: ",").contains(Substring($0)) } ?? true)
        }
        return found.isEmpty ? nil : found.reduce(0) { $0 + $1.value }
    }
}
