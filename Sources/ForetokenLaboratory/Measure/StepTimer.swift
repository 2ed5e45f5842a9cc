import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// Times verify steps and drafts along known texts, in rounds that are cut by a schedule: every draft length in turn,
/// every number of accepted rows in turn. Rounds that are longer than modules draft leave them idle, as rounds of look-up
/// do.
final class StepTimer {
    private let sequence: TokenSequence
    private let pass: ChainPass
    private let sampler: Sampler
    private let isGreedy: Bool
    private let along: TextVerifier
    private let modules: RestingDrafts
    private let round: Round
    /// Drafts for positions before this are made right, the others wrong.
    private var wrongFrom = 0
    /// Nanoseconds by rows, by rows that modules catch up with, of later drafts, and of choosing and emitting a token.
    private var verify: [TimeSamples]
    private var firstDraft: [TimeSamples]
    private var laterDraft = TimeSamples()
    private var drawing: [Double] = []
    private var contexts = Counts()

    private static let longest = Step.windowRows - 1

    /// - Parameter draftHead: nil where modules do not draft.
    init(_ verifier: Verifier, _ draftHead: MTPHead?, _ pass: ChainPass, _ sampler: Sampler, isGreedy: Bool) {
        self.pass = pass
        sequence = pass.sequence
        self.sampler = sampler
        self.isGreedy = isGreedy
        along = TextVerifier(verifier)
        modules = RestingDrafts(draftHead.map { MTPDrafts($0, verifier) })
        round = Round(along, DraftExperience(), source: nil)
        verify = .init(repeating: TimeSamples(), count: Step.windowRows)
        firstDraft = .init(repeating: TimeSamples(), count: MTPDrafts.waitingRows)
        round.source = PlantedDrafts(modules) { [unowned self] _, position, guess in
            let token = along.text[position]
            if position < wrongFrom { return token }
            if guess >= 0 && guess != token { return guess }
            // The text, one token on: rows that follow each other as those of real drafts do.
            let next = position + 1 < along.text.count ? along.text[position + 1] : token
            return next != token ? next : token > 0 ? token - 1 : token + 1
        }
    }

    /// Rounds timed of the width that was timed least.
    var fewest: Int { verify.map(\.count).min() ?? 0 }

    /// Times rounds along one text until its end: blocks of them for each draft length in turn, and undrafted ones
    /// between them.
    ///
    /// - Parameter proceed: asked before every block.
    /// - Returns: false when `proceed` said no.
    func run(_ record: TextRecord, proceed: () -> Bool) -> Bool {
        guard pass.readPrompt(record.tokens, record.promptCount, proceed: proceed) else { return false }
        along.text = record.tokens
        var request = GenerationRequest(prompt: [])
        request.maximumTokens = record.tokens.count - record.promptCount
        let session = Session(request, on: sequence, sampler, policy(0)) { _ in .proceed }
        session.emit(record.tokens[record.promptCount])
        var isFirst = true
        var length: Int? = 0
        while let next = length, session.reason == nil {
            guard proceed() else { return false }
            block(next, session)
            length = next > 0 ? 0 : nextLength(room: record.tokens.count + 1 - sequence.count, isFirst: isFirst)
            if next == 0 { isFirst = false }
        }
        return true
    }

    /// Of a fixed length, nothing too: the modules are to be shown all rows.
    private func policy(_ length: Int) -> DraftPolicy {
        DraftPolicy(.fixed(length), limit: Self.longest, isGreedy: isGreedy)
    }

    /// The draft length timed least, of those whose block fits into `room` tokens; a text's first block may be cut short.
    private func nextLength(room: Int, isFirst: Bool) -> Int? {
        (1...Self.longest).filter { Self.tokens(ofBlock: $0) <= room || (isFirst && $0 + 1 < room) }
            .min { verify[$0].count < verify[$1].count }
    }

    private static func warmups(_ length: Int) -> Int { length == 0 ? 12 : 2 }

    private static func rounds(_ length: Int) -> Int { warmups(length) + max(6, module(length) + 1) }

    /// Rows accepted: of long rounds few, so that texts are long enough.
    private static func taken(_ round: Int, _ length: Int) -> Int {
        1 + round % (length > MTPHead.maximumDrafts ? 4 : length + 1)
    }

    /// Drafts of such a round that modules make: none where they would not reach.
    private static func module(_ length: Int) -> Int { length <= MTPHead.maximumDrafts ? length : 0 }

    /// Tokens that a block goes through, its last window included.
    private static func tokens(ofBlock length: Int) -> Int {
        (0..<rounds(length)).reduce(length + 1) { $0 + taken($1, length) }
    }

    /// Rounds of one draft length, after 1…length + 1 accepted rows in turn. The first only warm the caches, in which a
    /// small model lives: undrafted steps find them full of drafting. The very first draft is the one after idle rounds.
    private func block(_ length: Int, _ session: Session) {
        session.policy = policy(length)
        modules.rest = length > MTPHead.maximumDrafts
        let sessions = [session]
        for i in 0..<Self.rounds(length) {
            guard sequence.count + length < along.text.count else { break }
            let newest = sequence.count - 1
            let waiting = sequence.waitingRowCount
            wrongFrom = newest + Self.taken(i, length)
            let times = round.run(sessions)
            let context = Double(newest)
            let drafted = Self.module(length) > 0 && modules.exist && (1...firstDraft.count).contains(waiting)
            if drafted && (i == 0 || i >= Self.warmups(length)) {
                firstDraft[waiting - 1].add(Double(times.firstDrafts), context: context)
            }
            guard i >= Self.warmups(length) else { continue }
            verify[length].add(Double(times.verifying), context: context)
            drawing.append(Double(times.accepting) / Double(sequence.count - 1 - newest))
            contexts.add(context)
            if drafted && length > 1 {
                laterDraft.add(Double(times.laterDrafts) / Double(times.laterDraftCount), context: context)
            }
        }
    }

    /// Typical times. Widths that no text was long enough for are left out at the end; nil before anything was timed.
    func costs(bytesPerStep: Int, bandwidth: Double) -> Measurement.StepCosts? {
        let widths = verify.prefix { $0.count > 0 }
        guard !widths.isEmpty else { return nil }
        let context = contexts.hits / max(1, contexts.trials)
        let lines = widths.map { $0.line() }
        let later = laterDraft.line()
        return Measurement.StepCosts(
            verify: lines.map { max(0, $0.at(context)) }, verifyPerPosition: lines.map(\.slope),
            firstDraft: Self.completed(firstDraft.map { $0.count > 0 ? $0.median : nil }),
            laterDraft: laterDraft.count > 0 ? max(0, later.at(context)) : 0,
            draftPerPosition: laterDraft.count > 0 ? later.slope : 0, drawing: median(drawing),
            meanContext: Int(context), bytesPerStep: Double(bytesPerStep), bandwidth: bandwidth)
    }

    /// Times of single steps over what is typical for their rows and context: how times scatter here.
    func scatter() -> [Double] { verify.flatMap { $0.count > 0 ? $0.scatter() : [] } }

    /// Numbers of rows that never came up cost what lies between their neighbours; at the ends, what the nearest one does.
    private static func completed(_ known: [Double?]) -> [Double] {
        let places = known.indices.filter { known[$0] != nil }
        guard let first = places.first, let last = places.last else { return [] }
        return known.indices.map { index in
            if let value = known[index] { return value }
            let below = places.last { $0 < index } ?? first
            let above = places.first { $0 > index } ?? last
            let (low, high) = (known[below]!, known[above]!)
            guard above > below else { return low }
            return low + (high - low) * Double(index - below) / Double(above - below)
        }
    }
}

/// Times at contexts of different lengths.
package struct TimeSamples {
    private var samples: [(context: Double, time: Double)] = []

    /// A time that grows with the context.
    package struct Line {
        package let start: Double
        package let slope: Double

        package func at(_ context: Double) -> Double { start + slope * context }
    }

    package init() {}

    package var count: Int { samples.count }

    var median: Double { ForetokenLaboratory.median(samples.map(\.time)) }

    package mutating func add(_ time: Double, context: Double) { samples.append((context, time)) }

    /// The median slope between samples that are far enough apart (Theil and Sen), at least 0, and the median of what is
    /// left: disturbed samples move neither. Nearby contexts tell of no slope.
    package func line() -> Line {
        // Of many samples every so many: the pairs are what takes time.
        let some = stride(from: 0, to: samples.count, by: 1 + samples.count / Self.most).map { samples[$0] }
        var slopes: [Double] = []
        for i in some.indices {
            for j in some.indices[..<i] {
                let distance = some[i].context - some[j].context
                if abs(distance) >= Self.farApart { slopes.append((some[i].time - some[j].time) / distance) }
            }
        }
        let slope = slopes.count < Self.fewestPairs ? 0 : max(0, ForetokenLaboratory.median(slopes))
        return Line(start: ForetokenLaboratory.median(samples.map { $0.time - slope * $0.context }), slope: slope)
    }

    /// The samples over what the line says of them.
    func scatter() -> [Double] {
        let line = line()
        return samples.map { $0.time / line.at($0.context) }.filter { $0.isFinite && $0 > 0 }
    }

    private static let most = 150
    private static let farApart = 128.0
    private static let fewestPairs = 20
}

/// The modules' drafts; while they rest, or where there are none, drafts that mean nothing and take no time.
private final class RestingDrafts: DraftSource {
    var rest = false
    private let modules: MTPDrafts?

    init(_ modules: MTPDrafts?) { self.modules = modules }

    var exist: Bool { modules != nil }

    private var working: MTPDrafts? { rest ? nil : modules }

    func begin(_ sessions: [Session]) { working?.begin(sessions) }

    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        if let working { return working.propose(sessions, made: made, into: &drafts) }
        for _ in sessions { drafts.append(Draft(token: -1, lead: 0)) }
    }

    func extend(_ sessions: [Session]) { working?.extend(sessions) }

    func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        modules?.take(session, row: row, count: count, firstPosition: firstPosition)
    }
}
