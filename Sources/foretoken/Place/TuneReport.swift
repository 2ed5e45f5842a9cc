import ForetokenHardware
import ForetokenLaboratory
import ForetokenPlacement
import ForetokenReport
import ForetokenText

/// What `tune` found, as JSON has it.
struct TuneReport: Encodable {
    struct Candidate: Encodable {
        let policy: String
        let predictedStepMs: Double
        let measuredStepMs: Double?
        let predictedExpertsMs: Double
        let measuredExpertsMs: Double?
        /// Whether the measured times cannot be relied on.
        let disturbed: Bool
        let problem: String?
        /// Whether this is the plan to take.
        let isFastest: Bool
    }

    struct Costs: Encodable {
        /// Whether they were measured in this run.
        let measured: Bool
        /// What disturbed that, in words; nil where nothing did.
        let disturbance: String?
        let gbps: Double
        let pieceUs: Double
        let barrierUs: Double
        let rowCost: [Double]
    }

    let model: String
    let nodes: Int
    let rows: Int
    let windows: Int
    let costs: Costs
    /// Where the bandwidths of the nodes come from.
    let bandwidthSource: String
    let remark: String?
    /// A step under the placement before; nil where it is not known.
    let presentStepMs: Double?
    /// How much longer a step takes under the plan than under the placement before, as a share; nil where it does not.
    let loss: Double?
    /// What disturbed the times of plans, in words; nil where nothing did.
    let disturbance: String?
    let candidates: [Candidate]
    let report: PlanReport
    /// For the described machine.
    let elsewhere: PlanReport?
    /// Where the plan was written.
    let plan: String?

    init(
        _ outcome: Tuner.Outcome, machine: MachineDescription, elsewhere: PlanReport?, model: String, out: String?,
        costsMeasured: Bool
    ) {
        self.model = model
        nodes = outcome.machine.nodes.count
        rows = outcome.trace.rowCount
        windows = outcome.trace.windows.count
        costs = Costs(
            measured: costsMeasured, disturbance: outcome.costsDisturbance?.text,
            gbps: outcome.machine.readersBandwidth / 1e9,
            pieceUs: outcome.machine.pieceSeconds * 1e6,
            barrierUs: outcome.machine.barrierSeconds * 1e6, rowCost: outcome.machine.rowCost)
        bandwidthSource = machine.source.rawValue
        remark = outcome.machine.nodes.count > 1 ? machine.remark : nil
        presentStepMs = outcome.present.map { $0.step * 1e3 }
        loss = outcome.loss
        disturbance = outcome.disturbance
        candidates = outcome.candidates.enumerated().map { index, candidate in
            Candidate(
                policy: "\(outcome.report.results[candidate.result].policy)",
                predictedStepMs: candidate.predicted.step * 1e3,
                measuredStepMs: candidate.measured.map { $0.step * 1e3 },
                predictedExpertsMs: candidate.predicted.experts * 1e3,
                measuredExpertsMs: candidate.measured.map { $0.experts * 1e3 }, disturbed: candidate.isDisturbed,
                problem: candidate.problem, isFastest: index == outcome.fastest)
        }
        report = outcome.report
        self.elsewhere = elsewhere
        plan = outcome.fastest == nil ? nil : out
    }
}

/// What `tune` found, as people read it.
struct TuneTables {
    private let report: TuneReport
    private let terminal: Terminal

    init(_ report: TuneReport, _ terminal: Terminal) {
        self.report = report
        self.terminal = terminal
    }

    var text: String {
        var blocks = [costs, candidates]
        blocks +=
            TuneReservations(
                nodes: report.nodes, disturbance: report.disturbance, loss: report.loss, presentMs: report.presentStepMs
            ).sentences
        if report.nodes == 1 { blocks.append("one node: nothing to place") }
        if let remark = report.remark { blocks.append(remark) }
        if let elsewhere = report.elsewhere { blocks.append(planned(elsewhere)) }
        if let plan = report.plan { blocks.append("plan written to \(plan)") }
        return blocks.joined(separator: "\n\n") + "\n"
    }

    private var costs: String {
        let rowCost = report.costs.rowCost
        let rows = rowCost.map { Format.fixed($0, 2) }.joined(separator: " ")
        let source =
            report.costs.measured
            ? report.costs.disturbance.map { "measured on a busy machine (\($0)), so not to be relied on" }
                ?? "measured"
            : "as place takes them"
        let texts = report.report.windows.textsPerStep
        let together = texts > 1 ? ", put together for \(Format.fixed(texts, 2)) texts a step" : ""
        return """
            \(report.model): \(Format.grouped(report.rows)) rows in \(Format.grouped(report.windows)) windows recorded\
            \(together)
            \(source): experts are read at \(Format.fixed(report.costs.gbps, 1)) GB/s, a piece costs \
            \(Format.fixed(report.costs.pieceUs, 2)) µs, a barrier of all workers \
            \(Format.fixed(report.costs.barrierUs, 2)) µs\
            \(rowCost.count > 1 ? "; an expert for 1…\(rowCost.count) rows: \(rows)" : "")
            """
    }

    private var candidates: String {
        var table = Table([
            .init(""), .init("policy", rank: -2), .init("step ms", .right), .init("measured", .right, rank: -1),
            .init("prediction off", .right), .init("experts ms", .right, rank: 1), .init("measured", .right, rank: 1),
            .init(""),
        ])
        for candidate in report.candidates {
            let ratio = candidate.measuredStepMs.map { candidate.predictedStepMs / $0 - 1 }
            table.add(
                candidate.isFastest ? "→" : "", candidate.policy, milliseconds(candidate.predictedStepMs),
                milliseconds(candidate.measuredStepMs),
                candidate.disturbed ? "not known" : ratio.map { Format.signed($0, Format.percent) } ?? "",
                milliseconds(candidate.predictedExpertsMs), milliseconds(candidate.measuredExpertsMs),
                candidate.problem ?? (candidate.disturbed ? "disturbed" : ""))
        }
        return "Plans run for real: a step, and its experts with the shared one and barriers; predicted, measured\n"
            + table.rendered(on: terminal)
    }

    private func milliseconds(_ value: Double?) -> String { value.map { Format.fixed($0, 3) } ?? "" }

    /// The predictions for a described machine.
    private func planned(_ report: PlanReport) -> String {
        var table = Table([
            .init(""), .init("policy", rank: -1), .init("step ms", .right), .init("tok/s", .right),
            .init("of bound", .right),
            .init(""),
        ])
        for (index, result) in report.results.enumerated() {
            table.add(
                index == report.chosen ? "→" : "", "\(result.policy)",
                milliseconds(result.score.map { $0.stepSeconds * 1e3 }),
                result.score.map { Format.short($0.tokensPerSecond) } ?? "",
                result.score.map { Format.fixed($0.ratioToBound, 2) + "×" } ?? "", result.reason ?? "")
        }
        return "Predicted for the machine of --topology, weights and meetings alone\n" + table.rendered(on: terminal)
    }
}
