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

/// How one row's token is drawn.
public struct Draw: Sendable, BitwiseCopyable {
    /// From what.
    public let rule: DrawRule
    /// Output position of the token, which decides the noise.
    public let position: Int

    /// A draw; see the fields.
    public init(_ rule: DrawRule, position: Int) {
        self.rule = rule
        self.position = position
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

/// Logits of lm_head for a few rows, and the drawing from them while they are still in the worker's cache. Each team
/// makes the panels on its node, divided over its workers.
struct LMHeadPhase: Phase {
    /// Whose logits are made.
    enum LMHead {
        case exact(ProductJob)
        /// Listed rows of the coarse lm_head, from quantised rows; by row what is listed.
        case coarse(CutCoarseLMHead, QuantisedRows, UnsafePointer<ListedRows>)
    }

    let kernels: KernelTable
    let lmHead: LMHead
    let logits: foretoken_rows
    let rowCount: Int
    /// Logits of a row.
    let vocabulary: Int
    /// By row.
    let draws: UnsafePointer<Draw>
    /// [workers][window rows]
    let candidates: UnsafeMutablePointer<Choice>
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(LMHeadPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        let mine = candidates + worker * Workspace.windowRows
        mine.update(repeating: .none, count: rowCount)
        let seat = scratch.seats[worker]
        switch lmHead {
        case .exact(let job):
            let linear = job.linear
            let product = PanelProduct(kernels: kernels, scratch: scratch.wide(worker))
            for i in 0..<linear.partCount where seat.serves(Int(linear.parts[i].team)) {
                let share = seat.share(of: linear.parts[i].matrix.panelCount)
                let first = Int(linear.parts[i].firstPanel)
                let panels = first + share.lowerBound..<first + share.upperBound
                product.run(job, panels: panels)
                for row in 0..<rowCount { draw(row, panels, into: mine) }
            }
        case .coarse(let cut, let rows, let listed):
            for i in 0..<cut.partCount where seat.serves(Int(cut.parts[i].team)) {
                let part = cut.parts[i]
                let share = seat.share(of: part.lmHead.panelCount)
                draft(part, share, rows, listed, into: mine)
                for row in 0..<rowCount where !part.isFrequent && !listed[row].isWhole {
                    fill(row, Int(part.firstPanel) + share.lowerBound..<Int(part.firstPanel) + share.upperBound, listed)
                    draftRare(row, part, seat.share(of: listed[row].rare.count), rows, listed, into: mine)
                }
            }
        }
    }

    /// Panels of the coarse lm_head that stay in a worker's cache while all rows pass over them.
    private static let panelsTogether = 4

    /// Whole panels of a part.
    private func draft(
        _ part: CoarseLMHeadPart, _ share: Range<Int>, _ rows: QuantisedRows, _ listed: UnsafePointer<ListedRows>,
        into candidates: UnsafeMutablePointer<Choice>
    ) {
        var lmHead = part.lmHead
        let (first, lanes) = (Int(part.firstPanel), Int(FORETOKEN_PANEL_ROWS))
        let together = rowCount == 1 ? max(1, share.count) : Self.panelsTogether
        for start in stride(from: share.lowerBound, to: share.upperBound, by: together) {
            let panels = start..<min(start + together, share.upperBound)
            for row in 0..<rowCount where part.isFrequent || listed[row].isWhole {
                let tokens = panels.lowerBound * lanes..<min(panels.upperBound * lanes, Int(lmHead.rows))
                kernels.pointee.draft_logits(
                    &lmHead, Int32(tokens.lowerBound), Int32(tokens.count), rows.codes(row), rows.scales(row),
                    values(row) + first * lanes)
                draw(row, first + panels.lowerBound..<first + panels.upperBound, into: candidates)
            }
        }
    }

    /// Logits of the tokens of some panels that are not listed.
    private func fill(_ row: Int, _ panels: Range<Int>, _ listed: UnsafePointer<ListedRows>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        for panel in panels {
            let values = self.values(row) + panel * lanes
            let bits = listed[row].panels[panel]
            let count = min(lanes, vocabulary - panel * lanes)
            if bits == 0 {
                values.update(repeating: -.infinity, count: count)
            } else {
                // Other workers write those that are listed.
                for lane in 0..<count where bits >> UInt32(lane) & 1 == 0 { values[lane] = -.infinity }
            }
        }
    }

    /// Those of a share of the listed tokens beside the frequent ones that lie in a part.
    private func draftRare(
        _ row: Int, _ part: CoarseLMHeadPart, _ share: Range<Int>, _ rows: QuantisedRows,
        _ listed: UnsafePointer<ListedRows>, into candidates: UnsafeMutablePointer<Choice>
    ) {
        var lmHead = part.lmHead
        let first = part.firstPanel * FORETOKEN_PANEL_ROWS
        for i in share {
            let token = listed[row].rare[i]
            guard token >= first && token < first + lmHead.rows else { continue }
            kernels.pointee.draft_logits(
                &lmHead, token - first, 1, rows.codes(row), rows.scales(row), values(row) + Int(first))
            draw(row, tokens: Int(token)..<Int(token) + 1, into: candidates)
        }
    }

    private func values(_ row: Int) -> UnsafeMutablePointer<Float> { logits.base! + row * logits.stride }

    private func draw(_ row: Int, _ panels: Range<Int>, into candidates: UnsafeMutablePointer<Choice>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        draw(row, tokens: panels.lowerBound * lanes..<panels.upperBound * lanes, into: candidates)
    }

    private func draw(_ row: Int, tokens: Range<Int>, into candidates: UnsafeMutablePointer<Choice>) {
        let drawn = tokens.clamped(to: 0..<draws[row].rule.limit)
        candidates[row] = candidates[row].merged(with: draw(row, drawn.lowerBound, drawn.count))
    }

    private func draw(_ row: Int, _ first: Int, _ count: Int) -> Choice {
        guard count > 0 else { return .none }
        let values = self.values(row) + first
        let rule = draws[row].rule
        if rule.inverseTemperature == 0 {
            return Choice(kernels.pointee.argmax(values, Int32(count)), first: first)
        }
        let key = foretoken_noise_key(rule.seed, UInt64(draws[row].position))
        return Choice(
            kernels.pointee.sample(values, Int32(first), Int32(count), rule.inverseTemperature, key))
    }
}

/// Rows as the coarse lm_head takes them: INT8 codes and a scale for each column group, as `quantise_row` makes them.
struct QuantisedRows: BitwiseCopyable {
    let codes: UnsafePointer<Int8>
    let scales: UnsafePointer<Float>
    /// Column groups.
    let columnGroups: Int

    func codes(_ row: Int) -> UnsafePointer<Int8> { codes + row * columnGroups * Int(FORETOKEN_SCALE_BLOCK) }
    func scales(_ row: Int) -> UnsafePointer<Float> { scales + row * columnGroups }
}

/// Runs the lm_head phase and puts the workers' candidates together.
final class LMHeadRunner {
    private let machinery: Machinery
    private let buffers: Buffers
    /// By row, for the caller to fill before a run.
    var draws: ScratchBuffer<Draw> { buffers.draws }
    /// Beside it, before a run of the coarse lm_head.
    var listed: ScratchBuffer<ListedRows> { buffers.listed }
    private var logitRows: FloatBuffer { buffers.logitRows }
    /// Rows of the last run.
    private var rowCount = 0
    /// Whether all columns of the last run's logits are here.
    private var areWhole = true
    /// By which message other hosts give theirs.
    private let logitsMessage: MessageKind

    /// Rows, and what is drawn from them.
    struct Buffers {
        /// [workers][window rows]
        fileprivate let candidates: ScratchBuffer<Choice>
        fileprivate let draws: ScratchBuffer<Draw>
        fileprivate let listed: ScratchBuffer<ListedRows>
        fileprivate let logitRows: FloatBuffer
        fileprivate let codes: ScratchBuffer<Int8>
        fileprivate let codeScales: ScratchBuffer<Float>
        /// Column groups, each of which has a scale.
        fileprivate let columnGroups: Int
        /// By row: what was drawn.
        fileprivate let drawn: ScratchBuffer<Choice>

        init(_ c: ModelConfiguration, workers: Int, _ make: inout BufferMaker) throws {
            let rows = Workspace.windowRows
            candidates = try make.elements(workers * rows)
            drawn = try make.elements(rows)
            draws = try make.elements(rows)
            listed = try make.elements(rows)
            logitRows = try make.floats(rows: rows, columns: c.vocabularySize)
            let size = Int(FORETOKEN_SCALE_BLOCK)
            columnGroups = (c.hiddenSize + size - 1) / size
            codes = try make.elements(rows * columnGroups * size)
            codeScales = try make.elements(rows * columnGroups)
        }
    }

    /// - Parameter logitsMessage: asks other hosts for this runner's logits.
    init(_ machinery: Machinery, _ logitsMessage: MessageKind, _ make: inout BufferMaker) throws {
        self.machinery = machinery
        self.logitsMessage = logitsMessage
        buffers = try Buffers(machinery.configuration, workers: machinery.pool.workerCount, &make)
    }

    /// Draws the likeliest of all tokens.
    var greedy: Draw { Draw(.greedy(limit: machinery.configuration.vocabularySize), position: 0) }

    /// Draws none.
    var nothing: Draw { Draw(.greedy(limit: 0), position: 0) }

    /// Logits of `count` rows from the exact lm_head, and a candidate for each.
    func run(_ stack: Machinery.Stack, _ lmHead: Linear, input: foretoken_rows, count: Int) {
        tell(stack, isCoarse: false, input: input, count: count)
        start(.exact(ProductJob(lmHead, input: input, output: logitRows.rows, rowCount: count)), rows: count)
    }

    /// Logits of `count` rows from what is listed of the coarse lm_head, and a candidate for each.
    /// - Parameter input: not indexed.
    func run(_ stack: Machinery.Stack, _ lmHead: CutCoarseLMHead, input: foretoken_rows, count: Int) {
        tell(stack, isCoarse: true, input: input, count: count)
        for row in 0..<count { quantise(input.base! + row * input.stride, row: row) }
        let rows = QuantisedRows(
            codes: UnsafePointer(buffers.codes.pointer), scales: UnsafePointer(buffers.codeScales.pointer),
            columnGroups: buffers.columnGroups)
        start(.coarse(lmHead, rows, UnsafePointer(listed.pointer)), rows: count)
    }

    private func quantise(_ input: UnsafePointer<Float>, row: Int) {
        machinery.kernels.pointee.quantise_row(
            input, Int32(machinery.configuration.hiddenSize),
            buffers.codes.pointer + row * buffers.columnGroups * Int(FORETOKEN_SCALE_BLOCK),
            buffers.codeScales.pointer + row * buffers.columnGroups)
    }

    private func start(_ lmHead: LMHeadPhase.LMHead, rows: Int) {
        machinery.pool.run(
            LMHeadPhase(
                kernels: machinery.kernels, lmHead: lmHead, logits: logitRows.rows, rowCount: rows,
                vocabulary: machinery.configuration.vocabularySize, draws: UnsafePointer(draws.pointer),
                candidates: buffers.candidates.pointer, scratch: machinery.workers.scratch))
        rowCount = rows
        for row in 0..<rows { buffers.drawn.pointer[row] = best(row) }
        guard let others = partners else { return }
        areWhole = false
        let all = others.gather(UnsafePointer(buffers.drawn.pointer), count: rows)
        guard others.leads else { return }
        for row in 0..<rows {
            buffers.drawn.pointer[row] = (1..<others.share.count).reduce(all[row]) {
                $0.merged(with: all[$1 * rows + row])
            }
        }
    }

    private func best(_ row: Int) -> Choice {
        var best = buffers.candidates.pointer[row]
        for worker in 1..<max(1, machinery.pool.workerCount) {
            best = best.merged(with: buffers.candidates.pointer[worker * Workspace.windowRows + row])
        }
        return best
    }

    /// What was drawn for `row`; ties go to the lower id.
    func drawn(row: Int) -> Choice {
        let drawn = buffers.drawn.pointer[row]
        precondition(drawn.token >= 0, "no row is drawn from without a worker that made some of its logits")
        return drawn
    }

    /// Logits of `row`.
    func logits(row: Int) -> UnsafeMutablePointer<Float> {
        if !areWhole, let others = partners {
            others.send(logitsMessage)
            gatherLogits()
        }
        return logitRows[row: row]
    }

    /// Floats from one row of logits to the next.
    var logitStride: Int { logitRows.stride }

    // MARK: Other hosts

    /// Those that have a part of the lm_heads.
    private var partners: OtherHosts? { machinery.others.flatMap { $0.share.cutsRows ? $0 : nil } }

    /// Gives the leader the last run's logits.
    func gatherLogits() {
        guard let others = partners else { return }
        others.gather(.init(base: logitRows.base, stride: logitRows.stride, count: rowCount, columns: .vocabulary))
        areWhole = true
    }

    /// Tells the other hosts what is about to be drawn from.
    private func tell(_ stack: Machinery.Stack, isCoarse: Bool, input: foretoken_rows, count: Int) {
        guard let others = partners, others.leads else { return }
        let (message, width) = (others.message, machinery.configuration.hiddenSize)
        message.begin(.lmHead) { head in
            (head.rows, head.width, head.isCoarse) = (Int32(count), Int32(width), isCoarse)
            if case .module(let index) = stack { head.module = Int32(index) }
        }
        message.append(UnsafePointer(draws.pointer), count: count)
        for row in 0..<count where isCoarse {
            let listed = listed.pointer[row]
            message.append(count: 2) { $0 == 0 ? (listed.isWhole ? 1 : 0) : Int32(listed.rare.count) }
            message.append(count: listed.rare.count) { listed.rare[$0] }
        }
        for row in 0..<count { message.append(UnsafePointer(input.base! + row * input.stride), count: width) }
        others.send()
    }
}
