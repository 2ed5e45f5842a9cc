import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenText

/// Takes answers in any order and prints them in that of their lines.
final class BatchAnswers {
    private let path: String
    private let model: String
    /// Where the weights lie; nil where that does not matter, and before they are loaded.
    var placement: PlacementStatus?
    /// By line: what is to be printed; nil until it is known.
    private var lines: [[UInt8]?]
    /// By job: its line.
    private let places: [Int]
    private var printed = 0
    private(set) var failureCount = 0
    /// Why nothing more can be printed.
    private(set) var outputFailure: (any Error)?

    /// Says at once what is wrong with lines that hold no prompt. Nothing is printed before the first answer.
    init(_ batch: PromptBatch, model: String) {
        path = batch.name
        self.model = model
        let failures = batch.failures
        lines = .init(repeating: nil, count: failures.count)
        places = failures.indices.filter { failures[$0] == nil }
        for (place, failure) in failures.enumerated() { if let failure { set(place, failure) } }
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
    /// - Parameter recorder: records every text under its domain, or under `label`.
    /// - Throws: why the work ended early.
    func answer(
        _ jobs: [PromptJob], _ engine: Engine, _ open: OpenModel, _ recorder: RoutingRecorder?, label: String
    ) throws {
        let bar = ProgressBar("answering", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        var (ended, tokens) = (0, 0)
        for (number, job) in jobs.enumerated() {
            if Interrupts.requested || outputFailure != nil {
                take(Interrupted(), of: job, number: number)
                continue
            }
            do {
                try recorder?.check(domain: job.domain ?? label)
                let text = try engine.submit(
                    job.prompt, job.settings, tokenizer: open.tokenizer,
                    observe: { event in
                        if case .token = event { tokens += 1 }
                        bar.update(Double(ended) / Double(jobs.count)) {
                            "\(ended) of \(jobs.count) texts  \(Format.short(Double(tokens) / $0)) tok/s"
                        }
                        if Interrupts.requested || self.outputFailure != nil {
                            engine.withdrawWaiting()
                            return false
                        }
                        return true
                    },
                    completion: { outcome in
                        bar.clear()
                        ended += 1
                        self.take(outcome, of: job, number: number)
                    })
                try recorder?.begin(domain: job.domain ?? label, text: text)
            } catch {
                take(error, of: job, number: number)
            }
        }
        engine.run()
        if Interrupts.requested { throw Interrupted() }
        try finish()
    }

    /// Prints what is left.
    /// - Throws: `InputError` when a line has no answer; why has been said.
    func finish() throws {
        flush()
        if let outputFailure { throw outputFailure }
        if failureCount > 0 {
            throw InputError(
                "\(failureCount) of the \(lines.count) lines of \(path) \(failureCount == 1 ? "has" : "have") an error in "
                    + "place of an answer")
        }
    }

    private func take(_ outcome: Result<Answer, any Error>, of job: PromptJob, number: Int) {
        switch outcome {
        case .success(let answer):
            if answer.wasInterrupted && answer.result.tokens.isEmpty {
                return take(Interrupted(), of: job, number: number)
            }
            take(answer, of: job, number: number)
        case .failure(is CancellationError): take(Interrupted(), of: job, number: number)
        case .failure(let error): take(error, of: job, number: number)
        }
    }
}
