import ArgumentParser
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenWeights

/// Continues a prompt.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Continues a prompt, or answers many in one load.")

    @OptionGroup(title: "Prompt") var prompt: PromptFlags
    @OptionGroup(title: "Answer") var length: LengthFlags
    @OptionGroup(title: "Sampling") var sampling: SamplingFlags
    @OptionGroup(title: "Log-probabilities") var logProbabilities: LogProbabilityFlags
    @OptionGroup(title: "Speculation") var draft: DraftFlags
    @OptionGroup(title: "Speculation") var fresh: FreshOddsFlag
    @OptionGroup(title: "Speculation") var predicted: PredictionFlags
    @OptionGroup(title: "Speculation") var draftMarks: DraftMarkFlags
    @OptionGroup(title: "Speculation") var pictured: PictureFlags
    @OptionGroup(title: "Routing") var labelled: LabelledRoutingFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Most prompts of --input-file to answer at once; each gets the tokens it would get alone. As many as rows "
                + "and half of the free memory allow by default.", valueName: "n"))
    var parallel: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Share of time (above 0, up to 1) in which a prompt of --input-file is read while other texts wait for their "
                + "next token. With 1, the fastest for all together, they wait for all of it.", valueName: "s"))
    var chunkShare: Double?

    @Flag(help: "Prints one JSON object instead of streaming text.")
    var json = false

    func validate() throws {
        if logProbabilities.logprobs != nil && !json && prompt.inputFile == nil {
            throw ValidationError("--logprobs are given as JSON: add --json, or use --input-file")
        }
        if prompt.inputFile == nil && parallel != nil { throw ValidationError("--parallel is for --input-file") }
        if prompt.inputFile == nil && chunkShare != nil { throw ValidationError("--chunk-share is for --input-file") }
        if prompt.inputFile != nil && predicted.predictionFile != nil {
            throw ValidationError("with --input-file a line has its own `prediction` in place of --prediction-file")
        }
        if predicted.predictionFile == "-" && prompt.isStandardInput {
            throw ValidationError("the prompt and --prediction-file cannot both be standard input")
        }
        if draftMarks.showDrafts && (json || prompt.inputFile != nil) {
            throw ValidationError("--show-drafts is for text on a terminal, not for --json or --input-file")
        }
        if pictured.picture != nil && prompt.inputFile != nil {
            throw ValidationError("--picture is of one answer, not for --input-file")
        }
        if let parallel, parallel < 1 { throw ValidationError("--parallel must be at least 1, not \(parallel)") }
        if let chunkShare, !(chunkShare > 0 && chunkShare <= 1) {
            throw ValidationError("--chunk-share must be above 0 and at most 1, not \(chunkShare)")
        }
    }

    func run() throws {
        try labelled.routing.check()
        if let inputFile = prompt.inputFile { return try answerAll(inputFile) }
        let marks = try draftMarks.marks()
        try pictured.check(
            trace: labelled.routing.recordRouting,
            inputs: [prompt.promptFile, predicted.predictionFile, model.plan, model.chatTemplate])
        let wanted = try prompt.read()
        let prediction = try predicted.read()
        let open = try OpenModel(model)
        let ids = try open.encode(wanted)
        try open.check(draft.draft, draft.draftSource)
        var settings = try settings(open)
        if case .chat = wanted { try settings.endTurns(of: open) }
        settings.prediction = try prediction.map(open.tokens(ofPrediction:))
        if prediction != nil && !settings.looksUp {
            Console.note("the prediction is not used, since --draft or --draft-source leaves nothing to look up")
        }
        if marks != nil || pictured.picture != nil { _ = try open.requiredTokenizer() }
        let context = try open.context(for: ids.count, and: length.maxTokens)
        try labelled.routing.record(open, domain: labelled.label) { recorder in
            let model = try open.load(contexts: [context], besides: settings.predictionBytes)
            let placement = try PlacementStatus.read(model)
            let generator = try open.makeGenerator(model, context: context, drafting: draft.usesModules)
            generator.observer = recorder
            let memory = try DraftMemory.standard(open, model, generator.experience, draft, fresh)
            var picture = AnswerPicture()
            let answer = try memory.during {
                try generator.answer(
                    ids, settings, tokenizer: open.tokenizer, watch: { picture.take($0) },
                    show: { if !json { try StandardOutput.write(marks.text($0)) } })
            }
            // The answer is shown whether or not it can be drawn, and an interrupted one is drawn, too.
            let shown = Result {
                try show(answer, marks, placement, limit: settings.maximumTokens, context: context, open)
            }
            try draw(picture, answer, settings, open)
            try shown.get()
        }
    }

    private func show(
        _ answer: Answer, _ marks: DraftMarks?, _ placement: PlacementStatus?, limit: Int, context: Int,
        _ open: OpenModel
    ) throws {
        if json {
            let report = AnswerReport(answer, model: open.checkpoint.label, placement: placement)
            try StandardOutput.write(JSONOutput.line(report))
        } else {
            try answer.finishLine()
            if marks != nil { Console.write(DraftMarks.legend(answer, on: Console.terminal)) }
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

    /// Writes the picture of an answer, where one is wanted.
    private func draw(
        _ picture: AnswerPicture, _ answer: Answer, _ settings: AnswerSettings, _ open: OpenModel
    ) throws {
        guard let path = pictured.picture else { return }
        let drawn = try picture.drawn(
            answer, settings, open.requiredTokenizer(), model: open.checkpoint.label,
            command: Array(CommandLine.arguments.dropFirst()))
        try OutputFile.write(Array(drawn.rendered().utf8), to: path)
    }

    private func settings(_ open: OpenModel) throws -> AnswerSettings {
        var settings = try AnswerSettings(open, length, sampling, draft)
        settings.logProbabilities = logProbabilities.logprobs
        return settings
    }

    /// One JSON line for each line of the file, in order.
    private func answerAll(_ path: String) throws {
        let open = try OpenModel(model)
        try open.check(draft.draft, draft.draftSource)
        let batch = try PromptBatch(
            InputFile.lines(path), of: path, open, style: prompt.style, base: try settings(open))
        let lookedUp = batch.promptsToLookUp
        var jobs = batch.jobs
        if !lookedUp.isEmpty && lookedUp.count < jobs.count {
            Console.note(
                "drafts are looked up in the first \(lookedUp.count) of the \(jobs.count) prompts: all are too many")
        }
        let contexts = try jobs.map { job in
            let (sum, isBeyondAll) = job.prompt.count.addingReportingOverflow(job.settings.maximumTokens)
            let most = try open.context(for: job.prompt.count, and: job.settings.maximumTokens)
            return isBeyondAll ? most : min(sum, most)
        }
        let answers = BatchAnswers(batch, model: open.checkpoint.label)
        if jobs.isEmpty { return try answers.finish() }
        let lookupBytes =
            LookupBase.byteCount(lookedUp.map(\.count)) + jobs.reduce(0) { $0 + $1.settings.predictionBytes }
        try labelled.routing.record(open) { recorder in
            let model = try open.load(
                contexts: Array(contexts.sorted(by: >).prefix(parallel ?? 1)), besides: lookupBytes)
            if !lookedUp.isEmpty {
                let base = LookupBase(lookedUp)
                for job in jobs.indices { jobs[job].settings.bases = [base] }
            }
            let engine = try open.makeEngine(
                model, contexts: contexts, parallel: parallel, drafting: draft.usesModules, chunkShare: chunkShare ?? 1)
            engine.observer = recorder
            answers.placement = try PlacementStatus.read(model)
            let memory = try DraftMemory.standard(open, model, engine.experience, draft, fresh)
            try memory.during { try answers.answer(jobs, engine, open, recorder, label: labelled.label) }
        }
    }
}
