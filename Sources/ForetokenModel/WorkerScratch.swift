import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Memory that each worker has for itself, on its own node, and its place among the workers. One region serves
/// everything, since no two uses overlap in time.
struct WorkerScratch {
    /// By worker.
    let seats: UnsafePointer<WorkerSeat>
    /// By worker: its memory.
    let bases: UnsafePointer<UnsafeMutablePointer<Float>>
    /// Most rows of one wide product.
    let rows: Int
    /// Columns of one wide product's decoded block.
    let columns: Int

    @inline(__always)
    func wide(_ worker: Int) -> WideScratch { WideScratch(bases[worker], rows: rows, columns: columns) }

    @inline(__always)
    func attention(_ worker: Int) -> UnsafeMutablePointer<Float> { bases[worker] }

    @inline(__always)
    func selection(_ worker: Int) -> UnsafeMutablePointer<Float> { bases[worker] }

    @inline(__always)
    func router(_ worker: Int) -> UnsafeMutablePointer<Float> { bases[worker] }

    /// Columns of a wide product's decoded block: the widest input of any matrix, up to a fixed limit.
    static func columns(_ c: ModelConfiguration) -> Int {
        let inputs = [
            2 * c.hiddenSize, c.intermediateSize, max(1, c.sharedExpertCount) * c.expertIntermediateSize,
            c.headCount * c.valueDimension, c.queryRank ?? 0, c.latentRank,
        ]
        return WideScratch.columns(widest: inputs.max()!)
    }

    /// Floats that one worker needs for steps of at most `rows` rows, prompt chunks included.
    static func floatCount(_ configuration: ModelConfiguration, rows: Int) -> Int {
        let absorbed = foretoken_attention_scratch(Int32(configuration.headCount), Int32(configuration.latentRank))
        let prompt = PromptAttentionScratch.floatCount(configuration)
        let wide = WideScratch.floatCount(rows: rows, columns: columns(configuration))
        let selection = configuration.sparseAttention.map { foretoken_selection_scratch(Int32($0.chosenCount)) } ?? 0
        return max(wide, absorbed, prompt, selection, 2 * configuration.routedExpertCount)
    }
}

/// The workers' scratch memory, each team's on its node.
final class WorkerMemory {
    /// By worker.
    let bases: UnsafePointer<UnsafeMutablePointer<Float>>
    private let arenas: [MemoryArena]
    private let table: ScratchBuffer<UnsafeMutablePointer<Float>>

    /// - Parameter floats: of one worker.
    init(floats: Int, pool: WorkerPool, nodes: NodeLayout) throws {
        let bytes = MemoryArena.footprint(byteCount: floats * MemoryLayout<Float>.stride)
        table = try ScratchBuffer(count: pool.workerCount)
        var next = table.pointer
        arenas = try pool.teamSizes.enumerated().map { team, workers in
            let node = nodes.teams[team % nodes.teams.count]
            let arena = try nodes.arena(byteCount: workers * bytes, node: node)
            for _ in 0..<workers {
                next.initialize(to: arena.allocate(byteCount: bytes).assumingMemoryBound(to: Float.self))
                next += 1
            }
            return arena
        }
        bases = UnsafePointer(table.pointer)
    }
}

/// What all steps' workers share: their scratch memory, and how heads and output columns are cut for them.
final class WorkerTables {
    let scratch: WorkerScratch
    /// Heads, and panels of output columns, by team.
    let headCut, columnCut: CutTable
    private let memory: WorkerMemory
    private let cuts: ScratchBuffer<Int32>

    /// - Parameter host: what this host has of them.
    init(_ c: ModelConfiguration, pool: WorkerPool, nodes: NodeLayout, host: HostShare) throws {
        let rows = Workspace.chunkRows
        memory = try WorkerMemory(floats: WorkerScratch.floatCount(c, rows: rows), pool: pool, nodes: nodes)
        scratch = WorkerScratch(seats: pool.seats, bases: memory.bases, rows: rows, columns: WorkerScratch.columns(c))
        let panelRows = Int(FORETOKEN_PANEL_ROWS)
        let headBounds = host.headBounds(c.headCount, width: c.queryDimension)
        let heads = nodes.headCut(headBounds[host.rank]..<headBounds[host.rank + 1], width: c.queryDimension)
        let panelBounds = host.rowBounds(c.hiddenSize).map { ($0 + panelRows - 1) / panelRows }
        let columns = nodes.denseCut(panelBounds[host.rank]..<panelBounds[host.rank + 1])
        let teams = nodes.teams.count
        cuts = try ScratchBuffer(count: 2 * (teams + 1))
        for (i, cut) in [heads, columns].enumerated() {
            for (team, range) in cut.enumerated() {
                cuts.pointer[i * (teams + 1) + team] = Int32(range.lowerBound)
                cuts.pointer[i * (teams + 1) + team + 1] = Int32(range.upperBound)
            }
        }
        headCut = CutTable(bounds: UnsafePointer(cuts.pointer), teams: teams)
        columnCut = CutTable(bounds: UnsafePointer(cuts.pointer + teams + 1), teams: teams)
    }
}

/// One worker's memory for naive attention over one head.
struct PromptAttentionScratch {
    let latents, keys, values, scores, weighted, keyUp, valueUp: UnsafeMutablePointer<Float>
    let blockMaximum, blockSum: UnsafeMutablePointer<Float>
    let keyUpStride, valueUpStride: Int

    /// Rows that are multiplied with a block at a time, divided at multiples of this from the chunk's first: their scores stay
    /// in the L2 cache, and on the diagonal fewer of them are computed in vain.
    static let strip = 128

    private static func padded(_ rows: Int) -> Int {
        (rows + Int(FORETOKEN_PANEL_ROWS) - 1) / Int(FORETOKEN_PANEL_ROWS) * Int(FORETOKEN_PANEL_ROWS)
    }

    static func floatCount(_ c: ModelConfiguration) -> Int {
        let block = Int(FORETOKEN_CONTEXT_BLOCK)
        let perEntry = c.latentRank + c.ropeDimension + c.nopeDimension + c.ropeDimension + c.valueDimension
        let factors = c.nopeDimension * padded(c.latentRank) + c.latentRank * padded(c.valueDimension)
        return block * perEntry + strip * (block + c.valueDimension + 2) + factors
    }

    init(_ base: UnsafeMutablePointer<Float>, _ step: AttentionStep) {
        let block = Int(FORETOKEN_CONTEXT_BLOCK)
        keyUpStride = Self.padded(step.rank)
        valueUpStride = Self.padded(step.value)
        latents = base
        keys = latents + block * (step.rank + step.rope)
        values = keys + block * step.queryWidth
        keyUp = values + block * step.value
        valueUp = keyUp + step.nope * keyUpStride
        scores = valueUp + step.rank * valueUpStride
        weighted = scores + Self.strip * block
        blockMaximum = weighted + Self.strip * step.value
        blockSum = blockMaximum + Self.strip
    }
}
