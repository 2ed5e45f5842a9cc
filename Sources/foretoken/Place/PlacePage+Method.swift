import ForetokenPlacement
import ForetokenReport
import ForetokenText

extension PlacePage {
    /// Where every figure comes from.
    var method: ReportPage.Section {
        .init(
            "What is measured, recorded, predicted and assumed",
            [.definitions(origins)] + study.assumptions.map(ReportPage.Block.text) + [
                .heading("How the time of a step is predicted"), .definitions(Self.model),
                .heading("What is left out"),
                .text(
                    "Attention over the cache, drafting, sampling and prompts; caches that keep an expert between steps; nodes "
                        + "that slow each other down more than the bandwidths say. They are the same for every plan as far as is "
                        + "known, so ratios of experts' times are more trustworthy than tokens per second. "
                        + "`foretoken generate --plan` measures."),
            ])
    }

    private var origins: [(term: String, meaning: String)] {
        let (subject, machine, windows) = (study.subject, study.machine, study.report.windows)
        let costs =
            "A piece costs \(Format.short(machine.pieceMicroseconds)) µs and a barrier "
            + "\(Format.short(machine.barrierMicroseconds)) µs"
        let isMeasured = machine.source == MachineDescription.Source.measured.rawValue
        return [
            (
                "Recorded",
                "\(subject.traces.joined(separator: ", ")): \(count(study.trace.rows.all, "row")) in "
                    + "\(count(study.trace.layers.count, "layer")), \(study.windowSummary)."
            ),
            (
                "Known",
                "\(subject.model): \(subject.expertsPerToken) of \(subject.experts) experts of \(Format.bytes(subject.expertBytes)) "
                    + "in \(count(subject.layers, "layer")); \(Format.bytes(subject.denseBytes)) of other weights, caches for "
                    + "\(count(subject.context, "token")) and scratch, cut over the nodes with workers."
            ),
            (
                isMeasured ? "Measured" : "Given or assumed",
                isMeasured
                    ? "Bandwidths of this machine, all nodes read at once (`foretoken bench --numa`)."
                    : "Bandwidths were not measured for this page: \(machine.remark ?? "")."
            ),
            (machine.hasGivenCosts ? "Given" : "Assumed", costs + "."),
            (
                "Predicted",
                "All times, from \(Format.grouped(windows.training)) windows for planning and "
                    + "\(Format.grouped(windows.heldOut)) others for judging, dealt out in blocks so that both halves see every "
                    + "domain."
            ),
        ]
    }

    private static let model: [(term: String, meaning: String)] = [
        (
            "Window",
            "The rows that one step checks together. It reads each expert once that any of its rows chose."
        ),
        (
            "Experts' time",
            "In each layer the sum over two phases (up and gate; down) of the slowest node's bytes ÷ bandwidth + pieces × time of "
                + "a piece; the mean over all windows."
        ),
        (
            "Barriers",
            "Two a layer where all experts lie as the dense weights do, three elsewhere."
        ),
        ("All but experts", "Bytes of dense weights that a step reads ÷ bandwidth, each node its part."),
        (
            "Perfect bound",
            "Bytes of the step's experts ÷ the bandwidth of all nodes together: nobody waits, and capacity is no limit."
        ),
        (
            "Worth of statistics",
            "Experts and barriers of the best plan without statistics ÷ those of the best plan with them, both on windows that "
                + "neither was made from."
        ),
        (
            "tok/s",
            "Tokens that the recorded windows gave a step, all its texts together, ÷ the time of a step."
        ),
    ]
}
