import ArgumentParser
import ForetokenReport
import ForetokenSpeculation
import ForetokenWeights

/// Continues a prompt.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Continues a prompt, or answers many in one load.")

    @OptionGroup(title: "Prompt") var prompt: PromptFlags
    @OptionGroup(title: "Answer") var length: LengthFlags
    @OptionGroup(title: "Sampling") var sampling: SamplingFlags
    @OptionGroup(title: "Log-probabilities") var logProbabilities: LogProbabilityFlags
    @OptionGroup(title: "Speculation") var draft: DraftFlags
    @OptionGroup(title: "Routing") var labelled: LabelledRoutingFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object instead of streaming text.")
    var json = false

    func validate() throws {
        if logProbabilities.logprobs != nil && !json && prompt.inputFile == nil {
            throw ValidationError("--logprobs are given as JSON: add --json, or use --input-file")
        }
    }

    func run() throws {
        try labelled.routing.check()
        if let inputFile = prompt.inputFile { return try answerAll(inputFile) }
        let wanted = try prompt.read()
        let open = try OpenModel(model)
        let ids = try open.encode(wanted)
        try open.check(draft.draft)
        let settings = try settings(open)
        let context = try open.context(for: ids.count, and: length.maxTokens)
        try labelled.routing.record(open, domain: labelled.label) { recorder in
            let model = try open.load(context: context)
            let placement = try PlacementStatus.read(model)
            let generator = try open.makeGenerator(model, context: context, draft: draft.draft)
            generator.observer = recorder
            let answer = try generator.answer(ids, settings, tokenizer: open.tokenizer) { piece in
                if !json { try StandardOutput.write(piece) }
            }
            try show(answer, placement, limit: settings.maximumTokens, context: context, open)
        }
    }

    private func show(
        _ answer: Answer, _ placement: PlacementStatus?, limit: Int, context: Int, _ open: OpenModel
    ) throws {
        if json {
            let report = AnswerReport(answer, model: open.checkpoint.label, placement: placement)
            try StandardOutput.write(JSONOutput.line(report))
        } else {
            try answer.finishLine()
            if answer.result.reason == .length && answer.result.tokens.count < limit {
                let most = open.configuration.maximumPositions
                let advice = context < most ? "--context makes room, up to \(most)" : "this model has no more"
                Console.note("the text ends here because the context of \(context) tokens is full; \(advice)")
            }
            Console.write(Statistics.text(answer.result, on: Console.terminal))
            if let placement {
                let rounds = answer.result.telemetry.rounds
                Console.write(placement.table(answer.result.traffic, rounds: rounds, on: Console.terminal))
            }
        }
        if answer.wasInterrupted { throw Interrupted() }
    }

    private func settings(_ open: OpenModel) throws -> AnswerSettings {
        var settings = try AnswerSettings(open, length, sampling, draft)
        settings.logProbabilities = logProbabilities.logprobs
        return settings
    }

    /// One JSON line for each line of the file, in order. A bad line ends the work, after the answers before it.
    private func answerAll(_ path: String) throws {
        let lines = try InputFile.lines(path)
        let open = try OpenModel(model)
        try open.check(draft.draft)
        let base = try settings(open)
        var ignored: Set<String> = []
        var (jobs, badLine) = ([PromptJob](), nil as (any Error)?)
        for (number, bytes) in lines where !bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
            do {
                let (line, unknownKeys) = try PromptLine.parse(bytes)
                for key in unknownKeys where ignored.insert(key).inserted {
                    Console.warning("\(path), line \(number): the key \"\(key)\" is unknown and ignored")
                }
                jobs.append(try line.job(open, flags: prompt, base: base))
            } catch {
                badLine = LineError(number: number, file: path, cause: error)
                break
            }
        }
        try answer(jobs, open)
        if let badLine { throw badLine }
        if jobs.isEmpty { throw InputError("\(path) holds no prompt") }
    }

    private func answer(_ jobs: [PromptJob], _ open: OpenModel) throws {
        guard
            let context = try jobs.map({ try open.context(for: $0.prompt.count, and: $0.settings.maximumTokens) }).max()
        else { return }
        try labelled.routing.record(open) { recorder in
            let model = try open.load(context: context)
            let placement = try PlacementStatus.read(model)
            let generator = try open.makeGenerator(model, context: context, draft: draft.draft)
            generator.observer = recorder
            for job in jobs {
                generator.clear()
                try recorder?.begin(domain: job.domain ?? labelled.label)
                let answer = try generator.answer(job.prompt, job.settings, tokenizer: open.tokenizer) { _ in }
                let report = AnswerReport(answer, model: open.checkpoint.label, placement: placement, id: job.id)
                try StandardOutput.write(JSONOutput.line(report))
                if answer.wasInterrupted { throw Interrupted() }
            }
        }
    }
}
