import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

extension OpenModel {
    /// The model that the flags name; what there is to tell goes to the console.
    /// - Parameter checkpoint: nil for the one that the flags name.
    init(_ flags: ModelOptions, checkpoint: Checkpoint? = nil) throws {
        try self.init(flags.settings(), checkpoint: checkpoint, tell: Console.tell)
    }

    /// Reads all weights for one text, or for `copies` texts of one length.
    func load(context: Int, copies: Int = 1, format: ResidentFormat? = nil, crew: Crew? = nil) throws -> Model {
        try load(contexts: .init(repeating: context, count: copies), format: format, crew: crew)
    }

    /// Reads all weights and shows how far that is; Ctrl-C ends the program.
    /// - Parameters:
    ///   - contexts: tokens of the texts that will be there at once.
    ///   - besides: bytes that the caller will need for other things.
    ///   - format: how large matrices are kept; nil for what the flags say.
    ///   - crew: workers made before; nil makes them.
    func load(
        contexts: [Int], besides: Int = 0, format: ResidentFormat? = nil, crew: Crew? = nil
    ) throws -> Model {
        let session = HostSession.current
        let crew = try crew ?? Crew.make(threads: settings.threads, sharers: HostSession.sharers)
        let hosts = session.map { SharedModel($0) }
        try Interrupts.install()
        let total = byteCount
        let bar = ProgressBar("loading", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        let model = try load(contexts: contexts, besides: besides, format: format, on: crew, hosts: hosts) { fraction in
            // There is nothing yet that would need to be saved or reported.
            if Interrupts.requested && hosts == nil {
                bar.clear()
                HeldTerminal.release()
                _exit(Status.interrupted)
            }
            bar.update(fraction) { seconds in
                let done = fraction * Double(total)
                return
                    "\(Format.bytes(Int(done))) of \(Format.bytes(total))  \(Format.fixed(done / seconds / 1e9, 1)) GB/s"
            }
        }
        bar.clear()
        return model
    }

    /// A measurer for texts of that size.
    func makeMeasurer(_ model: Model, plan: MeasuringPlan, context: Int) throws -> Measurer {
        try Measurer(
            model: model, plan: plan, context: context, cacheType: settings.cacheType,
            drawable: tokenizer?.vocabularyCount)
    }

    /// A scorer with windows of that size.
    func makeScorer(_ model: Model, context: Int) -> Scorer {
        Scorer(model: model, context: context, cacheType: settings.cacheType)
    }
}

extension AnswerSettings {
    /// What the flags say.
    init(_ open: OpenModel, _ length: LengthFlags, _ sampling: SamplingFlags, _ draft: DraftFlags) throws {
        self.init(endTokens: (length.ignoreEos ? [] : open.endTokens) + (try open.stopTokens(length.stopToken)))
        maximumTokens = length.maxTokens
        self.sampling = try sampling.options(for: open)
        self.draft = draft.draft
        sources = draft.draftSource
        stopStrings = length.stop
        try open.check(self)
    }
}

extension DraftMemory {
    /// What earlier runs learnt of drafting, and is to be kept for later ones; nil where the flags leave that out, and
    /// where there is no place for it.
    static func standard(
        _ open: OpenModel, _ model: Model, _ experience: DraftExperience, _ draft: DraftFlags, _ fresh: FreshOddsFlag
    ) throws -> DraftMemory? {
        guard draft.draft == .auto, !fresh.freshOdds, let folder = CacheFolder.standard else { return nil }
        return try DraftMemory(open, model, experience, in: folder)
    }
}

extension DraftMemory? {
    /// Does what drafting learns from.
    func during<Result>(_ work: () throws -> Result) rethrows -> Result {
        guard let self else { return try work() }
        return try self.during(work)
    }
}

extension Crew {
    /// The workers on this machine, by what was measured of it.
    /// - Parameters:
    ///   - warns: whether to say what is not as it should be.
    ///   - sharers: processes that share the machine.
    static func make(threads: Int?, sharers: Int = 1, warns: Bool = true) throws -> Crew {
        try make(
            threads: threads, sharers: sharers, bandwidth: BandwidthCache.measured,
            tell: warns ? Console.tell : { _ in })
    }
}

extension MachineDescription {
    /// This machine, by what was measured on it or by what its firmware says; warnings are printed.
    static func here(costs: Costs = .init()) throws -> MachineDescription {
        var findings = Findings()
        let topology = Topology.read(findings: &findings)
        let description = here(
            topology, try .probe(), bandwidth: BandwidthCache.measured(topology), costs: costs, findings: &findings)
        findings.warnings.forEach(Console.warning)
        return description
    }
}
