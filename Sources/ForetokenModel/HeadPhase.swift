import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// How tokens are drawn from whole rows of logits: argmax(logit / T + noise), or the largest logit. Filters that need an
/// order over all tokens do not fit it.
public struct DrawRule: Sendable, BitwiseCopyable {
    /// 1 / temperature; 0 draws greedily.
    public let inverseTemperature: Float
    /// Ids from here on are never drawn.
    public let limit: Int
    /// Decides the noise together with the position.
    public let seed: UInt64

    /// The largest of the first `limit` logits.
    static func greedy(limit: Int) -> DrawRule { DrawRule(inverseTemperature: 0, limit: limit, seed: 0) }

    /// A rule; see the fields.
    public init(inverseTemperature: Float, limit: Int, seed: UInt64) {
        self.inverseTemperature = inverseTemperature
        self.limit = limit
        self.seed = seed
    }
}

/// A token chosen from a row of scores: logits, or scaled logits with noise.
public struct Choice: Sendable, BitwiseCopyable {
    /// The best token; the lower id on ties.
    public var token: Int32
    /// Its score.
    public var score: Float
    /// The second best score; -infinity where there is none.
    public var runnerUp: Float

    /// A choice; see the fields.
    public init(token: Int32, score: Float, runnerUp: Float) {
        self.token = token
        self.score = score
        self.runnerUp = runnerUp
    }

    /// By how much the best score surpasses the second best; 0 or more, NaN when no score was a number.
    public var lead: Float { score - runnerUp }

    /// No token at all.
    static let none = Choice(token: -1, score: -.infinity, runnerUp: -.infinity)

    /// The better of both, the lower id on ties.
    func merged(with other: Choice) -> Choice {
        guard other.token >= 0 else { return self }
        let isTie = other.score == score && other.token < token
        let isBetter = token < 0 || other.score > score || isTie || (score.isNaN && !other.score.isNaN)
        let (best, loser) = isBetter ? (other, self) : (self, other)
        var result = best
        if loser.score > result.runnerUp { result.runnerUp = loser.score }
        return result
    }
}

extension Choice {
    /// What a kernel chose; its indices are token ids from `first` on.
    public init(_ choice: foretoken_choice, first: Int = 0) {
        self.init(token: Int32(first) + choice.index, score: choice.score, runnerUp: choice.runner_up)
    }
}

/// Output-head logits of a few rows, and the drawing from them while they are still in the worker's cache. Each group
/// makes the panels on its node, divided over its workers.
struct HeadPhase: Phase {
    /// Whose logits are made.
    enum Head {
        case exact(ProductJob)
        /// The draft head, from one quantised row.
        case draft(CutDraftHead, codes: UnsafePointer<Int8>, scales: UnsafePointer<Float>)
    }

    let kernels: KernelTable
    let head: Head
    let logits: foretoken_rows
    let rowCount: Int
    let rule: DrawRule
    /// Output position of row 0's token.
    let position: Int
    /// [workers][narrow rows]
    let candidates: UnsafeMutablePointer<Choice>
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(HeadPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        let mine = candidates + worker * Workspace.narrowRows
        mine.update(repeating: .none, count: rowCount)
        let seat = scratch.seats[worker]
        switch head {
        case .exact(let job):
            let linear = job.linear
            let product = PanelProduct(kernels: kernels, scratch: scratch.wide(worker))
            for i in 0..<linear.partCount where seat.serves(Int(linear.parts[i].group)) {
                let share = seat.share(of: linear.parts[i].matrix.panelCount)
                let first = Int(linear.parts[i].firstPanel)
                let panels = first + share.lowerBound..<first + share.upperBound
                product.run(job, panels: panels)
                draw(panels, into: mine)
            }
        case .draft(let cut, let codes, let scales):
            for i in 0..<cut.partCount where seat.serves(Int(cut.parts[i].group)) {
                var part = cut.parts[i].head
                let share = seat.share(of: part.panelCount)
                let first = Int(cut.parts[i].firstPanel)
                kernels.pointee.draft_logits(
                    &part, Int32(share.lowerBound), Int32(share.count), codes, scales,
                    logits.base! + first * Int(FORETOKEN_PANEL_ROWS))
                draw(first + share.lowerBound..<first + share.upperBound, into: mine)
            }
        }
    }

    private func draw(_ panels: Range<Int>, into candidates: UnsafeMutablePointer<Choice>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let first = min(panels.lowerBound * lanes, rule.limit)
        let count = min(panels.upperBound * lanes, rule.limit) - first
        for row in 0..<rowCount { candidates[row] = candidates[row].merged(with: draw(row, first, count)) }
    }

    private func draw(_ row: Int, _ first: Int, _ count: Int) -> Choice {
        guard count > 0 else { return .none }
        let values = logits.base! + row * logits.stride + first
        if rule.inverseTemperature == 0 {
            return Choice(kernels.pointee.argmax(values, Int32(count)), first: first)
        }
        let key = foretoken_noise_key(rule.seed, UInt64(position + row))
        return Choice(
            kernels.pointee.sample(values, Int32(first), Int32(count), rule.inverseTemperature, key))
    }
}

/// Runs the head phase and puts the workers' candidates together.
final class HeadRunner {
    private let decoder: Decoder
    private let candidates: ScratchBuffer<Choice>
    private let codes: ScratchBuffer<Int8>
    private let codeScales: ScratchBuffer<Float>
    let logitRows: FloatBuffer

    init(decoder: Decoder) throws {
        let configuration = decoder.configuration
        self.decoder = decoder
        candidates = try ScratchBuffer(count: decoder.pool.workerCount * Workspace.narrowRows)
        logitRows = try FloatBuffer(rows: Workspace.narrowRows, columns: configuration.vocabularySize)
        let group = Int(FORETOKEN_SCALE_BLOCK)
        let groups = (configuration.hiddenSize + group - 1) / group
        codes = try ScratchBuffer(count: groups * group)
        codeScales = try ScratchBuffer(count: groups)
    }

    /// Logits of `count` rows from the exact head, and a candidate for each: greedy ones without a rule.
    func run(_ head: Linear, input: foretoken_rows, count: Int, rule: DrawRule?, position: Int) {
        let job = ProductJob(head, input: input, output: logitRows.rows, rowCount: count)
        start(.exact(job), rows: count, rule, position)
    }

    /// Logits of one row from the draft head, and a candidate.
    func run(_ head: CutDraftHead, input: UnsafePointer<Float>, rule: DrawRule?, position: Int) {
        decoder.kernels.pointee.quantise_row(input, Int32(head.columns), codes.pointer, codeScales.pointer)
        let quantised = HeadPhase.Head.draft(
            head, codes: UnsafePointer(codes.pointer), scales: UnsafePointer(codeScales.pointer))
        start(quantised, rows: 1, rule, position)
    }

    private func start(_ head: HeadPhase.Head, rows: Int, _ rule: DrawRule?, _ position: Int) {
        decoder.pool.run(
            HeadPhase(
                kernels: decoder.kernels, head: head, logits: logitRows.rows, rowCount: rows,
                rule: rule ?? .greedy(limit: decoder.configuration.vocabularySize), position: position,
                candidates: candidates.pointer, scratch: decoder.space.scratch))
    }

    /// What was drawn for `row`; ties go to the lower id.
    func drawn(row: Int) -> Choice {
        var best = candidates.pointer[row]
        for worker in 1..<max(1, decoder.pool.workerCount) {
            best = best.merged(with: candidates.pointer[worker * Workspace.narrowRows + row])
        }
        precondition(best.token >= 0, "no row is drawn from without a worker that made some of its logits")
        return best
    }
}
