import CForetokenKernels
import ForetokenHardware
import ForetokenWeights
import Glibc

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

/// The best candidate of one worker's part of a row, and that part's softmax.
struct Candidate: BitwiseCopyable {
    var token: Int32
    var score: Float
    var maximum: Float
    var sum: Float
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
    let candidates: UnsafeMutablePointer<Candidate>
    /// [vocabulary], where the softmax is wanted; each worker uses its own part.
    let softmaxRoom: UnsafeMutablePointer<Float>?
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

    private func draw(_ row: Int, _ first: Int, _ count: Int) -> Candidate {
        var best = Candidate(token: -1, score: -.infinity, maximum: -.infinity, sum: 0)
        guard count > 0 else { return best }
        let values = logits.base! + row * logits.stride + first
        if rule.inverseTemperature == 0 {
            best.token = Int32(first) + kernels.pointee.argmax(values, Int32(count))
            best.score = values[Int(best.token) - first]
        } else {
            let key = foretoken_noise_key(rule.seed, UInt64(position + row))
            best.token = kernels.pointee.sample(values, Int32(first), Int32(count), rule.inverseTemperature, key)
            best.score =
                values[Int(best.token) - first] * rule.inverseTemperature + foretoken_gumbel(key, best.token)
        }
        if let softmaxRoom {
            let room = softmaxRoom + first
            room.update(from: values, count: count)
            let inverse = rule.inverseTemperature == 0 ? 1 : rule.inverseTemperature
            best.sum = kernels.pointee.exp_block(room, Int32(count), inverse, &best.maximum)
        }
        return best
    }
}

/// Runs the head phase and puts the workers' candidates together.
final class HeadRunner {
    private let decoder: Decoder
    private let candidates: ScratchBuffer<Candidate>
    private let softmaxRoom: FloatBuffer
    private let codes: ScratchBuffer<Int8>
    private let codeScales: ScratchBuffer<Float>
    let logitRows: FloatBuffer

    init(decoder: Decoder) throws {
        let configuration = decoder.configuration
        self.decoder = decoder
        candidates = try ScratchBuffer(count: decoder.pool.workerCount * Workspace.narrowRows)
        logitRows = try FloatBuffer(rows: Workspace.narrowRows, columns: configuration.vocabularySize)
        softmaxRoom = try FloatBuffer(rows: 1, columns: configuration.vocabularySize)
        let group = Int(FORETOKEN_SCALE_BLOCK)
        let groups = (configuration.hiddenSize + group - 1) / group
        codes = try ScratchBuffer(count: groups * group)
        codeScales = try ScratchBuffer(count: groups)
    }

    /// Logits of `count` rows from the exact head, and a candidate for each.
    func run(_ head: Linear, input: foretoken_rows, count: Int, rule: DrawRule, position: Int) {
        let job = ProductJob(head, input: input, output: logitRows.rows, rowCount: count)
        start(job, DraftHead(), rows: count, rule, position, wantsSoftmax: false)
    }

    /// Logits of one row from the draft head, and a candidate.
    func run(_ head: DraftHead, input: UnsafePointer<Float>, rule: DrawRule, position: Int, wantsSoftmax: Bool) {
        decoder.kernels.pointee.quantise_row(input, head.columns, codes.pointer, codeScales.pointer)
        start(nil, head, rows: 1, rule, position, wantsSoftmax: wantsSoftmax)
    }

    private func start(
        _ job: ProductJob?, _ draftHead: DraftHead, rows: Int, _ rule: DrawRule, _ position: Int, wantsSoftmax: Bool
    ) {
        decoder.pool.run(
            HeadPhase(
                kernels: decoder.kernels, head: job, draftHead: draftHead, codes: UnsafePointer(codes.pointer),
                codeScales: UnsafePointer(codeScales.pointer), logits: logitRows.rows, rowCount: rows, rule: rule,
                position: position, candidates: candidates.pointer,
                softmaxRoom: wantsSoftmax ? softmaxRoom.base : nil, scratch: decoder.space.scratch))
    }

    /// The token drawn for `row`; ties go to the lower id.
    func drawn(row: Int) -> Int32 {
        var best = candidates.pointer[row]
        for worker in 1..<max(1, decoder.pool.workerCount) {
            let other = candidates.pointer[worker * Workspace.narrowRows + row]
            let isBetter = other.score > best.score || (best.score.isNaN && !other.score.isNaN)
            if other.token >= 0 && (best.token < 0 || isBetter) { best = other }
        }
        return max(0, best.token)
    }

    /// Softmax probability of `token` in row 0, where it was asked for.
    func probability(of token: Int32, rule: DrawRule) -> Float {
        var maximum = -Float.infinity
        for worker in 0..<decoder.pool.workerCount {
            maximum = max(maximum, candidates.pointer[worker * Workspace.narrowRows].maximum)
        }
        var sum: Float = 0
        for worker in 0..<decoder.pool.workerCount {
            let part = candidates.pointer[worker * Workspace.narrowRows]
            if part.sum > 0 { sum += part.sum * exp(part.maximum - maximum) }
        }
        let inverse = rule.inverseTemperature == 0 ? 1 : rule.inverseTemperature
        return exp(logitRows.base[Int(token)] * inverse - maximum) / sum
    }
}
