import ForetokenModel
import ForetokenSpeculation

/// Rounds of a draft mode along recorded texts, on a table of costs: what a generator would do, and how long it would take.
package final class PolicyReplay {
    /// Drafts and tokens of all texts so far.
    package private(set) var telemetry = Telemetry()
    /// By draft position: drafts behind right ones only that met a verdict.
    private(set) var tried = [Int](repeating: 0, count: Step.windowRows - 1)
    /// Nanoseconds so far, and those of them that making drafts took.
    package var elapsed: Double { recording.elapsed }
    var drafting: Double { recording.drafting }

    private let mode: DraftMode
    private let isGreedy: Bool
    private let usesModules: Bool
    private let looksUp: Bool
    private let seed: UInt64
    /// What drafting has learnt, from all texts.
    package let experience = DraftExperience()
    private let recording: Recording
    private let round: Round

    /// - Parameters:
    ///   - usesModules: whether the recorded drafts of modules are used.
    ///   - looksUp: whether drafts are looked up in the text as well.
    ///   - seed: of the noise that tokens were drawn with.
    ///   - attention: nanoseconds that each row of a step takes for each token before it, beside the table's.
    ///   - vary: nanoseconds a step or draft takes this time, given what it takes on average.
    package init(
        _ mode: DraftMode, _ costs: Measurement.StepCosts, isGreedy: Bool, usesModules: Bool = true,
        looksUp: Bool = false, seed: UInt64 = 0, attention: Double = 0, vary: @escaping (Double) -> Double = { $0 }
    ) {
        self.usesModules = usesModules
        self.looksUp = looksUp
        self.seed = seed
        self.mode = mode
        self.isGreedy = isGreedy
        recording = Recording(costs, attention: attention, vary)
        round = Round(recording, experience, source: JoinedDrafts(recording))
    }

    /// Goes along a generated text from its prompt's end to its last token.
    /// - Throws: `HardwareError` without memory for its tokens.
    package func run(_ record: TextRecord) throws {
        guard record.promptCount < record.tokens.count else { return }
        let sequence = try TokenSequence(capacity: max(record.tokens.count, record.limit))
        sequence.append(Array(record.tokens[..<record.promptCount]))
        sequence.jump(to: record.promptCount)
        var request = GenerationRequest(prompt: [])
        request.maximumTokens = record.limit - record.promptCount
        var sampling = SamplingOptions()
        sampling.seed = seed
        let session = Session(
            request, on: sequence, Sampler(sampling, limit: 1, instructionSet: "generic"),
            DraftPolicy(
                mode, limit: usesModules ? min(record.depth, recording.mostDrafts) : 0,
                lookup: looksUp ? min(Step.windowRows - 1, recording.mostDrafts) : 0, isGreedy: isGreedy, experience),
            lookup: looksUp ? TextLookup(sequence.tokens, capacity: sequence.capacity + 1) : nil,
            observe: { _ in sequence.count < record.tokens.count ? .proceed : .stop })
        recording.begin(record)
        session.emit(record.tokens[record.promptCount])
        let sessions = [session]
        while session.reason == nil {
            let newest = sequence.count - 1
            round.run(sessions)
            for d in 0..<min(session.drafted, sequence.count - 1 - newest) { tried[d] += 1 }
        }
        telemetry.add(session.telemetry)
    }
}

extension Measurement.StepCosts {
    /// Nothing takes any time: for replays that only count.
    static let none = Measurement.StepCosts(
        verify: .init(repeating: 0, count: Step.windowRows), verifyPerPosition: [], firstDraft: [0], laterDraft: 0,
        draftPerPosition: 0, drawing: 0, meanContext: 0, bytesPerStep: 0, bandwidth: 0)
}

/// A recorded text, and costs, in place of a model: the time that steps and drafts would take is counted.
private final class Recording: RoundVerifier, DraftSource {
    private(set) var elapsed = 0.0
    private(set) var drafting = 0.0
    private let costs: Measurement.StepCosts
    private let attention: Double
    private let vary: (Double) -> Double
    private var record: TextRecord?
    /// Rows that the modules have not seen.
    private var waiting = 1

    init(_ costs: Measurement.StepCosts, attention: Double, _ vary: @escaping (Double) -> Double) {
        self.costs = costs
        self.attention = attention
        self.vary = vary
    }

    /// Most drafts whose costs are known.
    var mostDrafts: Int { costs.verify.count - 1 }

    func begin(_ record: TextRecord) {
        self.record = record
        waiting = 1
    }

    @discardableResult
    private func take(_ time: Double) -> Double {
        let taken = Double(Int64(vary(max(0, time))))
        elapsed += taken
        return taken
    }

    // MARK: Verifier

    var now: Int64 { Int64(elapsed) }

    func verify(_ step: borrowing Step, of sessions: [Session]) {
        var (context, read) = (0, 0)
        for span in step.spans {
            span.sequence.jump(to: span.position + span.count)
            context = max(context, span.position)
            read += span.count * span.position
        }
        take(costs.step(rows: step.rowCount, context: Double(context)) + Double(read) * attention)
    }

    func token(for session: Session, row: Int) -> Int32? {
        elapsed += costs.drawing
        return record?.tokens[session.sequence.count]
    }

    func ended(_ session: Session, accepted: Int) {}

    // MARK: Drafts

    func begin(_ sessions: [Session]) {}

    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        guard let record else { return }
        let more = costs.draftSurplus(context: Double(sessions.first?.sequence.count ?? 0))
        if made == 0 {
            let rows = max(1, min(waiting, costs.firstDraft.count))
            drafting += take((costs.firstDraft.isEmpty ? 0 : costs.firstDraft[rows - 1]) + more)
            waiting = 0
        } else {
            drafting += take(costs.laterDraft + more)
        }
        for session in sessions {
            let chain = record.chains[session.sequence.count - 1 - record.promptCount]
            drafts.append(Draft(token: chain.drafts[made], lead: chain.leads[made]))
        }
    }

    func extend(_ sessions: [Session]) {}

    func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        waiting += count
        if waiting > MTPDrafts.waitingRows { waiting = MTPDrafts.waitingRows / 2 }
    }
}
