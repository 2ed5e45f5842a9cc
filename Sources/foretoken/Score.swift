import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Scores a given text.
struct Score: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells how likely the model finds a text: log-probabilities, perplexity, bits per byte.",
        discussion: """
            The model sees the whole text at once, up to its maximum of positions or --context. A longer text slides: each \
            further window holds BOS and the newest tokens, goes on by half the context, and only its new tokens count.
            """)

    @Argument(
        help:
            "The text to score. Standard input is read where this is -, and where nothing is given and it is no terminal."
    )
    var text: String?

    @Option(help: ArgumentHelp("Reads the text from a file; - is standard input.", valueName: "f"))
    var textFile: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Token ids to score, as they are.", valueName: "1,2,3"))
    var tokens: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("With --json, also gives the K largest logits of every position.", valueName: "k"))
    var top = 0

    @Flag(help: "Also scores the MTP modules' guesses.")
    var mtp = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Also drafts this many tokens from every position; implies --mtp.", valueName: "d"))
    var mtpDepth = 0

    @Flag(help: "Lists every token, its log-probability, and the token the model finds likeliest in its place.")
    var perToken = false

    @OptionGroup(title: "Routing") var labelled: LabelledRoutingFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object.")
    var json = false

    /// How many texts are given.
    private var count: Int { [text, textFile, tokens].count { $0 != nil } }

    private var wrongCount: String {
        "give exactly one of TEXT, --text-file and --tokens (found \(count))"
            + (count == 0 ? PromptText.dashAdvice : "")
    }

    func validate() throws {
        guard count == 1 || (count == 0 && PromptText.isPiped) else { throw ValidationError(wrongCount) }
        if top < 0 { throw ValidationError("--top must be 0 or more, not \(top)") }
        guard (0...8).contains(mtpDepth) else { throw ValidationError("--mtp-depth must be 0...8, not \(mtpDepth)") }
        if perToken && json {
            throw ValidationError("--per-token is a table for people; --json lists every token anyway")
        }
        if model.context == 1 {
            throw ValidationError("--context 1 leaves no token to go by; it must be at least 2 to score")
        }
    }

    private func givenText() throws -> String {
        if let text, text != "-" {
            PromptText.noteFile(text, option: "--text-file")
            return text
        }
        if count == 0 { PromptText.noteWaiting() }
        let text = try InputFile.text(textFile ?? "-", for: .text)
        if count == 0 && text.isEmpty { throw UsageError(wrongCount) }
        return text
    }

    func run() throws {
        try labelled.routing.check()
        let given =
            try tokens.map { Prompt.tokens(try TokenList.parse($0, option: "--tokens")) } ?? .text(givenText())
        let open = try OpenModel(model)
        let ids = try open.tokens(of: given)
        if ids.isEmpty { throw InputError("the text is empty: there is nothing to score") }
        try open.checkIDs(ids)
        try labelled.routing.record(open, domain: labelled.label) { recorder in
            try show(score(ids, open, recorder), ids, open)
        }
    }

    private func show(_ score: ForetokenLaboratory.Score, _ ids: [Int32], _ open: OpenModel) throws {
        let scored = Array(ids.prefix(score.logProbabilities.count))
        let bitsPerByte = bitsPerByte(score, scored, open)
        if json {
            try StandardOutput.write(
                JSONOutput.line(ScoreReport(score, scored, bitsPerByte: bitsPerByte, topCount: top)))
        } else {
            let tables = ScoreTables(score: score, tokens: ids, bitsPerByte: bitsPerByte)
            try StandardOutput.write(
                StandardOutput.page {
                    (perToken ? tables.perToken(open.tokenizer, on: $0) + "\n" : "") + tables.summary(on: $0)
                })
        }
        if !score.isComplete {
            Console.note("interrupted: these figures are about the first \(scored.count) of \(ids.count) tokens")
            throw Interrupted()
        }
    }

    private func score(
        _ ids: [Int32], _ open: OpenModel, _ recorder: RoutingRecorder?
    ) throws -> ForetokenLaboratory.Score {
        let scoresMTP = mtp || mtpDepth > 0
        if scoresMTP && open.layout.mtp.isEmpty {
            throw InputError("\(open.checkpoint.label) has no MTP module, so there is nothing for --mtp to score")
        }
        // A text of one token is no reason for a window in which nothing could be scored.
        let context = max(2, try open.context(for: ids.count))
        if mtpDepth > 0 && ids.count > context {
            throw InputError(
                "--mtp-depth needs the whole text in one window of \(context) tokens; this text has \(ids.count)")
        }
        let scorer = open.makeScorer(try open.load(context: context), context: context)
        scorer.observer = recorder
        let bar = ProgressBar("scoring", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
        defer { bar.clear() }
        return try scorer.score(ids, topCount: top, mtp: scoresMTP, mtpDepth: mtpDepth) { done, total in
            bar.update(Double(done) / Double(total)) { "\(Format.short(Double(done) / $0)) tok/s" }
            return !Interrupts.requested
        }
    }

    /// Σ nats / ln 2 / bytes of the decoded text without BOS; nil when there are no bytes or ids without a token.
    private func bitsPerByte(_ score: ForetokenLaboratory.Score, _ ids: [Int32], _ open: OpenModel) -> Double? {
        guard let tokenizer = open.tokenizer else { return nil }
        let own = ids.first == tokenizer.bos ? ids.dropFirst() : ids[...]
        guard let bytes = tokenizer.byteCount(of: own), bytes > 0 else { return nil }
        return score.totalNats / log(2) / Double(bytes)
    }
}
