import Synchronization

/// Measures what a server gives its clients.
package struct LoadBench: Sendable {
    let client: LoadClient
    let facts: ServerFacts
    let plan: LoadPlan
    let prompts: PromptMaker
    let promptsAreTokens: Bool
    /// Told what goes on, and how much is done.
    let progress: @Sendable (String, Double) -> Void

    /// Asks the server what it is and makes prompts for it.
    /// - Parameter texts: what prompts are made of.
    package init(
        _ client: LoadClient, _ plan: LoadPlan, texts: [String],
        progress: @escaping @Sendable (String, Double) -> Void = { _, _ in }
    ) async throws {
        let text = texts.joined(separator: "\n")
        guard !text.isEmpty else { throw LoadError("there is no text to make prompts of") }
        let facts = try await client.survey()
        if facts.tokenizes, let first = await client.tokenize(""), let ids = await client.tokenize(text),
            ids.count > first.count
        {
            self.init(client, facts, plan, tokens: Array(ids.dropFirst(first.count)), first: first, progress)
        } else {
            let sample = LoadRequest(prompt: .text(String(text.prefix(2000))), maximumTokens: 1)
            let answer = await client.ask(sample, model: facts.model)
            try Self.check(answer)
            let length = Double(min(2000, text.count))
            let perToken = answer.promptTokens.map { length / Double(max(1, $0)) } ?? 4
            self.init(
                client, facts, plan, PromptMaker(text: text, perToken: perToken, salt: plan.salt), false, progress)
        }
    }

    /// The same with prompts made of tokens that are known.
    package init(
        _ client: LoadClient, _ plan: LoadPlan, tokens: [Int],
        progress: @escaping @Sendable (String, Double) -> Void = { _, _ in }
    ) async throws {
        guard !tokens.isEmpty else { throw LoadError("there are no tokens to make prompts of") }
        self.init(client, try await client.survey(), plan, tokens: tokens, first: [], progress)
    }

    private init(
        _ client: LoadClient, _ facts: ServerFacts, _ plan: LoadPlan, tokens: [Int], first: [Int],
        _ progress: @escaping @Sendable (String, Double) -> Void
    ) {
        self.init(client, facts, plan, PromptMaker(tokens: tokens, first: first, salt: plan.salt), true, progress)
    }

    private init(
        _ client: LoadClient, _ facts: ServerFacts, _ plan: LoadPlan, _ prompts: PromptMaker, _ areTokens: Bool,
        _ progress: @escaping @Sendable (String, Double) -> Void
    ) {
        (self.client, self.facts, self.plan, self.prompts) = (client, facts, plan, prompts)
        (promptsAreTokens, self.progress) = (areTokens, progress)
    }

    // MARK: Everything

    /// Measures. Where the task is cancelled the report has what was measured before.
    package func run() async throws -> LoadReport {
        var report = LoadReport(
            address: client.address.description, server: facts, promptsAreTokens: promptsAreTokens,
            promptTokens: plan.promptTokens, maximumTokens: plan.maximumTokens, temperature: plan.temperature,
            goal: plan.goal)
        do {
            try await warmUp()
            if let seconds = plan.soakSeconds {
                report.soak = try await SoakTrial(bench: self, seconds: seconds).run()
            } else {
                try await measure(&report)
            }
        } catch is CancellationError {
            report.isPartial = true
        }
        return report
    }

    private func measure(_ report: inout LoadReport) async throws {
        if plan.trials.contains(.levels) {
            var trial = LevelTrial(bench: self)
            for concurrency in trial.concurrencies { report.levels.append(try await trial.run(concurrency)) }
        }
        func attempt<Figures>(_ trial: LoadPlan.Trial, _ run: () async throws -> Figures) async throws -> Figures? {
            guard plan.trials.contains(trial) else { return nil }
            do {
                return try await run()
            } catch let error as LoadError {
                report.leftOut.append("\(trial.rawValue): \(error)")
                return nil
            }
        }
        report.prefix = try await attempt(.prefix) { try await PrefixTrial(bench: self).run() }
        report.stall = try await attempt(.stall) { try await StallTrial(bench: self).run() }
        report.cancel = try await attempt(.cancel) { try await CancelTrial(bench: self).run() }
        report.overload = try await attempt(.overload) { try await OverloadTrial(bench: self).run() }
    }

    /// One request that nobody measures: the first touches memory that others find.
    private func warmUp() async throws {
        progress("warming up", 0)
        try Self.check(await ask(request(0)))
    }

    // MARK: Parts of trials

    /// One of the requests that every level asks.
    func request(_ number: Int) -> LoadRequest {
        var request = LoadRequest(
            prompt: prompts.usual(number, tokens: plan.promptTokens), maximumTokens: plan.maximumTokens)
        request.temperature = plan.temperature
        request.seed = number + 1
        request.showsLogProbabilities = plan.showsLogProbabilities
        return request
    }

    func ask(_ request: LoadRequest, while goOn: @Sendable (Int) -> Bool = { _ in true }) async -> LoadAnswer {
        await client.ask(request, model: facts.model, while: goOn)
    }

    /// An answer that must be whole.
    func whole(_ request: LoadRequest) async throws -> LoadAnswer {
        let answer = await ask(request)
        try Self.check(answer)
        return answer
    }

    /// - Throws: `CancellationError`, or `LoadError` for an answer that is not whole.
    static func check(_ answer: LoadAnswer) throws {
        switch answer.ending {
        case .whole: return
        case .cancelled: throw CancellationError()
        case .crowded: throw LoadError("the server has too much to do (429)")
        case .refused(let status, let message): throw LoadError("the server answers \(status): \(message)")
        case .broken(let reason): throw LoadError(reason)
        }
    }

    /// The server's resident memory; nil where nobody tells.
    func residentBytes() async -> Int? {
        if let bytes = (try? await client.gauges())?.residentBytes { return bytes }
        return plan.process.flatMap(ResidentMemory.bytes(of:))
    }

    /// What the server says when nobody asks anything. It learns a moment after its clients that answers have ended, and
    /// may tell its pages later than its requests: they count when they stay the same for a while.
    func idle() async throws -> ServerGauges {
        var gauges = try await settle(seconds: 2) { ($0.running ?? 0) == 0 && ($0.waiting ?? 0) == 0 }
        for _ in 0..<20 {
            try await Task.sleep(for: .milliseconds(100))
            let later = try await client.gauges()
            if later.usedPages == gauges.usedPages { return later }
            gauges = later
        }
        return gauges
    }

    /// Asks the server how busy it is until that is as wanted, or for as long as given.
    /// - Returns: the last gauges.
    func settle(seconds: Double, until isSettled: (ServerGauges) -> Bool) async throws -> ServerGauges {
        let deadline = Clock.now + Int64(seconds * 1e9)
        while true {
            let gauges = try await client.gauges()
            if isSettled(gauges) || Clock.now > deadline { return gauges }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}

/// Numbers handed out to several tasks, each once.
final class Counter: Sendable {
    private let value = Mutex(0)

    func next() -> Int {
        value.withLock { value in
            defer { value += 1 }
            return value
        }
    }
}
