import ForetokenAPI
import ForetokenModel
import ForetokenSpeculation
import ForetokenText
import Synchronization

/// What the server has done, counted where it happens and read by Prometheus.
final class Metrics: Sendable {
    struct Values {
        var promptTokens = 0
        var cachedTokens = 0
        var generatedTokens = 0
        /// By why they ended.
        var ended: [String: Int] = ["stop": 0, "length": 0, "abort": 0, "error": 0]
        var refused: [String: Int] = ["rate_limit_exceeded": 0, "loading": 0, "draining": 0]
        var cancelled: [String: Int] = Dictionary(
            uniqueKeysWithValues: Desk.CancelReason.allCases.map { ($0.rawValue, 0) })
        /// Rounds that drafted, and drafts by position.
        var draftingRounds = 0
        var drafted: [Int] = []
        var accepted: [Int] = []
        var firstToken = Histogram.firstToken
        var betweenTokens = Histogram.betweenTokens
        var timePerToken = Histogram.betweenTokens
        var total = Histogram.request
        var queue = Histogram.request
        var inference = Histogram.request
        var prompt = Histogram.request
        var decode = Histogram.request
        var promptCount = Histogram.tokens
        var generatedCount = Histogram.tokens
        var mostWanted = Histogram.tokens
        var choices = Histogram.choices
        var cancelTime = Histogram.cancel
        /// Longest time between two tokens of a text, in seconds.
        var longestSilence = 0.0
        var engine = EngineFigures()
    }

    /// What the engine tells between its steps.
    struct EngineFigures {
        var pages = 0
        var freePages = 0
        /// Most pages that beginnings of prompts are kept in.
        var mostCachePages = 0
        var cache = PrefixCacheCounts()
        var windows = WindowCounts()
    }

    private let values = Mutex(Values())

    private static func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }

    func firstToken(_ nanoseconds: Int64) { values.withLock { $0.firstToken.add(Self.seconds(nanoseconds)) } }

    func nextToken(_ nanoseconds: Int64) {
        values.withLock { values in
            values.betweenTokens.add(Self.seconds(nanoseconds))
            values.longestSilence = max(values.longestSilence, Self.seconds(nanoseconds))
        }
    }

    func ended(_ answer: Answer, queued: Int64, total: Int64, _ order: Order) {
        let (timings, telemetry) = (answer.result.timings, answer.result.telemetry)
        values.withLock { values in
            values.promptTokens += answer.promptTokens.count
            values.cachedTokens += answer.result.cachedCount
            values.generatedTokens += timings.predictedCount
            values.ended[answer.wasInterrupted ? "abort" : answer.result.reason.rawValue, default: 0] += 1
            values.draftingRounds += telemetry.drafted.first ?? 0
            Self.add(telemetry.drafted, to: &values.drafted)
            Self.add(telemetry.accepted, to: &values.accepted)
            values.total.add(Self.seconds(total))
            values.queue.add(Self.seconds(queued))
            values.inference.add(Self.seconds(timings.promptNanoseconds + timings.predictedNanoseconds))
            values.prompt.add(Self.seconds(timings.promptNanoseconds))
            values.decode.add(Self.seconds(timings.predictedNanoseconds))
            if timings.predictedCount > 1 {
                values.timePerToken.add(
                    Self.seconds(timings.predictedNanoseconds) / Double(timings.predictedCount - 1))
            }
            values.promptCount.add(Double(answer.promptTokens.count))
            values.generatedCount.add(Double(timings.predictedCount))
            values.mostWanted.add(Double(order.settings.maximumTokens))
            values.choices.add(Double(order.choicesPerPrompt))
        }
    }

    private static func add(_ counts: [Int], to sums: inout [Int]) {
        while sums.count < counts.count { sums.append(0) }
        for (index, count) in counts.enumerated() { sums[index] += count }
    }

    func failed() { values.withLock { $0.ended["error", default: 0] += 1 } }

    func refused(_ error: APIError) { values.withLock { $0.refused[error.code ?? "other", default: 0] += 1 } }

    func cancelled(_ reason: Desk.CancelReason) { values.withLock { $0.cancelled[reason.rawValue, default: 0] += 1 } }

    func cancelTook(_ nanoseconds: Int64) { values.withLock { $0.cancelTime.add(Self.seconds(nanoseconds)) } }

    /// Takes what the engine has done so far; to be called on its thread.
    func set(_ engine: Engine) {
        let figures = EngineFigures(
            pages: engine.pages, freePages: engine.freePages, mostCachePages: engine.cachePages,
            cache: engine.cacheCounts, windows: engine.windows)
        values.withLock { $0.engine = figures }
    }

    /// What the engine told last.
    var engine: EngineFigures { values.withLock { $0.engine } }

    /// Longest time between two tokens of a text, in seconds.
    var longestSilence: Double { values.withLock { $0.longestSilence } }

    /// What a request takes on average, as whole seconds of at least 1.
    var typicalSeconds: Int {
        values.withLock { $0.total.count == 0 ? 1 : min(60, max(1, Int($0.total.sum / Double($0.total.count)))) }
    }

    /// Everything as text, format 0.0.4. Names of vLLM's stand beside this program's own, so that its dashboards and its
    /// bench read them.
    func text(_ figures: Desk.Figures, connections: Int, version: String) -> String {
        let values = values.withLock { $0 }
        var page = MetricsPage(model: figures.loaded?.served.name ?? "")
        page.gauge("num_requests_running", "Texts that are generated or whose prompt is read.", Double(figures.running))
        page.gauge("num_requests_waiting", "Texts that wait for room.", Double(figures.waiting))
        let (engine, cache) = (values.engine, values.engine.cache)
        let used = engine.pages == 0 ? 0 : 1 - Double(engine.freePages) / Double(engine.pages)
        page.gauge("kv_cache_usage_perc", "Share of the cache's pages in use, 0 to 1.", used)
        page.counter("prompt_tokens", "Prompt tokens.", [("", values.promptTokens)])
        page.counter("prompt_tokens_cached", "Prompt tokens that were not computed again.", [("", values.cachedTokens)])
        page.counter(
            "prefix_cache_queries", "Prompt tokens looked for in the cache.", [("", cache.soughtTokens)])
        page.counter("prefix_cache_hits", "Those of them that were found.", [("", cache.foundTokens)])
        page.counter("generation_tokens", "Generated tokens.", [("", values.generatedTokens)])
        page.counter("request_success", "Texts by why they ended.", Self.labelled(values.ended, "finished_reason"))
        page.counter("spec_decode_num_drafts", "Rounds that drafted.", [("", values.draftingRounds)])
        page.counter("spec_decode_num_draft_tokens", "Drafts verified.", [("", values.drafted.reduce(0, +))])
        page.counter("spec_decode_num_accepted_tokens", "Drafts accepted.", [("", values.accepted.reduce(0, +))])
        page.counter(
            "spec_decode_num_accepted_tokens_per_pos", "Drafts accepted, by position in their round.",
            (values.accepted.isEmpty ? [0] : values.accepted).enumerated().map { ("position=\"\($0)\"", $1) })
        page.histogram("time_to_first_token_seconds", "From the request to its first token.", values.firstToken)
        page.histogram("inter_token_latency_seconds", "Between two tokens of a text.", values.betweenTokens)
        page.histogram("request_time_per_output_token_seconds", "A text's mean time per token.", values.timePerToken)
        page.histogram("e2e_request_latency_seconds", "From the request to its end.", values.total)
        page.histogram("request_queue_time_seconds", "Waiting for room.", values.queue)
        page.histogram("request_inference_time_seconds", "From the prompt's first token to the end.", values.inference)
        page.histogram("request_prefill_time_seconds", "Reading the prompt.", values.prompt)
        page.histogram("request_decode_time_seconds", "From the first token to the last.", values.decode)
        page.histogram("request_prompt_tokens", "Tokens of a prompt.", values.promptCount)
        page.histogram("request_generation_tokens", "Tokens of an answer.", values.generatedCount)
        page.histogram("request_params_max_tokens", "Most tokens asked for.", values.mostWanted)
        page.histogram("request_params_n", "Answers asked for to one prompt.", values.choices)
        page.ownHistogram("cancel_seconds", "From a request's cancel to its end.", values.cancelTime)
        page.ownCounter("rejected", "Requests refused, by why.", Self.labelled(values.refused, "reason"))
        page.ownCounter("cancelled", "Requests given up, by why.", Self.labelled(values.cancelled, "reason"))
        page.ownGauge(
            "pages", "Pages of the cache.",
            [
                ("state=\"free\"", engine.freePages), ("state=\"used\"", engine.pages - engine.freePages),
                ("state=\"cached\"", cache.pages),
            ])
        page.ownHistogram("step_rows", "Rows of a step that generates.", Histogram(engine.windows))
        page.ownCounter(
            "step_experts", "Distinct experts that such steps read, over all layers.", [("", engine.windows.experts)])
        page.ownGauge("connections", "Open connections.", [("", connections)])
        page.ownGauge("build_info", "Always 1.", [("version=\"\(version)\"", 1)])
        return page.text
    }

    private static func labelled(_ counts: [String: Int], _ label: String) -> [(String, Int)] {
        counts.sorted { $0.key < $1.key }.map { ("\(label)=\"\($0.key)\"", $0.value) }
    }
}

/// Metrics as Prometheus reads them.
struct MetricsPage {
    private(set) var text = ""
    private let labels: String

    init(model: String) {
        let name = model.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        labels = "model_name=\"\(name)\",engine=\"0\""
    }

    // MARK: Families under both names

    mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        family(name, help, "gauge") { page, name, labels in page.sample(name, labels, "\(value)") }
    }

    mutating func counter(_ name: String, _ help: String, _ values: [(label: String, count: Int)]) {
        family(name + "_total", help, "counter") { page, name, labels in
            for value in values { page.sample(name, Self.join(labels, value.label), "\(value.count)") }
        }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        family(name, help, "histogram") { page, name, labels in page.buckets(name, labels, histogram) }
    }

    private mutating func family(
        _ name: String, _ help: String, _ type: String, _ write: (inout MetricsPage, String, String) -> Void
    ) {
        head("foretoken_" + name, help, type)
        write(&self, "foretoken_" + name, "")
        head("vllm:" + name, help, type)
        write(&self, "vllm:" + name, labels)
    }

    // MARK: Families of this program alone

    mutating func ownGauge(_ name: String, _ help: String, _ values: [(label: String, count: Int)]) {
        head("foretoken_" + name, help, "gauge")
        for value in values { sample("foretoken_" + name, value.label, "\(value.count)") }
    }

    mutating func ownCounter(_ name: String, _ help: String, _ values: [(label: String, count: Int)]) {
        head("foretoken_\(name)_total", help, "counter")
        for value in values { sample("foretoken_\(name)_total", value.label, "\(value.count)") }
    }

    mutating func ownHistogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head("foretoken_" + name, help, "histogram")
        buckets("foretoken_" + name, "", histogram)
    }

    // MARK: Lines

    private mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private mutating func buckets(_ name: String, _ labels: String, _ histogram: Histogram) {
        for (bound, count) in zip(histogram.bounds.map { "\($0)" } + ["+Inf"], histogram.cumulative) {
            sample(name + "_bucket", Self.join(labels, "le=\"\(bound)\""), "\(count)")
        }
        sample(name + "_sum", labels, "\(histogram.sum)")
        sample(name + "_count", labels, "\(histogram.count)")
    }

    private static func join(_ labels: String, _ more: String) -> String {
        labels.isEmpty || more.isEmpty ? labels + more : labels + "," + more
    }
}
