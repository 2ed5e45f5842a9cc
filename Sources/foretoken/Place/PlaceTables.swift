import ForetokenPlacement
import ForetokenReport
import ForetokenText

/// What `place` shows to people.
package struct PlaceTables {
    private let study: PlacementStudy
    private let terminal: Terminal

    /// With more nodes only the fullest is shown in the table of policies.
    private static let mostNodeColumns = 4

    /// Tables of a study, for a terminal.
    package init(_ study: PlacementStudy, _ terminal: Terminal) {
        self.study = study
        self.terminal = terminal
    }

    /// The answer, then what it rests on.
    package var text: String {
        let verdict = PlacementVerdict(study)
        let sections = [
            ("", subject), ("Nodes", nodes),
            ("Policies, judged on routing that no plan was made from (all times predicted)", policies),
        ].compactMap { title, table in
            title.isEmpty ? table.rendered(on: terminal) : terminal.titled(title, table)
        }
        let style: Style =
            switch verdict.answer {
            case .statistics, .simple, .nothingToPlace: .green
            case .thin: .yellow
            case .nothingFits: .red
            }
        let answer = terminal.prose(Self.plain(verdict.headline), style)
        return (sections + absences + [explanations, answer + terminal.wrapped(Self.plain(verdict.reason)), caveats])
            .filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private static func plain(_ prose: String) -> String { String(prose.filter { $0 != "`" }) }

    // MARK: What was planned

    private var subject: Table {
        var table = Table([.init("placement"), .init("")])
        let (model, trace, windows) = (study.subject, study.trace, study.report.windows)
        table.add("model", "\(model.model), \(model.weights) weights")
        table.add(
            "experts",
            "\(model.expertsPerToken) of \(Format.grouped(model.experts)) in \(count(model.layers, "layer")), "
                + "\(Format.bytes(model.expertBytes)) each")
        table.add(
            "all else",
            "\(Format.bytes(model.denseBytes)) with caches for \(count(model.context, "token")), cut over the nodes")
        table.add(
            "trace",
            "\(count(trace.rows.all, "row")) of \(model.traces.joined(separator: ", ")), "
                + "\(count(trace.domains.count, "domain"))")
        table.add("windows", study.windowSummary)
        table.add(
            "halves",
            "planned from \(Format.grouped(windows.training)), judged by \(Format.grouped(windows.heldOut)): blocks of each "
                + "domain in turn")
        table.add("machine", "\(study.machine.name), bandwidths \(study.sourceName)")
        return table
    }

    private var nodes: Table {
        var table = Table([
            .init("node", .right), .init("workers", .right), .init("for weights", .right), .init("read", .right),
            .init("all but experts", .right),
        ])
        for node in study.report.nodes {
            table.add(
                "\(node.id)", node.workers > 0 ? "\(node.workers)" : "none", Format.bytes(node.capacity),
                Format.short(node.bandwidth / 1e9) + " GB/s", Format.bytes(node.reservedBytes))
        }
        return table
    }

    // MARK: Policies

    private var showsEveryNode: Bool { study.report.nodes.count <= Self.mostNodeColumns }

    private var policies: Table {
        let unit = study.unit.name
        let memory: [Table.Column] =
            showsEveryNode
            ? study.report.nodes.map { .init("node \($0.id)", .right, rank: 2) }
            : [.init("fullest node", .right, rank: 2)]
        var table = Table(
            [
                .init(""), .init("policy", rank: -2), .init("experts \(unit)", .right, rank: 1),
                .init("of bound", .right, rank: 1), .init("on its own half", .right, rank: 3),
                .init("barriers \(unit)", .right, rank: 3), .init("step \(unit)", .right),
                .init("tok/s", .right, rank: -1),
            ] + memory + [.init("replicas", .right, rank: 3)])
        for result in study.report.results { table.add(row(result)) }
        let bound = study.report.boundSeconds
        table.add(
            "", "perfect bound", study.unit.number(bound), "1.00×", "", "",
            study.unit.number(bound + study.fixedSeconds))
        return table
    }

    private func row(_ result: PolicyResult) -> [String] {
        let mark = result.policy == study.selected?.policy ? "→" : ""
        guard let score = result.score else {
            return [mark, "\(result.policy)", result.shortfalls.isEmpty ? "–" : "does not fit"]
        }
        let memory =
            showsEveryNode
            ? score.bytes.map(Format.bytes)
            : [
                study.fullest(score).map { "\($0.id): \(Format.bytes($0.bytes)) (\(Format.percent($0.share)))" } ?? ""
            ]
        return [
            mark, "\(result.policy)", study.unit.number(score.expertSeconds), AxisFormat.times.text(score.ratioToBound),
            study.unit.number(score.trainingExpertSeconds), study.unit.number(score.barrierSeconds),
            study.unit.number(score.stepSeconds), Format.short(score.tokensPerSecond),
        ] + memory + [score.replicaBytes > 0 ? Format.bytes(score.replicaBytes) : ""]
    }

    /// Why policies have no plan.
    private var absences: [String] {
        let lines = study.report.results.compactMap { result in
            study.absence(result).map { terminal.prose("\(result.policy): \($0)", .dim) }
        }
        return lines.isEmpty ? [] : [lines.joined()]
    }

    private var explanations: String {
        guard study.hasChoice else { return "" }
        return terminal.wrapped(
            "step: reading what is not experts (\(study.unit.text(study.fixedSeconds))), the experts and the barriers. on its "
                + "own half: the same plan on the windows it was made from; less than on the others is overfitting. perfect "
                + "bound: all nodes read the step's experts together and none waits.", .dim)
    }

    private var caveats: String {
        study.caveats.map { terminal.wrapped("note: " + Self.plain($0), .dim) }.joined()
    }
}

extension PlacementStudy {
    /// Where the windows come from, and what they hold.
    var windowSummary: String {
        let windows = report.windows
        let origin =
            windows.cutWidth.map { "cut from prompts, \(count($0, "row")) each" }
            ?? subject.parallel.map {
                $0 == 1 ? "verified, one text a step" : "verified, put together for \($0) texts at once"
            }
            ?? "verified, as drafts were checked"
        let used = windows.training + windows.heldOut
        let thinned = used < windows.available ? ", \(Format.grouped(used)) of them used, evenly chosen" : ""
        let texts = windows.textsPerStep > 1 ? "\(Format.fixed(windows.textsPerStep, 2)) texts, " : ""
        return
            "\(Format.grouped(windows.available)) \(origin)\(thinned); \(texts)\(Format.fixed(windows.rowsPerStep, 2)) rows "
            + "and \(Format.fixed(windows.tokensPerStep, 2)) tokens a step"
    }

    /// Where the bandwidths come from, as what follows "bandwidths".
    var sourceName: String {
        switch machine.source {
        case MachineDescription.Source.measured.rawValue: "measured"
        case MachineDescription.Source.file.rawValue: "from the file"
        case MachineDescription.Source.firmware.rawValue: "promised by the firmware"
        default: "assumed"
        }
    }

    /// The node with the least room left, what lies there, and its share of what may.
    func fullest(_ score: PolicyScore) -> (id: Int, bytes: Int, share: Double)? {
        zip(report.nodes, score.bytes).map { ($0.id, $1, Double($1) / Double(max(1, $0.capacity))) }.max { $0.2 < $1.2 }
    }
}
