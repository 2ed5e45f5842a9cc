import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Which facts are hidden where.
struct NeedleFlags: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Hides facts in long texts and asks for them at the end, instead of measuring drafts: how often the greedy "
                + "answer is the fact, and by how much its presence raises its log-probability."))
    var needle = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --needle: tokens of text and answer together (default: from 512 on, doubling, to the context or 8k).",
            valueName: "512,8k,128k"),
        transform: { try TokenCounts.parse($0, option: "--lengths") })
    var lengths: TokenCounts?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --needle: where the fact stands, in percent of the text (default: 0,25,50,75,100).",
            valueName: "0,50,100"),
        transform: PercentList.parse)
    var depths: PercentList?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("With --needle: facts tried at each length and depth (default: 4).", valueName: "n"))
    var needles: Int?

    @Option(
        help: ArgumentHelp(
            "With --needle: what texts and facts are like (default: prose; code for the embedded model). --text gives other "
                + "text to hide them in.", valueName: "prose|code"))
    var needleForm: HaystackForm?

    static let usualNeedles = 4
    private static let mostNeedles = 64

    func validate() throws {
        guard needle else {
            if lengths != nil || depths != nil || needles != nil || needleForm != nil {
                throw ValidationError("--lengths, --depths, --needles and --needle-form need --needle")
            }
            return
        }
        if let needles, !(1...Self.mostNeedles).contains(needles) {
            throw ValidationError("--needles must be 1...\(Self.mostNeedles), not \(needles)")
        }
    }
}

extension HaystackForm: ExpressibleByArgument {}

/// Percentages separated by commas, ascending, each once.
struct PercentList {
    let values: [Double]

    static func parse(_ argument: String) throws -> PercentList {
        var values: Set<Double> = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Double(item.trimmed), (0...100).contains(value) else {
                throw ValidationError("--depths wants percentages such as 0,50,100; '\(item)' is none")
            }
            values.insert(value)
        }
        return PercentList(values: values.sorted())
    }
}

/// `measure --needle`.
struct NeedleTrials {
    private let flags: NeedleFlags
    private let style: PromptStyle
    private let open: OpenModel
    private let haystack: Haystack
    /// Tokens that an answer may have.
    private let answerTokens: Int
    private let depths: [Double]
    private let lengths: [Int]

    /// Tokens more than the value's that a text is continued with: a space, and what shows where the value ends.
    private static let slack = 4
    private static let usualLengths = [512, 1024, 2048, 4096, 8192]

    /// - Parameters:
    ///   - lines: text to hide facts in; empty for made-up text.
    ///   - answerTokens: tokens that an answer in chat may have.
    /// - Throws: `InputError` for lengths that the model's context cannot hold.
    init(_ flags: NeedleFlags, _ style: PromptStyle, _ open: OpenModel, lines: [String], answerTokens: Int) throws {
        self.flags = flags
        self.style = style
        self.open = open
        let form = flags.needleForm ?? (open.settings.directory == nil ? .code : .prose)
        haystack = Haystack(form: form, lines: lines)
        self.answerTokens = style.format == .chat ? answerTokens : Step.windowRows + Self.slack
        depths = flags.depths?.values ?? [0, 25, 50, 75, 100]
        let limit = open.contextLimit
        lengths = flags.lengths?.values ?? Self.usualLengths.filter { $0 <= limit }
        guard let last = lengths.last else {
            throw InputError("a context of \(limit) tokens is too short to hide anything in")
        }
        guard last <= limit else {
            let advice = limit < open.configuration.maximumPositions ? "; raise --context" : ""
            throw InputError(
                "a text of \(last) tokens was asked for, but the context of \(open.checkpoint.label) holds "
                    + "\(limit)\(advice)")
        }
    }

    func run(json: Bool) throws {
        let cases = try lengths.map { length in try depths.map { try texts(length: length, depth: $0) } }
        let loaded = try open.load(context: lengths.last!)
        let reader = try NeedleReader(loaded, capacity: lengths.last!, cacheType: open.settings.cacheType)
        var report = NeedleReport()
        report.model = open.checkpoint.label
        report.form = (haystack.lines.isEmpty ? haystack.form.rawValue : "given text") + (isChat ? ", chat" : "")
        report.threads = loaded.pool.workerCount
        report.instructionSet = loaded.instructionSet
        report.cacheType = open.settings.cacheType.rawValue
        let bar = ProgressBar("searching", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        // Reading a text takes about as long as it is.
        let total = lengths.reduce(0, +) * depths.count * count
        var done = 0
        search: for (length, row) in zip(lengths, cases) {
            for (depth, texts) in zip(depths, row) {
                var trials: [NeedleReport.Trial] = []
                for text in texts {
                    bar.update(Double(done) / Double(total)) { _ in "\(length) tokens" }
                    guard let trial = try trial(text, reader) else {
                        report.isPartial = true
                        break
                    }
                    trials.append(trial)
                    done += length
                }
                if !trials.isEmpty { report.cells.append(.init(length: length, depth: depth, trials: trials)) }
                if report.isPartial { break search }
            }
        }
        bar.clear()
        try show(report, json: json)
        if report.isPartial { throw Interrupted() }
    }

    private var isChat: Bool { style.format == .chat }
    private var count: Int { flags.needles ?? NeedleFlags.usualNeedles }

    private func show(_ report: NeedleReport, json: Bool) throws {
        guard !report.cells.isEmpty else { return Console.note("interrupted before anything was measured") }
        if report.isPartial { Console.note("interrupted: these are the figures of what was measured before") }
        if json { return try StandardOutput.write(JSONOutput.line(report, snakeCase: true)) }
        try StandardOutput.write(StandardOutput.page { NeedleTables(report, $0).text })
    }

    // MARK: Texts

    /// One text with a fact, and the same without.
    private struct Case {
        let fact: HiddenFact
        let tokens: [Int32]
        let control: [Int32]
        let value: [Int32]
    }

    private func texts(length: Int, depth: Double) throws -> [Case] {
        try (0..<count).map { try text(number: $0, length: length, depth: depth) }
    }

    /// As many pieces of filler as fit.
    private func text(number: Int, length: Int, depth: Double) throws -> Case {
        let fact = haystack.fact(number)
        let value = try open.tokens(ofPrediction: isChat ? fact.value : " " + fact.value)
        guard value.count <= Step.windowRows else {
            throw InputError("the tokenizer of \(open.checkpoint.label) cuts a number into \(value.count) tokens")
        }
        let budget = length - (isChat ? max(answerTokens, value.count) : value.count + Self.slack)
        func encode(_ pieces: Int) throws -> (tokens: [Int32], control: [Int32]) {
            let place = Int((Double(pieces) * depth / 100).rounded())
            let texts = [fact, nil].map { haystack.text(pieces, with: $0, behind: place, seed: number * 7919) }
            let prompts = try texts.map {
                try open.tokens(of: style.prompt($0 + (isChat ? "\n" + fact.question : fact.opening)))
            }
            return (prompts[0], prompts[1])
        }
        func size(_ texts: (tokens: [Int32], control: [Int32])) -> Int { max(texts.tokens.count, texts.control.count) }
        var best = try encode(1)
        let least = size(best)
        guard least <= budget else {
            throw InputError(
                "a text of \(length) tokens is too short to hide a fact in: fact, question and answer take "
                    + "\(length - budget + least)")
        }
        // Pieces are nearly alike, so that a few guesses come near; then halving finds the last that fits.
        var (fits, fails) = (1, Int.max)
        while fails - fits > 1 {
            let each = Double(max(1, size(best) - least)) / Double(max(1, fits - 1))
            let guess = fits == 1 ? 8 : max(fits + 1, fits + Int(Double(budget - size(best)) / each))
            let pieces = fails == .max ? guess : (fits + fails) / 2
            let texts = try encode(pieces)
            if size(texts) <= budget { (best, fits) = (texts, pieces) } else { fails = pieces }
        }
        return Case(fact: fact, tokens: best.tokens, control: best.control, value: value)
    }

    // MARK: Trials

    /// nil after an interruption.
    private func trial(_ text: Case, _ reader: NeedleReader) throws -> NeedleReport.Trial? {
        var ends = open.endTokens
        if isChat { ends += try open.turnEnds().filter { !ends.contains($0) } }
        let most = isChat ? answerTokens : text.value.count + Self.slack
        func read(_ tokens: [Int32], saying most: Int) throws -> NeedleReader.Outcome? {
            try reader.read(tokens, value: text.value, saying: most, ends: ends) { !Interrupts.requested }
        }
        guard let found = try read(text.tokens, saying: most), let control = try read(text.control, saying: 0) else {
            return nil
        }
        let answer = String(decoding: try open.requiredTokenizer().decode(found.answer), as: UTF8.self)
        return NeedleReport.Trial(
            value: text.fact.value, answer: answer, isExact: Self.says(answer, text.fact.value, anywhere: isChat),
            logProbability: found.logProbability, control: control.logProbability, tokens: text.tokens.count)
    }

    /// Whether an answer has that number, and not as a part of a longer one: at its beginning, or anywhere.
    static func says(_ answer: String, _ value: String, anywhere: Bool) -> Bool {
        let words = answer.split { !($0.isLetter || $0.isNumber) }
        return anywhere ? words.contains { $0 == value } : words.first.map { $0 == value } ?? false
    }
}

/// What was found of hidden facts, as a table in a terminal.
struct NeedleTables {
    private let report: NeedleReport
    private let terminal: Terminal

    init(_ report: NeedleReport, _ terminal: Terminal) {
        self.report = report
        self.terminal = terminal
    }

    /// Depths as lines, lengths as columns.
    var text: String {
        let lengths = Set(report.cells.map(\.length)).sorted()
        let depths = Set(report.cells.map(\.depth)).sorted()
        var table = Table(
            [.init("depth", .right)] + lengths.map { Table.Column(Format.grouped($0), .right) })
        for depth in depths {
            table.add(
                [Format.fixed(depth, depth == depth.rounded() ? 0 : 1) + " %"]
                    + lengths.map { length in
                        guard let cell = report.cells.first(where: { $0.length == length && $0.depth == depth }) else {
                            return "–"
                        }
                        let sign = cell.gain < 0 ? "" : "+"
                        return "\(cell.exact)/\(cell.trials.count)  " + sign + Format.fixed(cell.gain, 1)
                    })
        }
        let heading =
            "\(report.model) · \(report.form) · \(report.threads) thread\(report.threads == 1 ? "" : "s"), "
            + report.instructionSet
        let note =
            "by length and depth: greedy answers that are the fact; nats that its presence adds to its log-probability, mean"
        return heading + "\n\n" + terminal.styled("Facts found in long texts", .bold) + "\n"
            + table.rendered(on: terminal) + terminal.styled(note, .dim) + "\n\(report.exactCount) of "
            + "\(report.trialCount) found\n"
    }
}
