import ForetokenLaboratory
import ForetokenReport

/// What a part of a model tells of the whole, and long contexts.
extension BenchTables {
    /// What the whole model would do and take.
    func parts(of projection: BenchReport.Projection) -> [String] {
        var parts = [line(projection), contexts(projection), memory(projection)]
        if !projection.overlaps.isEmpty { parts.append(overlaps(projection)) }
        return parts
    }

    private func line(_ projection: BenchReport.Projection) -> String {
        let measured = [
            counted(report.subject.layers - report.subject.moeLayers, "dense layer"),
            counted(report.subject.moeLayers, "MoE layer"), "the head",
        ]
        return terminal.styled("Projected", .bold)
            + ": the whole \(projection.layers)-layer model would decode at "
            + "\(Format.short(projection.tokensPerSecond)) tok/s on this machine behind "
            + "\(Format.grouped(projection.context)) tokens\(drafted(projection))\n"
            + terminal.styled(
                "projected from \(measured.compactMap { $0 }.joined(separator: ", ")); not run; "
                    + "as if all of its weights were in memory", .dim) + "\n"
    }

    private func overlaps(_ projection: BenchReport.Projection) -> String {
        let overlaps = projection.overlaps
        var table = Table(
            [.init("rows", .right)]
                + overlaps.flatMap { overlap in
                    [
                        Table.Column("\(overlap.name): experts", .right), .init("made", .right), .init("bytes", .right),
                        .init("T/T(1)", .right),
                    ]
                })
        for (i, row) in overlaps[0].rows.enumerated() where Self.shownRows.contains(row.rows) {
            table.add(
                ["\(row.rows)"]
                    + overlaps.flatMap { overlap in
                        let row = overlap.rows[i]
                        return [
                            Format.fixed(row.experts, 1), Format.fixed(row.madeExperts, 1), times(row.relativeBytes),
                            times(row.relative),
                        ]
                    })
        }
        let sources = overlaps.map { "\($0.name): \($0.source)" }.joined(separator: "; ")
        let steps = titled(
            "Projected steps of several rows, by how rows overlap", table,
            "experts: distinct ones a layer; made: in the steps that were timed, with a router that favours some experts so "
                + "that rows overlap like that; \(sources)")
        return steps + gains(projection)
    }

    /// What drafts would gain; empty without an MTP module.
    private func gains(_ projection: BenchReport.Projection) -> String {
        guard let bytes = projection.draftBytes else { return "" }
        var table = Table([
            .init("overlap"), .init("by bytes: fixed", .right), .init("gated", .right),
            .init("by these times: fixed", .right), .init("gated", .right),
        ])
        func fixed(_ gain: BenchReport.OverlapProjection.Gain) -> String {
            "\(times(gain.fixed)) (\(gain.drafts))"
        }
        for overlap in projection.overlaps {
            guard let byBytes = overlap.gainByBytes, let gain = overlap.gain else { continue }
            table.add(overlap.name, fixed(byBytes), times(byBytes.gated), fixed(gain), times(gain.gated))
        }
        let acceptance = projection.overlaps[0].acceptance.map { Format.percent($0) }.joined(separator: ", ")
        let draft =
            projection.draftTime.map { "\(Format.percent($0)) of a step by time" } ?? "no module was made to time"
        return "\n"
            + titled(
                "Projected gain of drafts over none", table,
                "assumed, not measured: drafts 1 to 4 hold in \(acceptance) of cases, as reported for V3 and R1, spread "
                    + "over their leads as the embedded model's are; a draft takes \(Format.percent(bytes)) of a step by "
                    + "bytes, \(draft). fixed: the best number of drafts, in brackets; gated: the best that a gate by lead "
                    + "can do")
    }

    private func drafted(_ projection: BenchReport.Projection) -> String {
        guard let speed = projection.overlaps.first?.draftedTokensPerSecond else { return "" }
        return ", with drafts at perhaps \(Format.short(speed))"
    }

    private func contexts(_ projection: BenchReport.Projection) -> String {
        var table = Table([
            .init("context", .right), .init("a step", .right), .init("tok/s", .right), .init("attention", .right),
            .init("cache", .right),
        ])
        for step in projection.contexts {
            table.add(
                Format.grouped(step.context), duration(step.time), Format.short(step.tokensPerSecond),
                share(step.attentionShare), Format.bytes(step.context * projection.cacheBytesPerToken))
        }
        return titled(
            "Projected steps of one row, by context", table,
            "attention: share of queries, attention over the latents and values; the cache takes "
                + "\(Format.grouped(projection.cacheBytesPerToken)) bytes a token")
    }

    private func memory(_ projection: BenchReport.Projection) -> String {
        var table = Table([.init("--weights"), .init("in memory", .right), .init("")])
        for row in projection.memory {
            table.add(row.format, Format.bytes(row.weightBytes), row.isMeasured ? "measured here" : "")
        }
        let parameters = Format.short(Double(projection.parameters) / 1e9)
        let active = Format.short(Double(projection.activeParameters) / 1e9)
        return titled(
            "Memory that the whole model's weights take, by format", table,
            ([
                "\(projection.title): \(parameters) billion parameters, of which a token's step reads \(active) billion; "
                    + "the published files have \(Format.bytes(projection.fileBytes))"
            ] + projection.remarks).joined(separator: "; "))
    }

    /// Steps and prompts behind long contexts.
    var depths: String {
        let widths = report.depths[0].rows.map(\.rows).filter { $0 > 1 }
        var columns: [Table.Column] = ["context", "cache", "a step", "tok/s", "attention"].map { .init($0, .right) }
        columns += widths.map { .init("T(\($0))/T(1)", .right) }
        columns += ["prompt rows", "time", "tok/s", "attention"].map { .init($0, .right) }
        var table = Table(columns)
        for depth in report.depths {
            var cells = [
                Format.grouped(depth.context), Format.bytes(depth.cacheBytes), duration(depth.rows[0].time),
                Format.short(depth.tokensPerSecond), share(depth.attentionShare),
            ]
            cells += widths.map { width in depth.rows.first { $0.rows == width }.map { times($0.relative) } ?? "–" }
            cells += [
                depth.chunk.map { "\($0.tokens)" } ?? "–", depth.chunk.map { duration($0.time) } ?? "–",
                depth.chunk.map { Format.short($0.tokensPerSecond) } ?? "–", share(depth.chunk?.attentionShare),
            ]
            table.add(cells)
        }
        let origin = [
            report.depths[0].isProjected ? "of the whole model, projected from the layers that were made" : nil,
            report.depths[0].hasMadeLatents ? "behind made-up latents" : nil,
            "attention: share of queries, attention over the latents and values",
        ]
        return titled("Long contexts", table, origin.compactMap { $0 }.joined(separator: "; "))
    }

    /// "one MoE layer", "3 MoE layers"; nil for none.
    private func counted(_ number: Int, _ noun: String) -> String? {
        number == 0 ? nil : number == 1 ? "one \(noun)" : "\(number) \(noun)s"
    }
}
