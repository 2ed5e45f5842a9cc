import ArgumentParser
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenText
import ForetokenWeights

/// Whether the experts of every row are recorded.
struct RoutingFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Appends every row's experts, with text and step, to a routing trace of this model, for foretoken place.",
            valueName: "f"))
    var recordRouting: String?

    /// Finds out early that nothing could be recorded there.
    /// - Throws: as `OutputFile.check` does.
    func check() throws {
        if let recordRouting { try OutputFile.check(recordRouting, appending: true) }
    }

    /// Does work whose rows are recorded; however it ends, what was recorded is on the disk afterwards.
    ///
    /// - Parameters:
    ///   - domain: label of the only text; nil when the work names its texts.
    ///   - work: is given what is to look on; nil when nothing is to be recorded.
    /// - Throws: what `work` throws, or why the file cannot be used.
    func record(_ open: OpenModel, domain: String? = nil, _ work: (RoutingRecorder?) throws -> Void) throws {
        guard let recordRouting else { return try work(nil) }
        if HostSession.current != nil, open.settings.division != .rows {
            throw UsageError("--record-routing sees all layers on several hosts only with --division rows")
        }
        let file = try RoutingFile(recordRouting, open.routingHeader())
        let recorder = RoutingRecorder(
            file.header, domains: file.domains, textCount: file.textCount, sink: file)
        let outcome = Result {
            if let domain { try recorder.begin(domain: domain) }
            try work(recorder)
        }
        recorder.finish()
        let ending = Result { try file.finish(isEmpty: recorder.windowCount == 0) }
        if case .success = ending, recorder.windowCount > 0 {
            let shared =
                recorder.stepCount < recorder.windowCount ? ", which share \(count(recorder.stepCount, "step"))" : ""
            Console.note(
                "\(recordRouting) has \(count(recorder.rowCount, "row")) in \(count(recorder.windowCount, "window")) "
                    + "more\(shared)")
        }
        // What ended the work is what the user should read of first.
        try outcome.get()
        try ending.get()
    }
}

/// The same for texts whose kind the command line names.
struct LabelledRoutingFlags: ParsableArguments {
    @OptionGroup var routing: RoutingFlags

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What kind of text --record-routing records, such as code.", valueName: "label"))
    var domain: String?

    func validate() throws {
        guard let domain else { return }
        if routing.recordRouting == nil { throw ValidationError("--domain is for --record-routing") }
        do {
            try RoutingTrace.check(domain: domain)
        } catch {
            throw ValidationError("--domain: \(error)")
        }
    }

    /// The label of texts that bring none.
    var label: String { domain ?? RoutingTrace.unlabelled }
}

extension OpenModel {
    /// What a trace of this model's routing is about.
    /// - Throws: `PlacementError` for a model without routed experts.
    func routingHeader() throws -> RoutingTraceHeader {
        try RoutingTraceHeader(
            model: checkpoint.routingFingerprint(layout),
            layers: (0..<configuration.layerCount).filter { configuration.isMoE(layer: $0) },
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken)
    }
}
