import Dispatch
import ForetokenHardware
import ForetokenJSON
import ForetokenLoad
import ForetokenReport
import ForetokenText
import ForetokenWeights
import Glibc
import Synchronization

/// `bench --serve`: what a server gives its clients.
struct ServerBench {
    let url: String
    let flags: LoadFlags
    let json: Bool

    func run() throws {
        let address = try ServerAddress(url)
        let corpus = try LoadCorpus(file: flags.prompts)
        let plan = try flags.plan()
        if let file = flags.jsonOut { try OutputFile.check(file) }
        let bar = ProgressBar("benchmark", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        try Interrupts.install()
        let report = try waiting {
            let client = LoadClient(address, key: environment("FORETOKEN_API_KEY"))
            let outcome: Result<LoadReport, any Error>
            do {
                let bench = try await corpus.bench(client, plan) { stage, share in bar.update(share) { _ in stage } }
                outcome = .success(try await bench.run())
            } catch {
                outcome = .failure(error)
            }
            await client.shutDown()
            return try outcome.get()
        }
        bar.clear()
        let line = try JSONOutput.line(report, snakeCase: true)
        if let file = flags.jsonOut { try OutputFile.write(line, to: file) }
        try StandardOutput.write(
            json
                ? line
                : StandardOutput.page { LoadTables(report, $0).text })
        if report.isPartial { throw Interrupted() }
    }

    /// Runs a task to its end, or until the user stops it, which cancels it.
    private func waiting<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Mutex<Result<Value, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
        let task = Task {
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
            done.signal()
        }
        while done.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            if Interrupts.requested { task.cancel() }
        }
        do {
            return try outcome.withLock { $0! }.get()
        } catch is CancellationError {
            throw Interrupted()
        }
    }
}

/// What prompts are made of.
struct LoadCorpus: Sendable {
    private var texts: [String] = []
    private var tokens: [Int] = []

    /// - Parameter file: JSON lines with `prompt` or `prompt_tokens`; nil for the built-in suite.
    init(file: String?) throws {
        let bytes = try file.map { try InputFile.bytes($0, for: .lines) } ?? Checkpoint.demoSuite
        for (number, line) in InputLines(bytes) where !line.isEmpty {
            do {
                let fields = try JSONLine.parse(line)
                if let ids = try fields["prompt_tokens"].given?.integers() { tokens += ids }
                if let text = try fields["prompt"].given?.string() { texts.append(text) }
            } catch {
                throw LineError(number: number, file: file ?? "the built-in suite", cause: error)
            }
        }
        guard texts.isEmpty != tokens.isEmpty else {
            throw InputError("\(file ?? "") must hold prompts as texts or as token ids, and not both")
        }
    }

    func bench(
        _ client: LoadClient, _ plan: LoadPlan, progress: @escaping @Sendable (String, Double) -> Void
    ) async throws -> LoadBench {
        tokens.isEmpty
            ? try await LoadBench(client, plan, texts: texts, progress: progress)
            : try await LoadBench(client, plan, tokens: tokens, progress: progress)
    }
}
