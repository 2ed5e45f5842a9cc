import ForetokenModel
import ForetokenSpeculation

/// Other texts that are served beside a subject: they were there before, join while it is read and generated, leave, are
/// given up, and have settings of their own.
struct ProofCompany: Hashable {
    /// Texts beside the subject.
    let others: Int
    /// Most texts at once, the subject among them.
    let parallel: Int
    /// Share of time that a prompt is read in; the smaller, the more windows run between its phases.
    let chunkShare: Double

    /// The companies of a proof; the last is the largest.
    static func all(isQuick: Bool) -> [ProofCompany] {
        isQuick
            ? [ProofCompany(others: 7, parallel: 8, chunkShare: 0.05)]
            : [
                ProofCompany(others: 1, parallel: 2, chunkShare: 0.5),
                ProofCompany(others: 3, parallel: 4, chunkShare: 0.05),
                ProofCompany(others: 7, parallel: 3, chunkShare: 0.05),
                ProofCompany(others: 15, parallel: 16, chunkShare: 0.5),
                ProofCompany(others: 20, parallel: 21, chunkShare: 0.05),
            ]
    }

    var name: String {
        let queue = parallel <= others ? ", \(parallel) at a time" : ""
        return "beside \(others) other text\(others == 1 ? "" : "s")\(queue)"
    }

    /// One of the others.
    struct Visit {
        var request: GenerationRequest
        /// Given up after so many tokens; nil lets it end.
        let cancelAfter: Int?
        /// Comes with that token of the subject; 0 is there before it.
        let arrival: Int
    }

    /// The others, made from the proof's prompts: short ones and one as long as the longest.
    func visits(_ settings: ProofSettings, hasModules: Bool) -> [Visit] {
        let samplings = ProofSampling.all(seed: settings.seed &+ 1)
        let texts = settings.prompts.map(\.tokens)
        let longest = texts.max { $0.count < $1.count } ?? []
        let drafts: [DraftMode] = hasModules ? [.auto, .fixed(3), .off, .fixed(8)] : [.off]
        return (0..<others).map { i in
            let text = texts[i % texts.count]
            let length = i == 2 ? longest.count : min(text.count, 1 + i * 7 % 23)
            var request = GenerationRequest(prompt: Array((i == 2 ? longest : text).prefix(length)))
            request.maximumTokens = 1 + (settings.maximumTokens * (i % 4 + 1) / 3)
            request.sampling = samplings[i % samplings.count].options
            request.draft = drafts[i % drafts.count]
            request.maximumTokens = min(request.maximumTokens, settings.positions - length)
            return Visit(
                request: request, cancelAfter: i % 5 == 3 ? 2 : nil, arrival: i < (others + 1) / 2 ? 0 : 1 + i % 7)
        }
    }
}

extension GenerationRequest {
    /// Positions that its text may come to in a proof.
    fileprivate func positions(_ settings: ProofSettings) -> Int {
        min(prompt.count + maximumTokens, settings.positions)
    }
}

extension ProofSettings {
    /// Tokens of the texts that there are pages for at once: those of the largest company, and two texts that stay while
    /// widths are tried.
    public var texts: [Int] {
        let company = ProofCompany.all(isQuick: isQuick).last?.visits(self, hasModules: true) ?? []
        return [positions, positions] + company.map { $0.request.positions(self) }
    }
}

extension ProofEngine {
    /// Serves a request beside others.
    ///
    /// - Parameters:
    ///   - goesOn: asked at every event; ends everything by returning false.
    ///   - observe: sees the request's own tokens.
    func serve(
        _ request: GenerationRequest, _ company: ProofCompany, _ settings: ProofSettings, cacheType: CacheType,
        trace: StepTrace, goesOn: @escaping () -> Bool, observe: @escaping (Int32) -> Void
    ) throws -> Engine.Outcome {
        let visits = company.visits(settings, hasModules: model.draftHead != nil)
        var engineSettings = Engine.Settings(context: settings.positions)
        engineSettings.parallel = company.parallel
        engineSettings.cacheType = cacheType
        engineSettings.drawable = settings.drawable
        engineSettings.chunkShare = company.chunkShare
        let sizes = (visits.map(\.request) + [request]).map {
            LatentPool.pages(forPositions: $0.positions(settings))
        }
        // Where not all can be there at once, pages are too few for it as well.
        engineSettings.pages = sizes.sorted(by: >).prefix(company.parallel).reduce(0, +)
        let engine = try Engine(model, engineSettings)
        let first = visits.filter { $0.arrival == 0 }
        for visit in first { try submit(visit, to: engine, goesOn) }
        engine.observer = OneTextTrace(trace, number: first.count)
        var outcome: Engine.Outcome?
        var tokens = 0
        var failure: (any Error)?
        try engine.submit(
            request,
            observe: { event in
                guard case .token(let token) = event else { return goesOn() ? .proceed : .cancel }
                tokens += 1
                observe(token)
                do {
                    for visit in visits where visit.arrival == tokens { try self.submit(visit, to: engine, goesOn) }
                } catch { failure = error }
                return goesOn() ? .proceed : .cancel
            }, completion: { outcome = $0 })
        try engine.run()
        if let failure { throw failure }
        guard let outcome else { preconditionFailure("an engine that has run has served its requests") }
        return outcome
    }

    private func submit(_ visit: ProofCompany.Visit, to engine: Engine, _ goesOn: @escaping () -> Bool) throws {
        var tokens = 0
        try engine.submit(
            visit.request,
            observe: { event in
                if case .token = event { tokens += 1 }
                return tokens == visit.cancelAfter || !goesOn() ? .cancel : .proceed
            }, completion: { _ in })
    }
}
