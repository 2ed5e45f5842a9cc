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

    /// The better of both, this one on ties.
    func merged(with other: Choice) -> Choice {
        guard other.token >= 0 else { return self }
        let isBetter = token < 0 || other.score > score || (score.isNaN && !other.score.isNaN)
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

/// Output-head logits of a few rows, and the drawing from them while they are still in the worker's cache. Panels are
/// divided over the workers.
struct HeadPhase: Phase {
    let kernels: KernelTable
    /// The exact head; nil for the draft head.
    let head: ProductJob?
    let draftHead: DraftHead
    let codes: UnsafePointer<Int8>?
    let codeScales: UnsafePointer<Float>?
    let logits: foretoken_rows
    let rowCount: Int
    let rule: DrawRule
    /// Output position of row 0's token.
    let position: Int
    /// [workers][narrow rows]
    let candidates: UnsafeMutablePointer<Choice>
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { $0.phase(HeadPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let all = head?.matrix.pointee.panelCount ?? draftHead.panelCount
        let panels = all * worker / workers..<all * (worker + 1) / workers
        if let head {
            PanelProduct(kernels: kernels, scratch: scratch.wide(worker)).run(head, panels: panels)
        } else {
            var draftHead = draftHead
            kernels.pointee.draft_logits(
                &draftHead, Int32(panels.lowerBound), Int32(panels.count), codes, codeScales, logits.base)
        }
        let first = min(panels.lowerBound * lanes, rule.limit)
        let count = min(panels.upperBound * lanes, rule.limit) - first
        for row in 0..<rowCount {
            candidates[worker * Workspace.narrowRows + row] = draw(row, first, count)
        }
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

    /// Logits of `count` rows from the exact head, and a candidate for each.
    func run(_ head: Linear, input: foretoken_rows, count: Int, rule: DrawRule, position: Int) {
        let job = ProductJob(head, input: input, output: logitRows.rows, rowCount: count)
        start(job, DraftHead(), rows: count, rule, position)
    }

    /// Logits of one row from the draft head, and a candidate.
    func run(_ head: DraftHead, input: UnsafePointer<Float>, rule: DrawRule, position: Int) {
        decoder.kernels.pointee.quantise_row(input, head.columns, codes.pointer, codeScales.pointer)
        start(nil, head, rows: 1, rule, position)
    }

    private func start(
        _ job: ProductJob?, _ draftHead: DraftHead, rows: Int, _ rule: DrawRule, _ position: Int
    ) {
        decoder.pool.run(
            HeadPhase(
                kernels: decoder.kernels, head: job, draftHead: draftHead, codes: UnsafePointer(codes.pointer),
                codeScales: UnsafePointer(codeScales.pointer), logits: logitRows.rows, rowCount: rows, rule: rule,
                position: position, candidates: candidates.pointer, scratch: decoder.space.scratch))
    }

    /// What was drawn for `row`; ties go to the lower id.
    func drawn(row: Int) -> Choice {
        var best = candidates.pointer[row]
        for worker in 1..<max(1, decoder.pool.workerCount) {
            best = best.merged(with: candidates.pointer[worker * Workspace.narrowRows + row])
        }
        best.token = max(0, best.token)
        return best
    }
}
