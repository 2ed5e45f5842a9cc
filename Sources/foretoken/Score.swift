import ArgumentParser
import ForetokenHardware
import ForetokenReport
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Scores a given text.
struct Score: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells how likely the model finds a text: log-probabilities, perplexity, bits per byte.")

    @Argument(help: "The text to score.")
    var text: String?

    @Option(help: ArgumentHelp("Reads the text from a file; - is standard input.", valueName: "f"))
    var textFile: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Token ids to score, as they are.", valueName: "1,2,3"))
    var tokens: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Also gives the K largest logits of every position.", valueName: "k"))
    var top = 0

    @Flag(help: "Also scores the MTP modules' guesses.")
    var mtp = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Also drafts this many tokens from every position; implies --mtp.", valueName: "d"))
    var mtpDepth = 0

    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        let count = [text, textFile, tokens].count { $0 != nil }
        guard count == 1 else {
            throw ValidationError(
                "give exactly one of TEXT, --text-file and --tokens (found \(count))"
                    + (count == 0 ? PromptText.dashAdvice : ""))
        }
        if top < 0 { throw ValidationError("--top must be 0 or more, not \(top)") }
        guard (0...8).contains(mtpDepth) else { throw ValidationError("--mtp-depth must be 0...8, not \(mtpDepth)") }
        if let tokens { _ = try TokenList.parse(tokens, option: "--tokens") }
    }

    func run() throws {
        let given =
            try tokens.map { Prompt.tokens(try TokenList.parse($0, option: "--tokens")) }
            ?? .text(text ?? InputFile.text(textFile ?? "-"))
        let open = try OpenModel(model)
        let ids = try open.tokens(of: given, thinking: false)
        if ids.isEmpty { throw InputError("the text is empty: there is nothing to score") }
        try open.checkIDs(ids)
        let scoresMTP = mtp || mtpDepth > 0
        if scoresMTP && open.layout.mtp.isEmpty {
            throw InputError("\(open.checkpoint.label) has no MTP module, so there is nothing for --mtp to score")
        }
        // A window of one token would have nothing before it to go by.
        let context = max(2, try open.context(for: ids.count))
        if mtpDepth > 0 && ids.count > context {
            throw InputError(
                "--mtp-depth needs the whole text in one window of \(context) tokens; this text has \(ids.count)")
        }
        let scorer = open.makeScorer(try open.load(context: context), context: context)
        let bar = ProgressBar("scoring", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
        var score: ForetokenSpeculation.Score
        do {
            score = try scorer.score(ids, topCount: top, mtp: scoresMTP, mtpDepth: mtpDepth) { done in
                bar.update(Double(done) / Double(ids.count)) { "\(Format.short(Double(done) / $0)) tok/s" }
                return !Interrupts.requested
            }
        } catch is CancellationError {
            throw Interrupted()
        }
        bar.clear()
        let report = ScoreReport(score, ids, bitsPerByte: bitsPerByte(score, ids, open), topCount: top)
        if json {
            try StandardOutput.write(JSONOutput.line(report))
        } else {
            try StandardOutput.write(report.summary(on: Terminal(descriptor: STDOUT_FILENO)))
        }
    }

    /// Σ nats / ln 2 / bytes of the decoded text without BOS; nil when there are no bytes or ids without a token.
    private func bitsPerByte(_ score: ForetokenSpeculation.Score, _ ids: [Int32], _ open: OpenModel) -> Double? {
        guard let tokenizer = open.tokenizer else { return nil }
        let own = ids.first == tokenizer.bos ? ids.dropFirst() : ids[...]
        guard let bytes = tokenizer.byteCount(of: own), bytes > 0 else { return nil }
        return score.totalNats / log(2) / Double(bytes)
    }
}
