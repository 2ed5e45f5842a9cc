import ForetokenLoad
import ForetokenReport

/// What was measured of a server as tables in a terminal.
struct LoadTables {
    let report: LoadReport
    let terminal: Terminal

    init(_ report: LoadReport, _ terminal: Terminal) {
        self.report = report
        self.terminal = terminal
    }

    /// Everything, with blank lines between the parts.
    var text: String {
        var parts = [heading]
        if !report.levels.isEmpty {
            parts += [speeds, latencies]
            if report.levels.contains(where: { !$0.drafted.isEmpty || $0.rowsOfText != nil }) { parts.append(rounds) }
            parts.append(equality)
        }
        if let prefix = report.prefix { parts.append(table(prefix)) }
        if let stall = report.stall { parts.append(table(stall)) }
        if let cancel = report.cancel { parts.append(table(cancel)) }
        if let overload = report.overload { parts.append(table(overload)) }
        if let soak = report.soak { parts.append(table(soak)) }
        if !report.leftOut.isEmpty {
            parts.append(report.leftOut.map { terminal.styled("left out: \($0)", .dim) + "\n" }.joined())
        }
        return parts.joined(separator: "\n")
    }

    private var heading: String {
        let server = report.server
        var words = [report.address, server.program ?? "a server that does not name itself", server.model]
        if let parallel = server.parallel { words.append("\(parallel) at once") }
        if let context = server.context { words.append("context \(Format.grouped(context))") }
        let prompts =
            "Prompts of \(report.promptsAreTokens ? "" : "about ")\(report.promptTokens) tokens, answers of "
            + "\(report.maximumTokens), temperature \(report.temperature).\n"
        let cut = report.isPartial ? "Interrupted: these are the figures of what was measured before.\n" : ""
        return words.joined(separator: " · ") + "\n" + prompts + cut
    }

    private func titled(_ title: String, _ table: Table, _ note: String? = nil) -> String {
        terminal.titled(title, table, note)
    }

    // MARK: Levels

    private var speeds: String {
        var table = Table([
            .init("at once", .right), .init("requests", .right), .init("failed", .right), .init("output tok/s", .right),
            .init("over one", .right), .init("good req/s", .right), .init("good", .right),
        ])
        let one = report.levels[0].tokensPerSecond
        for level in report.levels {
            table.add(
                "\(level.concurrency)", "\(level.requests)", "\(level.failed)", Format.short(level.tokensPerSecond),
                times(level.tokensPerSecond / one), Format.fixed(level.goodput, 2), Format.percent(level.goodShare))
        }
        let goal = report.goal
        let failures = report.levels.compactMap(\.failure)
        let good =
            "good: first token within \(Format.short(goal.firstTokenMilliseconds / 1000)) s, then "
            + "\(Format.short(goal.perTokenMilliseconds)) ms a token at most"
        return titled(
            "Speed of all clients together", table, failures.first.map { "\(good)\nfailed: \($0)" } ?? good)
    }

    private var latencies: String {
        var table = Table(
            [.init("at once", .right)]
                + ["first token", "p95", "per token", "p95", "gap", "p95", "p99", "longest"].map { .init($0, .right) })
        for level in report.levels {
            let (first, token, gap) = (level.firstToken, level.perToken, level.gap)
            table.add(
                ["\(level.concurrency)"]
                    + [
                        first?.p50, first?.p95, token?.p50, token?.p95, gap?.p50, gap?.p95, gap?.p99, gap?.longest,
                    ].map(milliseconds))
        }
        return titled(
            "Latency of each client in ms", table,
            "medians where nothing else is said; gap: between deliveries, which may bring several tokens")
    }

    private var rounds: String {
        let depth = report.levels.map(\.drafted.count).max() ?? 0
        var table = Table(
            [.init("at once", .right), .init("accepted", .right)]
                + (depth > 1 ? (1...min(depth, 4)).map { .init("draft \($0)", .right) } : [])
                + ["tokens a round", "rows of a text", "rows of a step", "shared"].map { .init($0, .right) })
        for level in report.levels {
            let positions =
                depth > 1
                ? (0..<min(depth, 4)).map { position in
                    position < level.drafted.count && level.drafted[position] > 0
                        ? Format.percent(Double(level.accepted[position]) / Double(level.drafted[position])) : "–"
                } : []
            table.add(
                ["\(level.concurrency)", level.acceptance.map(Format.percent) ?? "–"] + positions
                    + [level.tokensPerRound, level.rowsOfText, level.rowsPerStep].map {
                        $0.map { Format.fixed($0, 2) } ?? "–"
                    }
                    + [level.sharedSteps.map(Format.percent) ?? "–"])
        }
        return titled(
            "Drafts and steps", table,
            "of what the server tells itself; – where it does not; shared: steps that a text was in with others")
    }

    private var equality: String {
        let (compared, identical) = report.levels.reduce(into: (0, 0)) {
            $0.0 += $1.equality.compared
            $0.1 += $1.equality.identical
        }
        let first = report.levels.lazy.compactMap(\.equality.firstDifference).first
        return sentence(compared: compared, identical: identical, first)
    }

    private func sentence(compared: Int, identical: Int, _ first: String?) -> String {
        guard compared > 0 else { return "No answer was compared with the same request's alone.\n" }
        let words =
            "\(Format.grouped(identical)) of \(Format.grouped(compared)) answers identical to the same request's alone"
        return terminal.styled(words, identical == compared ? .green : .red) + (first.map { ": \($0)" } ?? "") + "\n"
    }

    // MARK: Single trials

    private func table(_ figures: PrefixFigures) -> String {
        var table = Table([.init("first token of"), .init("ms", .right), .init("over new", .right)])
        table.add("a new prompt", milliseconds(figures.cold), times(1))
        table.add("one whose beginning is cached", milliseconds(figures.cached), times(figures.cached / figures.cold))
        table.add(
            "the same, \(figures.others) others behind it", milliseconds(figures.crowded), times(figures.ratio))
        let hit = figures.hit.map { "; the server says that it had \(Format.grouped($0)) tokens" } ?? ""
        return titled(
            "Prompts of \(Format.grouped(figures.promptTokens)) tokens", table,
            "\(Format.grouped(figures.prefixTokens)) of them were in an earlier prompt\(hit)")
    }

    private func table(_ figures: StallFigures) -> String {
        var table = Table([
            .init("gaps of a stream in ms"), .init("mean", .right), .init("p99", .right), .init("longest", .right),
        ])
        table.add(["before"] + [figures.quiet?.mean, figures.quiet?.p99, figures.quiet?.longest].map(milliseconds))
        table.add(
            ["while others' prompts are read"]
                + [figures.beside?.mean, figures.beside?.p99, figures.beside?.longest].map(milliseconds))
        var note = "p99 \(count(figures.windowsP99)), longest \(count(figures.windowsLongest)) of the mean before"
        if let first = figures.firstToken { note += "; the others' first tokens after \(milliseconds(first.p50)) ms" }
        return titled(
            "\(figures.prompts) prompts of \(Format.grouped(figures.promptTokens)) tokens beside a stream", table, note)
    }

    private func table(_ figures: CancelFigures) -> String {
        var table = Table([.init("after a client has gone"), .init("ms", .right), .init("longest", .right)])
        table.add(
            "its request is not running", milliseconds(figures.latency?.p50), milliseconds(figures.latency?.longest))
        if figures.pagesBefore != nil { table.add("all pages are free", milliseconds(figures.pagesFreed)) }
        table.add("(one question to the server)", milliseconds(figures.question))
        let pages = figures.pagesAfter.map { "; pages left \($0 - (figures.pagesBefore ?? 0))" } ?? ""
        return titled(
            "\(figures.busy) streams whose clients go", table,
            "between deliveries \(milliseconds(figures.window)) ms\(pages)")
    }

    private func table(_ figures: OverloadFigures) -> String {
        var table = Table([.init(""), .init("", .right)])
        table.add("answered whole", Format.grouped(figures.accepted))
        table.add("refused (429)", Format.grouped(figures.refused))
        if figures.withoutRetryAfter > 0 {
            table.add("of those without Retry-After", Format.grouped(figures.withoutRetryAfter))
        }
        table.add("failed", Format.grouped(figures.failed))
        add(figures.memory, to: &table)
        return titled(
            "\(figures.clients) clients at once for \(Format.fixed(figures.seconds, 0)) s", table,
            figures.failure.map { "failed: \($0)" })
    }

    private func table(_ figures: SoakFigures) -> String {
        var table = Table([.init(""), .init("", .right)])
        table.add("answered whole", Format.grouped(figures.whole))
        table.add("clients gone", Format.grouped(figures.cancelled))
        table.add("of those, as the answer alone begins", Format.grouped(figures.beginnings))
        table.add("refused (429)", Format.grouped(figures.refused))
        table.add("failed", Format.grouped(figures.failed))
        if let running = figures.runningAfter { table.add("still running", "\(running)") }
        if let pages = figures.pagesAfter { table.add("pages left", "\(pages - (figures.pagesBefore ?? 0))") }
        if let pages = figures.cachedPages { table.add("pages of the prefix cache", "\(pages)") }
        add(figures.memory, to: &table)
        let equality = figures.equality
        return titled(
            "\(figures.clients) clients for \(Format.fixed(figures.seconds, 0)) s", table,
            figures.failure.map { "failed: \($0)" })
            + sentence(compared: equality.compared, identical: equality.identical, equality.firstDifference)
    }

    private func add(_ memory: MemoryFigures?, to table: inout Table) {
        guard let memory else { return }
        table.add("resident after a quarter of the time", Format.bytes(memory.begin))
        let sign = memory.growth < 0 ? "−" : "+"
        table.add("since then", sign + Format.bytes(abs(memory.growth)))
    }

    // MARK: Cells

    private func milliseconds(_ value: Double?) -> String { value.map(Format.short) ?? "–" }

    private func times(_ value: Double) -> String { Format.fixed(value, 2) + "×" }

    private func count(_ windows: Double?) -> String { windows.map { Format.fixed($0, 1) + "×" } ?? "–" }
}
