import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// One text's whole state: its tokens, what attention remembers of them, and what the MTP modules wait for. It has no
/// machinery; verifier and draft head run it, alone or in a step with others.
public final class TokenSequence {
    /// Most positions that can be run.
    public let capacity: Int
    /// Tokens [capacity + drafts + 1]. Behind `count` lie drafts.
    public let tokens: UnsafeMutablePointer<Int32>
    /// Tokens of the text. The verifier has seen all of them but, while it generates, the newest.
    public var count = 0 {
        didSet {
            precondition(count >= 0 && count <= capacity + 1, "tokens outside the sequence")
            draftList.cut(to: count)
        }
    }
    /// Positions whose latents are there. The next step's rows start here.
    public internal(set) var position = 0
    /// Tells this text's rows from others' where steps are observed.
    public var number = 0

    let pages: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    let modules: [ModuleState]
    let drafts: DraftState
    private let draftList: DraftList
    /// nil for a text that no model runs.
    let pool: LatentPool?
    private let pageCount: Int

    /// Takes all pages that the text may need, so that no step ever lacks one.
    /// - Parameter shared: its first pages, which others have as well and whose positions it never runs.
    /// - Throws: `HardwareError` when memory for its rows cannot be had.
    convenience init(
        _ configuration: ModelConfiguration, pool: LatentPool, capacity: Int,
        shared: [UnsafeMutableRawPointer] = []
    ) throws {
        try self.init(capacity: capacity, pool, modules: pool.shape.modules, configuration, shared)
    }

    /// A text that no model runs: it has tokens and nothing else.
    /// - Throws: `HardwareError` without memory.
    package convenience init(capacity: Int) throws {
        try self.init(capacity: capacity, nil, modules: 0, nil, [])
    }

    private init(
        capacity: Int, _ pool: LatentPool?, modules count: Int, _ configuration: ModelConfiguration?,
        _ shared: [UnsafeMutableRawPointer]
    ) throws {
        self.capacity = capacity
        self.pool = pool
        var make = BufferMaker()
        let width = configuration?.hiddenSize ?? 0
        modules = try (0..<count).map { _ in try ModuleState(width: width, &make) }
        drafts = try DraftState(width: width, modules: count, &make)
        draftList = try DraftList(count > 0 ? configuration : nil, &make)
        pageCount = pool == nil ? 0 : LatentPool.pages(forPositions: capacity)
        pages = .allocate(capacity: pageCount)
        for (i, page) in shared.enumerated() {
            pool?.share(page)
            pages[i] = page
        }
        if let pool { for i in shared.count..<pageCount { pages[i] = pool.take() } }
        tokens = .allocate(capacity: capacity + MTPHead.maximumDrafts + 1)
        tokens.initialize(repeating: 0, count: capacity + MTPHead.maximumDrafts + 1)
    }

    /// Bytes of its pages.
    package var pageByteCount: Int { pageCount * (pool?.shape.pageBytes ?? 0) }

    /// Bytes that a text takes besides its pages, for the fit check before loading: rows that wait, and what its sampler
    /// has for each token.
    static func rowBytes(_ c: ModelConfiguration, modules: Int) throws -> Int {
        let rows = try BufferMaker.bytes { make in
            for _ in 0..<modules { _ = try ModuleState(width: c.hiddenSize, &make) }
            _ = try DraftState(width: c.hiddenSize, modules: modules, &make)
            _ = try DraftList(modules > 0 ? c : nil, &make)
        }
        return rows + 4 * 6 * c.vocabularySize
    }

    deinit {
        for i in 0..<pageCount { pool?.giveBack(pages[i]!) }
        pages.deallocate()
        tokens.deallocate()
    }

    /// Appends tokens that the verifier has not seen.
    public func append(_ more: [Int32]) {
        precondition(count + more.count <= capacity + 1, "tokens outside the sequence")
        for (i, token) in more.enumerated() { tokens[count + i] = token }
        count += more.count
    }

    /// Makes `text` the whole text, of which the verifier has seen nothing.
    package func restart(_ text: [Int32]) {
        clear()
        append(text)
    }

    /// Forgets all positions from `position` on: rejected drafts, which the modules have not been shown. To go back further,
    /// begin anew.
    public func truncate(to position: Int) {
        precondition(position >= 0 && position <= self.position)
        self.position = position
    }

    /// Forgets the whole text.
    public func clear() {
        count = 0
        position = 0
        for module in modules { module.jump(to: 0) }
    }

    /// Goes to any position, for measurements: what lies before it there was put there earlier, or is zero.
    package func jump(to position: Int) {
        precondition(position >= 0 && position <= capacity)
        self.position = position
    }

    /// Whether the modules have run all rows up to `end` without a gap, and none behind.
    func modulesHaveRead(to end: Int) -> Bool {
        modules.allSatisfy { $0.nextRow == end && $0.entryCount == end && $0.waitingCount == 0 }
    }

    /// Goes to any row of the modules; nothing waits there.
    package func jumpModules(to row: Int) {
        precondition(row >= 0 && row <= capacity)
        for module in modules { module.jump(to: row) }
    }

    /// The rows of lm_head that drafts behind the text are chosen from; valid until the text changes.
    func draftRows() -> ListedRows { draftList.rows(behind: count, of: tokens) }

    /// Rows that wait for the first module.
    public var waitingRowCount: Int { modules.first?.waitingCount ?? 0 }

    /// Bounds the work of a later catch-up while drafting is off: only the newest `count` waiting rows are kept. Rows that
    /// were never run leave a gap in the drafts' context, which costs acceptance and nothing else.
    public func forgetAllButNewest(_ count: Int) {
        for module in modules { module.keepNewest(count) }
    }
}

/// What one text has at one MTP module.
final class ModuleState {
    /// Cache entries made from true hidden states and known tokens. Entries past them are drafts and get overwritten.
    private(set) var entryCount = 0
    /// Row of the first waiting hidden state.
    private(set) var nextRow = 0
    /// Hidden states whose next token, or turn, has not come yet.
    private(set) var waitingCount = 0
    let waiting: FloatBuffer
    private let width: Int

    /// Most rows that wait: those that are kept while drafting is off, and a window's.
    static let mostWaiting = 3 * Workspace.windowRows

    init(width: Int, _ make: inout BufferMaker) throws {
        self.width = width
        waiting = try make.floats(rows: Self.mostWaiting, columns: width)
    }

    /// Appends hidden rows, the first of which is row `firstRow`. Rows that do not follow what waits replace it. When more
    /// wait than there is room for, the oldest are forgotten.
    func append(_ rows: UnsafePointer<Float>, stride: Int, count: Int, firstRow: Int) {
        follow(firstRow)
        let kept = min(count, Self.mostWaiting)
        drop(max(0, min(waitingCount, waitingCount + kept - Self.mostWaiting)))
        if kept < count { nextRow += count - kept }
        for i in 0..<kept {
            waiting[row: waitingCount + i].update(from: rows + (count - kept + i) * stride, count: width)
        }
        waitingCount += kept
    }

    /// Prepares for rows that start at `firstRow`: what waits and is not just before them is forgotten.
    func follow(_ firstRow: Int) {
        if firstRow != nextRow + waitingCount {
            waitingCount = 0
            nextRow = firstRow
        }
    }

    /// Rows among `available` ones from `nextRow` on whose tokens are known.
    func ready(of available: Int, module: Int, known: Int) -> Int {
        max(0, min(available, known - 1 - module - nextRow))
    }

    /// Takes note that rows from `nextRow` on have been run with true hidden states and tokens.
    func commit(_ count: Int) {
        entryCount += count
        if waitingCount > 0 { drop(count) } else { nextRow += count }
    }

    /// Copies what waits to the front of `target`, where it is to be run from; nothing waits here then.
    func moveWaiting(to target: FloatBuffer) -> Int {
        defer { waitingCount = 0 }
        copyWaiting(to: target)
        return waitingCount
    }

    func copyWaiting(to target: FloatBuffer) {
        for i in 0..<waitingCount { target[row: i].update(from: waiting[row: i], count: width) }
    }

    /// Forgets all but the newest `count` waiting rows.
    func keepNewest(_ count: Int) {
        if waitingCount > count { drop(waitingCount - count) }
    }

    private func drop(_ count: Int) {
        guard count > 0 else { return }
        let kept = waitingCount - count
        if kept > 0 { waiting.base.update(from: waiting[row: count], count: kept * waiting.stride) }
        waitingCount = kept
        nextRow += count
    }

    func jump(to row: Int) {
        (entryCount, nextRow, waitingCount) = (row, row, 0)
    }
}

/// What one text's round of drafting has made so far. The drafts themselves lie behind the text's tokens.
final class DraftState {
    /// Newest output of the chain: input of lm_head, and of a recursive step.
    let newest: FloatBuffer
    /// Outputs of this round's rows, which the next module goes on from.
    let carry: FloatBuffer
    var carryCount = 0
    /// Drafts taken.
    var count = 0
    /// Next row and cache entry of a recursive step.
    var row = 0
    var entry = 0

    init(width: Int, modules: Int, _ make: inout BufferMaker) throws {
        newest = try make.floats(rows: modules > 0 ? 1 : 0, columns: width)
        carry = try make.floats(rows: modules > 1 ? 2 * MTPHead.maximumDrafts : 0, columns: width)
    }
}
