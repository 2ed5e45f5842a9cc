import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation

/// The lines of `generate --input-file`: prompts, and lines that hold none.
struct PromptBatch {
    /// What a line holds.
    private enum Entry {
        case job(PromptJob)
        case failure(BatchFailure)
    }

    private let path: String
    private var entries: [Entry] = []

    /// Reads all lines. One that cannot be used gets its error in place of an answer.
    /// - Throws: `InputError` for a file that cannot be read or holds nothing.
    init(_ path: String, _ open: OpenModel, flags: PromptFlags, base: AnswerSettings) throws {
        self.path = path
        var ignored: Set<String> = []
        for (number, bytes) in try InputFile.lines(path)
        where !bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
            var id: Identifier?
            do {
                let (line, unknownKeys) = try PromptLine.parse(bytes)
                id = line.id
                for key in unknownKeys where ignored.insert(key).inserted {
                    Console.warning("\(path), line \(number): the key \"\(key)\" is unknown and ignored")
                }
                entries.append(.job(try line.job(open, flags: flags, base: base, number: number)))
            } catch {
                entries.append(.failure(BatchFailure(id: id, line: number, cause: error)))
            }
        }
        if entries.isEmpty { throw InputError("\(path) holds no prompt") }
    }

    var jobs: [PromptJob] {
        entries.compactMap { if case .job(let job) = $0 { job } else { nil } }
    }

    /// Answers in the order of the lines, each as soon as it and all before it are there.
    func makeAnswers(model: String, placement: PlacementStatus?) -> BatchAnswers {
        BatchAnswers(
            path, model: model, placement: placement,
            failures: entries.map {
                if case .failure(let failure) = $0 { failure } else { nil }
            })
    }
}

/// Why a line has no answer.
struct BatchFailure: Error {
    let id: Identifier?
    let line: Int
    let cause: any Error
}

/// Takes answers in any order and prints them in that of their lines.
final class BatchAnswers {
    private let path: String
    private let model: String
    private let placement: PlacementStatus?
    /// By line: what is to be printed; nil until it is known.
    private var lines: [[UInt8]?]
    /// By job: its line.
    private let places: [Int]
    private var printed = 0
    private(set) var failureCount = 0
    /// Why nothing more can be printed.
    private(set) var outputFailure: (any Error)?

    /// - Parameter failures: by line; nil for one that has a job.
    init(_ path: String, model: String, placement: PlacementStatus?, failures: [BatchFailure?]) {
        self.path = path
        self.model = model
        self.placement = placement
        lines = .init(repeating: nil, count: failures.count)
        places = failures.indices.filter { failures[$0] == nil }
        for (place, failure) in failures.enumerated() { if let failure { set(place, failure) } }
        flush()
    }

    /// Takes what became of a job.
    func take(_ answer: Answer, of job: PromptJob, number: Int) {
        set(places[number], AnswerReport(answer, model: model, placement: placement, id: job.id, company: true))
        flush()
    }

    func take(_ cause: any Error, of job: PromptJob, number: Int) {
        set(places[number], BatchFailure(id: job.id, line: job.line, cause: cause))
        flush()
    }

    private func set(_ place: Int, _ failure: BatchFailure) {
        failureCount += 1
        if !(failure.cause is Interrupted) {
            Console.error("\(path), line \(failure.line): \(failure.cause)")
        }
        set(place, FailureReport(failure))
    }

    private func set(_ place: Int, _ report: some Encodable) {
        do {
            lines[place] = try JSONOutput.line(report)
        } catch {
            outputFailure = outputFailure ?? error
        }
    }

    private func flush() {
        while outputFailure == nil, printed < lines.count, let line = lines[printed] {
            do {
                try StandardOutput.write(line)
            } catch {
                outputFailure = error
            }
            lines[printed] = []
            printed += 1
        }
    }
}

/// A line's error, in place of its answer.
struct FailureReport: Encodable {
    struct Details: Encodable {
        let message: String
        let line: Int
    }

    let id: Identifier?
    let error: Details

    init(_ failure: BatchFailure) {
        id = failure.id
        let message = failure.cause is Interrupted ? "cancelled" : "\(failure.cause)"
        error = Details(message: message, line: failure.line)
    }
}

extension BatchAnswers {
    /// Answers the jobs, several at once.
    ///
    /// - Parameters:
    ///   - before: called before a job begins; jobs then come one by one.
    /// - Throws: why the work ended early.
    func answer(
        _ jobs: [PromptJob], _ engine: Engine, _ open: OpenModel, context: Int, before: ((PromptJob) throws -> Void)?
    ) throws {
        let bar = ProgressBar("answering", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        var (ended, tokens) = (0, 0)
        for (number, job) in jobs.enumerated() {
            if Interrupts.requested || outputFailure != nil {
                take(Interrupted(), of: job, number: number)
                continue
            }
            try before?(job)
            let text = TextBox(TextStream(open.tokenizer, stopStrings: job.settings.stopStrings))
            let submitted = Result {
                try engine.submit(
                    job.settings.request(job.prompt, context: context),
                    observe: { event in
                        var isEnd = false
                        if case .token(let token) = event {
                            tokens += 1
                            isEnd = text.stream.push(token).isEnd
                        }
                        bar.update(Double(ended) / Double(jobs.count)) {
                            "\(ended) of \(jobs.count) texts  \(Format.short(Double(tokens) / $0)) tok/s"
                        }
                        if Interrupts.requested || self.outputFailure != nil {
                            engine.withdrawWaiting()
                            return .cancel
                        }
                        return isEnd ? .stop : .proceed
                    },
                    completion: { outcome in
                        bar.clear()
                        ended += 1
                        self.take(outcome, text, job, number)
                    })
            }
            if case .failure(let error) = submitted { take(error, of: job, number: number) }
            if before != nil { try engine.run() }
        }
        try engine.run()
        if Interrupts.requested { throw Interrupted() }
        try check()
    }

    /// - Throws: `InputError` when a line has no answer; why has been said.
    func check() throws {
        if let outputFailure { throw outputFailure }
        if failureCount > 0 {
            throw InputError(
                "\(failureCount) of the \(lines.count) lines of \(path) have an error in place of an answer")
        }
    }

    private func take(_ outcome: Engine.Outcome, _ text: TextBox, _ job: PromptJob, _ number: Int) {
        switch outcome {
        case .success(let result):
            if result.reason == .cancelled && result.tokens.isEmpty {
                return take(Interrupted(), of: job, number: number)
            }
            _ = text.stream.finish()
            let answer = Answer(promptTokens: job.prompt, result: result, text: text.stream.whole, job.settings)
            take(answer, of: job, number: number)
        case .failure(is CancellationError): take(Interrupted(), of: job, number: number)
        case .failure(let error): take(error, of: job, number: number)
        }
    }

    /// A text that closures share.
    private final class TextBox {
        var stream: TextStream

        init(_ stream: TextStream) { self.stream = stream }
    }
}
