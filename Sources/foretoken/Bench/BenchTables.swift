import ForetokenLaboratory
import ForetokenReport

/// A benchmark as tables in a terminal.
struct BenchTables {
    let report: BenchReport
    let terminal: Terminal

    init(_ report: BenchReport, _ terminal: Terminal) {
        self.report = report
        self.terminal = terminal
    }

    /// Everything that was measured, with blank lines between the parts.
    var text: String {
        var parts = [heading]
        if !report.roofs.read.isEmpty { parts.append(roofs) }
        if !report.products.isEmpty { parts.append(products) }
        if !report.overlap.isEmpty { parts.append(overlap) }
        if !report.steps.isEmpty { parts += [decoding, steps] }
        if let context = report.mainContext {
            if report.rounds.contains(where: { $0.context == context }) { parts.append(rounds(context)) }
            if report.components.contains(where: { $0.context == context }) {
                parts += [attention, components(context)]
            }
        }
        if !report.company.isEmpty { parts.append(company) }
        if !report.prompts.isEmpty { parts.append(prompts) }
        if let stream = report.stream { parts.append(line(stream)) }
        if !report.formats.isEmpty { parts.append(formats) }
        if let memory = report.memory { parts.append(line(memory)) }
        if !report.depths.isEmpty { parts.append(depths) }
        if let projection = report.projection { parts += self.parts(of: projection) }
        if !report.leftOut.isEmpty {
            parts.append(report.leftOut.map { terminal.prose("left out: \($0)", .dim) }.joined())
        }
        return parts.joined(separator: "\n")
    }

    private var heading: String {
        let subject = report.subject
        let dense = subject.layers - subject.moeLayers
        let words = [
            subject.model, "\(subject.moeLayers) MoE + \(dense) dense layers", Format.bytes(subject.weightBytes),
            subject.text, "\(subject.threads) thread\(subject.threads == 1 ? "" : "s"), \(subject.instructionSet)",
            subject.processor,
        ]
        let cut = "Interrupted: these are the figures of what was measured before."
        return terminal.prose(words.joined(separator: " · ")) + (report.isPartial ? terminal.prose(cut) : "")
    }

    func titled(_ title: String, _ table: Table, _ note: String? = nil) -> String {
        terminal.titled(title, table, note)
    }

    // MARK: Machine

    private var roofs: String {
        var table = Table([.init("threads", .right), .init("memory reads", .right), .init("sgemm", .right)])
        for (read, sgemm) in zip(report.roofs.read, report.roofs.sgemm) {
            table.add("\(read.threads)", gigabytes(read.perSecond), gigaflops(sgemm.perSecond))
        }
        return titled(
            "Roofs of this machine", table,
            "sustained: medians, taken in turns with everything else; sgemm: OpenBLAS in the shape of a prompt's product"
        )
    }

    private var products: String {
        let widths = report.products.reduce(into: [Int]()) { if !$0.contains($1.rows) { $0.append($1.rows) } }
        let formats = report.products.reduce(into: [String]()) { if !$0.contains($1.format) { $0.append($1.format) } }
        var table = Table(
            [.init("rows", .right)]
                + formats.flatMap { [.init($0 + " GB/s", .right), .init("GFLOP/s", .right)] })
        for rows in widths {
            table.add(
                ["\(rows)"]
                    + formats.flatMap { format in
                        let product = report.products.first { $0.format == format && $0.rows == rows }
                        return [
                            product.map { beside(Format.fixed($0.bytesPerSecond / 1e9, 1), $0.readShare) } ?? "–",
                            product.map { beside(Format.fixed($0.operationsPerSecond / 1e9, 0), $0.sgemmShare) } ?? "–",
                        ]
                    })
        }
        return titled(
            "Panel products with weights from memory, all threads", table,
            "beside: share of the read roof, and of sgemm"
                + (report.products.contains { ReadRoof.isAbove($0.readShare) }
                    ? "; no cache holds these matrices, so above 100 % other programs slowed the roof down" : ""))
    }

    // MARK: Model

    private var decoding: String {
        var table = Table([
            .init("context", .right), .init("tok/s", .right), .init("weights", .right), .init("of the roof", .right),
            .init("one-draft round", .right), .init("an MTP step", .right),
        ])
        for curve in report.steps {
            let round = report.rounds.first { $0.context == curve.context && $0.drafts == 1 }
            let later = report.rounds.first { $0.context == curve.context && $0.drafts == 2 }
            table.add(
                Format.grouped(curve.context), Format.short(curve.tokensPerSecond), gigabytes(curve.bytesPerSecond),
                readShare(curve), round.map { duration($0.draftTime + $0.verifyTime) } ?? "–",
                later.map { duration($0.lastDraftTime) } ?? "–")
        }
        return titled(
            "Decoding without drafts, by context", table,
            "a step of one row reads \(Format.bytes(report.subject.bytesPerStep)) of weights")
    }

    /// A share of the read roof, with the reason where it is above that.
    private func readShare(_ curve: BenchReport.StepCurve) -> String {
        let subject = report.subject
        let excuse = ReadRoof.excuse(
            curve.readShare, bytes: Double(subject.bytesPerStep), cache: subject.cacheBytes)
        return share(curve.readShare) + (excuse.map { " (\($0))" } ?? "")
    }

    private var overlap: String {
        var table = Table([
            .init("rows", .right), .init("experts a layer", .right), .init("over one row", .right),
            .init("by chance", .right), .init("bytes", .right),
        ])
        for row in report.overlap where Self.shownRows.contains(row.rows) {
            table.add(
                "\(row.rows)", Format.fixed(row.experts, 2), times(row.relative), Format.fixed(row.byChance, 2),
                times(row.relativeBytes))
        }
        return titled(
            "Experts that rows in turn choose, over the whole text that was read", table,
            "bytes: what a step of so many rows reads, over one row's; by chance: if all experts were alike")
    }

    static let shownRows = [1, 2, 3, 4, 6, 8, 12, 16]

    private var steps: String {
        let contexts = report.steps.map(\.context)
        var table = Table(
            [.init("rows", .right)]
                + contexts.flatMap { context in
                    [
                        Table.Column("T at \(Format.grouped(context))", .right), .init("T/T(1)", .right),
                        .init("bytes", .right), .init("ratio", .right),
                    ]
                })
        for i in report.steps[0].points.indices {
            table.add(
                ["\(i + 1)"]
                    + report.steps.flatMap { curve in
                        let point = curve.points[i]
                        return [
                            duration(point.time), times(point.relative), times(point.relativeBytes),
                            Format.fixed(point.overBytes, 2),
                        ]
                    })
        }
        return titled(
            "Verify steps of T(rows), by context", table,
            "bytes: what the routing touched in these windows, over one row's; ratio: time over bytes")
    }

    private func rounds(_ context: Int) -> String {
        var table = Table([
            .init("drafts", .right), .init("drafting", .right), .init("T(k+1)", .right), .init("round/T(1)", .right),
            .init("pays from", .right),
        ])
        for round in report.rounds where round.context == context {
            table.add(
                "\(round.drafts)", duration(round.draftTime), duration(round.verifyTime), times(round.relative),
                round.breakEven.map { Format.percent($0) } ?? "never")
        }
        return titled(
            "Rounds with k drafts behind \(Format.grouped(context)) tokens", table,
            "pays from: the acceptance of every draft at which a round yields as much as its time would without drafts")
    }

    private var company: String {
        var table = Table([
            .init("texts", .right), .init("T", .right), .init("T/T(1)", .right), .init("bytes", .right),
            .init("tok/s", .right), .init("over one", .right), .init("by bytes", .right), .init("of steps", .right),
            .init("auto tok/s", .right),
        ])
        for row in report.company {
            table.add(
                "\(row.texts)", duration(row.time), times(row.relative), times(row.relativeBytes),
                Format.short(row.tokensPerSecond), times(row.overOne), times(row.byteBound),
                Format.percent(row.overSteps), row.adaptiveTokensPerSecond.map { Format.short($0) } ?? "–")
        }
        return titled(
            "Several texts at once, one row of each in a step", table,
            "by bytes: what all texts together would gain if time went with the bytes that the routing touches; of steps: "
                + "what scheduling leaves of the steps' own speed")
    }

    private var attention: String {
        var table = Table([
            .init("context", .right), .init("1 row", .right), .init("of the step", .right), .init("4 rows", .right),
            .init("of the step", .right),
        ])
        let contexts = report.components.reduce(into: [Int]()) {
            if !$0.contains($1.context) { $0.append($1.context) }
        }
        for context in contexts {
            table.add(
                [Format.grouped(context)]
                    + [1, 4].flatMap { rows in
                        let parts = report.components.filter { $0.context == context && $0.rows == rows }
                        let whole = parts.reduce(0) { $0 + $1.time }
                        let time = parts.filter { $0.name == "attention" }.reduce(0) { $0 + $1.time }
                        return [duration(time), whole > 0 ? Format.percent(time / whole) : "–"]
                    })
        }
        return titled(
            "Attention, all layers", table, "queries, absorption, scores and values: what the latent cache is read for")
    }

    private func components(_ context: Int) -> String {
        let here = report.components.filter { $0.context == context }
        let rows = here.reduce(into: [Int]()) { if !$0.contains($1.rows) { $0.append($1.rows) } }
        var table = Table(
            [.init("layer"), .init("part")]
                + rows.flatMap { rows in
                    [Table.Column("\(rows) row\(rows == 1 ? "" : "s")", .right), .init("", .right)]
                })
        for place in ["dense", "moe", "outside"] {
            for name in here.filter({ $0.place == place && $0.rows == rows[0] }).map(\.name) {
                table.add(
                    [place, Self.names[name] ?? name]
                        + rows.flatMap { rows in
                            let whole = here.filter { $0.rows == rows && $0.place == place }
                                .reduce(0) { $0 + $1.perLayer }
                            let part = here.first { $0.rows == rows && $0.place == place && $0.name == name }
                            return part.map {
                                [duration($0.perLayer), Format.fixed($0.perLayer / whole * 100, 0) + " %"]
                            } ?? ["–", ""]
                        })
            }
        }
        return titled(
            "Parts of a step behind \(Format.grouped(context)) tokens, time of one layer", table,
            "what one phase of all threads computes together is one part")
    }

    private static let names = [
        "attentionDown": "q_a, kv_a", "attention": "q_b, attention", "attentionOutput": "o_proj",
        "router": "router (large: with shared up)", "expertsUp": "experts gate, up",
        "expertsDown": "experts and shared down", "denseUp": "gate, up", "denseDown": "down", "head": "head",
        "norms": "norms, cache", "embedding": "embedding",
    ]

    private var prompts: String {
        var table = Table([
            .init("prompt", .right), .init("time", .right), .init("tok/s", .right), .init("GFLOP/s", .right),
            .init("of sgemm", .right),
        ])
        for prompt in report.prompts {
            table.add(
                Format.grouped(prompt.tokens), duration(prompt.time), Format.short(prompt.tokensPerSecond),
                Format.short(prompt.operationsPerSecond / 1e9), share(prompt.sgemmShare))
        }
        return titled("Prompts", table, "operations that the prompt needs at least, over all of its time")
    }

    private var formats: String {
        var table = Table([
            .init("--weights"), .init("in memory", .right), .init("a step reads", .right), .init("perplexity", .right),
            .init("of stored", .right),
        ])
        for loss in report.formats {
            table.add(
                loss.format, Format.bytes(loss.weightBytes), Format.bytes(loss.bytesPerStep),
                Format.fixed(loss.perplexity, 3), Format.fixed(loss.relative, 4) + "×")
        }
        return titled(
            "Resident formats", table,
            "perplexity of the built-in suite's first \(Format.grouped(report.formats[0].tokens)) tokens")
    }

    private func line(_ stream: BenchReport.Stream) -> String {
        let over = stream.promptOverAlone.map { ", \(times($0)) of what it takes alone" } ?? ""
        return terminal.styled("A prompt beside a text", .bold)
            + ": while \(Format.grouped(stream.promptTokens)) tokens are read, the text waits "
            + "\(Format.short(stream.pause)) windows (of \(duration(stream.window))) for its next token, one time in a "
            + "hundred over \(Format.short(stream.longPause)), at most \(Format.short(stream.longestPause)); the prompt takes "
            + "\(duration(stream.promptTime))\(over)\n"
    }

    private func line(_ memory: BenchReport.Memory) -> String {
        let resident = memory.resident.map { Format.bytes($0) } ?? "not known how much is"
        let share = memory.share.map { ": \($0 >= 1 ? "+" : "")\(Format.percent($0 - 1))" } ?? ""
        return "\(terminal.styled("Memory", .bold)): \(resident) resident over "
            + "\(Format.bytes(memory.weights)) of weights and \(Format.bytes(memory.cache)) of cache\(share)\n"
    }

    // MARK: Numbers

    private func gigabytes(_ bytes: Double) -> String { Format.fixed(bytes / 1e9, 1) + " GB/s" }

    private func gigaflops(_ operations: Double) -> String { Format.short(operations / 1e9) + " GFLOP/s" }

    func share(_ value: Double?) -> String { value.map { Format.fixed($0 * 100, 0) + " %" } ?? "–" }

    private func beside(_ text: String, _ share: Double?) -> String {
        share.map { text + " " + (Format.fixed($0 * 100, 0) + "%").leftPadded(5) } ?? text
    }

    func times(_ factor: Double) -> String { Format.fixed(factor, 2) + "×" }

    func duration(_ nanoseconds: Double) -> String {
        nanoseconds < 1e6
            ? Format.short(nanoseconds / 1000) + " µs" : Format.duration(nanoseconds: Int64(nanoseconds))
    }
}

extension String {
    fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
