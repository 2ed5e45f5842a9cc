import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Runs decoder layers over the rows in a workspace. It holds the machinery, not the model and not a text: weights come
/// with each call and pages with each step, so that main layers and MTP blocks share it.
final class Decoder {
    let configuration: ModelConfiguration
    let kernels: KernelTable
    let pool: WorkerPool
    let space: Workspace
    let workers: WorkerTables
    /// What steps of generated tokens read from each node.
    let traffic: TrafficMeter
    /// Set while a step is looked at.
    var observation: Observation?
    /// Called after each slice of a chunk's work, where it may rest while windows run; ends it by returning false. Without it
    /// the work is not divided.
    var rest: (() -> Bool)? {
        didSet { isEnded = false }
    }
    /// Where hosts share the model, the others.
    let others: OtherHosts?
    /// Whether a chunk rests only where hosts meet, since all of them have to rest at one point.
    var restsAtMeetings = false
    /// Whether `rest` has ended the step.
    private(set) var isEnded = false
    /// How the step's rows are computed.
    let kind: StepKind
    private let rotation: Rotation
    private let sigma: Float
    /// Most multiply-adds of a slice, as far as its work can be divided.
    private let sliceWork: Int

    /// Rows and texts of the step.
    private(set) var rows = 0
    private(set) var spanCount = 0
    /// By text: what its pages are of; kept where other hosts are to be told.
    private(set) var pools: [LatentPool] = []
    private var shape: PageShape
    /// What choosing entries takes; nil where no row can see more than may be chosen.
    let selection: SelectionSpace?
    /// By layer, MTP modules' included: which of the layers with index keys it is, if it is one.
    private let indexLayers: [Int]

    init(
        _ kind: StepKind, weights: ModelWeights, kernels: KernelTable, pool: WorkerPool, workers: WorkerTables,
        traffic: TrafficMeter, others: OtherHosts?
    ) throws {
        self.others = others
        configuration = weights.configuration
        self.kind = kind
        self.kernels = kernels
        self.pool = pool
        self.workers = workers
        self.traffic = traffic
        var make = BufferMaker()
        space = try Workspace(
            configuration, rows: kind.mostRows, nodes: weights.nodes.nodes.count, isCut: weights.nodes.isCut, &make)
        selection = try SelectionSpace.make(configuration, rows: kind.mostRows, &make)
        rotation = Rotation(configuration)
        sigma = configuration.attentionScale
        sliceWork = max(1, Self.workPerByte * weights.bytesPerStep)
        shape = PageShape(configuration, modules: 0, type: .f32, host: weights.host)
        let sparse = configuration.sparseAttention
        let layers = 0..<configuration.layerCount + weights.modules.count
        indexLayers = layers.map { sparse?.indexerCount(layers: $0) ?? 0 }
    }

    /// Begins a step without rows, for texts whose pages are those of this one.
    func begin(beside text: TokenSequence) {
        guard let pool = text.pool else { preconditionFailure("a text without pages cannot be run") }
        begin(pool)
    }

    /// The same for texts whose pages are of a pool.
    func begin(_ pool: LatentPool) {
        (rows, spanCount) = (0, 0)
        shape = pool.shape
        forgetPools()
    }

    /// A pool that is given up is not to live on here.
    func forgetPools() { pools.removeAll(keepingCapacity: true) }

    /// Adds `count` rows of a text to the step. What the residual rows hold is the caller's to fill.
    ///
    /// - Parameters:
    ///   - entry: cache entry of the first.
    ///   - position: its position in the text.
    func add(_ sequence: TokenSequence, count: Int, entry: Int, position: Int) {
        precondition(sequence.pool?.shape == shape && entry + count <= sequence.capacity + MTPHead.maximumDrafts)
        if others != nil, let pool = sequence.pool { pools.append(pool) }
        add(UnsafePointer(sequence.pages), text: sequence.number, count: count, entry: entry, position: position)
    }

    /// The same of a text whose pages are given.
    func add(
        _ pages: UnsafePointer<UnsafeMutableRawPointer?>, text: Int, count: Int, entry: Int, position: Int
    ) {
        precondition(selection.map { entry + count <= $0.longest } ?? true, "more positions than the model has")
        space.spans.pointer[spanCount] = RowSpan(
            pages: pages, text: text, firstRow: rows, count: count, entry: entry, position: position)
        spanCount += 1
        for i in 0..<count {
            rotation.fill(space.cosines[row: rows + i], space.sines[row: rows + i], position: position + i)
        }
        rows += count
    }

    /// One layer: x += Attention(norm x); x += FeedForward(norm x).
    ///
    /// - Parameter index: of the layer in the pages; new latents go there.
    func run(_ layer: LayerWeights, _ index: Int) {
        finish(layer, compress(layer.attention, index, lastOnly: false), index)
    }

    /// The same for each text's last row alone, as residual row i of text i: of the rows before it only the latents are
    /// kept, which is all that later rows of this layer will read of them.
    func runLast(_ layer: LayerWeights, _ index: Int) {
        finish(layer, compress(layer.attention, index, lastOnly: true), index)
    }

    /// One layer of the first text; others differ in their pages.
    private func latents(_ index: Int) -> foretoken_latents { shape.layer(index, of: space.spans.pointer[0].pages) }

    /// The same of one layer's index keys.
    func indexKeys(_ layer: Int) -> foretoken_latents {
        shape.indexKeys(indexLayers[layer], of: space.spans.pointer[0].pages)
    }

    /// Makes the step one of each text's last row.
    private func keepLastRows() {
        for i in 0..<spanCount {
            let span = space.spans.pointer[i]
            let last = span.firstRow + span.count - 1
            if last > i {
                copyRow(of: space.residual, last, to: i)
                copyRow(of: space.normed, last, to: i)
                copyRow(of: space.cosines, last, to: i)
                copyRow(of: space.sines, last, to: i)
            }
            space.spans.pointer[i] = RowSpan(
                pages: span.pages, text: span.text, firstRow: i, count: 1, entry: span.entry + span.count - 1,
                position: span.position + span.count - 1)
        }
        rows = spanCount
    }

    private func copyRow(of buffer: FloatBuffer, _ row: Int, to target: Int) {
        buffer[row: target].update(from: buffer[row: row], count: buffer.stride)
    }

    /// output[row] = norm(input[row]) ⊙ weight.
    func normalise(_ input: FloatBuffer, _ weight: FloatVector, into output: FloatBuffer) {
        pool.runRows(
            NormPhase(
                kernels: kernels, input: input.rows, weight: weight.values, output: output.rows,
                width: configuration.hiddenSize, epsilon: configuration.normEpsilon, rowCount: rows))
    }

    /// Runs the given products together; their outputs do not overlap.
    func multiply(_ first: ProductJob, _ second: ProductJob? = nil) {
        space.jobs.pointer[0] = first
        if let second { space.jobs.pointer[1] = second }
        runJobs(second == nil ? 1 : 2)
    }

    /// Runs any number of products together, for measurements.
    func multiply(_ jobs: [ProductJob]) {
        for (i, job) in jobs.enumerated() { space.jobs.pointer[i] = job }
        runJobs(jobs.count)
    }

    private func runJobs(_ count: Int) {
        let jobs = UnsafePointer(space.jobs.pointer)
        let slices = isSliced ? sliceCount((0..<count).reduce(0) { $0 + jobs[$1].work }) : 1
        for index in 0..<slices {
            run(
                ProductPhase(
                    kernels: kernels, jobs: jobs, jobCount: count, slice: Slice(index: index, count: slices),
                    scratch: workers.scratch))
        }
    }

    func run<P: Phase>(_ phase: P) {
        guard !isEnded else { return }
        pool.run(phase)
        if isSliced, let rest { isEnded = !rest() }
    }

    /// Whether a chunk's work is divided, so that it can rest often.
    private var isSliced: Bool { rest != nil && !restsAtMeetings }

    /// Lets a chunk rest where all hosts have met.
    func restAtMeeting() {
        if let rest { isEnded = !rest() }
    }

    /// Multiply-adds of a slice for each byte of weights that a window's row reads: then a slice takes about as long as a
    /// window on two cores, and less on processors that multiply faster for their memory.
    private static let workPerByte = 2

    /// Slices of so many multiply-adds.
    private func sliceCount(_ work: Int) -> Int { isSliced ? max(1, (work + sliceWork - 1) / sliceWork) : 1 }

    // MARK: Attention

    /// Compresses keys and values of all rows into the cache, and the queries of all rows or of each text's last. Returns
    /// what makes those queries.
    private func compress(_ weights: AttentionWeights, _ layer: Int, lastOnly: Bool) -> ProductJob {
        normalise(space.residual, weights.inputNorm, into: space.normed)
        show(.attentionNorm, space.normed, width: configuration.hiddenSize)
        var input = space.normed.rows
        if lastOnly { input.index = lastRows() }
        let wanted = lastOnly ? spanCount : rows
        var jobs = 0
        if let down = weights.queryDown {
            enqueue(ProductJob(down, kind, input: input, output: space.queryRank.rows, rowCount: wanted), &jobs)
        }
        enqueue(
            ProductJob(weights.latentDown, kind, input: space.normed.rows, output: space.latent.rows, rowCount: rows),
            &jobs)
        if let indexer = weights.indexer {
            let (key, weights) = indexerJobs(indexer, wanted: input, count: wanted)
            enqueue(key, &jobs)
            enqueue(weights, &jobs)
        }
        runJobs(jobs)
        store(weights, latents(layer))
        if let indexer = weights.indexer { storeIndexKeys(indexer, layer) }
        if lastOnly { keepLastRows() }
        guard let down = weights.queryDown, let norm = weights.queryNorm else {
            return ProductJob(
                weights.queryUp, kind, input: space.normed.rows, output: space.query.rows, rowCount: rows)
        }
        show(.queryDown, space.queryRank, width: down.rows)
        pool.runRows(
            NormPhase(
                kernels: kernels, input: space.queryRank.rows, weight: norm.values, output: space.queryRank.rows,
                width: down.rows, epsilon: configuration.normEpsilon, rowCount: rows))
        return ProductJob(weights.queryUp, kind, input: space.queryRank.rows, output: space.query.rows, rowCount: rows)
    }

    private func enqueue(_ job: ProductJob, _ count: inout Int) {
        space.jobs.pointer[count] = job
        count += 1
    }

    /// Each text's last row.
    private func lastRows() -> UnsafePointer<Int32> {
        for i in 0..<spanCount { space.lastRows.pointer[i] = Int32(space.spans.pointer[i].rows.upperBound - 1) }
        return UnsafePointer(space.lastRows.pointer)
    }

    /// Attention and feed-forward of rows whose latents are in the cache.
    private func finish(_ layer: LayerWeights, _ query: ProductJob, _ index: Int) {
        let isChosen = choose(layer.attention.indexer, index)
        attend(layer.attention, query, latents(index), isChosen: isChosen)
        share(space.attended, .attended)
        showAttention()
        multiply(
            ProductJob(
                layer.attention.output, kind, input: space.attended.rows, output: space.residual.rows, rowCount: rows,
                adds: true))
        share(space.residual, .hidden)
        show(.attentionOutput, space.residual, width: configuration.hiddenSize)
        normalise(space.residual, layer.feedForwardNorm, into: space.normed)
        show(.feedForwardNorm, space.normed, width: configuration.hiddenSize)
        switch layer.feedForward {
        case .dense(let mlp): dense(mlp)
        case .moe(let moe): mixture(moe)
        }
        share(space.residual, .hidden)
        show(.feedForwardOutput, space.residual, width: configuration.hiddenSize)
    }

    /// Finishes the latents and appends them to the texts' pages.
    private func store(_ weights: AttentionWeights, _ latents: foretoken_latents) {
        let width = Int(latents.rank + latents.rope)
        show(.latentDown, space.latent, width: width)
        pool.runRows(
            LatentPhase(
                kernels: kernels, latent: space.latent.rows, weight: weights.latentNorm.values,
                epsilon: configuration.normEpsilon, cosines: space.cosines.rows, sines: space.sines.rows,
                cache: latents, spans: UnsafePointer(space.spans.pointer), spanCount: spanCount, rowCount: rows))
        show(.latent, space.latent, width: width)
    }

    private func attend(
        _ weights: AttentionWeights, _ query: ProductJob, _ latents: foretoken_latents, isChosen: Bool
    ) {
        let step = AttentionStep(
            kernels: kernels, keyUp: weights.keyUp, valueUp: weights.valueUp, cache: latents,
            spans: UnsafePointer(space.spans.pointer), spanCount: spanCount, query: space.query.rows,
            cosines: space.cosines.rows, sines: space.sines.rows, output: space.attended.rows, rowCount: rows,
            nope: configuration.nopeDimension, value: configuration.valueDimension, sigma: sigma,
            headCut: workers.headCut, scratch: workers.scratch)
        if kind == .chunk { multiply(query) }
        let own = kind == .window ? query : nil
        if isChosen {
            attendToChosen(step, own)
        } else if kind == .window || AbsorbedAttentionPhase.isShorter(configuration, rows: rows) {
            attendAbsorbed(step, own, 0..<rows, entries: step.firstEntry + rows, chosen: nil)
        } else {
            attendPrompt(step, chosen: nil)
        }
    }

    /// Absorbed attention of some rows, which see about `entries` entries.
    func attendAbsorbed(
        _ step: AttentionStep, _ query: ProductJob?, _ rows: Range<Int>, entries: Int, chosen: ChosenLatents?
    ) {
        let work = AbsorbedAttentionPhase.work(configuration, rows: rows.count, entries: entries)
        let slices = min(sliceCount(work), configuration.headCount)
        for index in 0..<slices {
            run(
                AbsorbedAttentionPhase(
                    step: step, query: query, slice: Slice(index: index, count: slices), rows: rows, chosen: chosen,
                    absorbed: space.absorbed.rows, mixed: space.mixedLatents.rows))
        }
    }

    /// Naive attention of a chunk.
    func attendPrompt(_ step: AttentionStep, chosen: ChosenEntries?) {
        let blocks = PromptAttentionPhase.blockCount(firstEntry: step.firstEntry, rows: rows)
        let slices = sliceCount(blocks * PromptAttentionPhase.work(configuration, rows: rows))
        let blockSlices = min(slices, blocks)
        let headSlices = min((slices + blockSlices - 1) / blockSlices, configuration.headCount)
        for i in 0..<blockSlices {
            for j in 0..<headSlices {
                run(
                    PromptAttentionPhase(
                        step: step, blocks: Slice(index: i, count: blockSlices).of(0..<blocks),
                        slice: Slice(index: j, count: headSlices), softmax: space.softmax.rows, chosen: chosen))
            }
        }
    }

    // MARK: Feed-forward

    private func dense(_ mlp: MLPWeights) {
        multiply(
            ProductJob(
                gate: mlp.gate, up: mlp.up, kind, input: space.normed.rows, output: space.shared.rows, rowCount: rows))
        share(space.shared, .dense)
        show(.shared, space.shared, width: configuration.intermediateSize)
        multiply(
            ProductJob(
                mlp.down, kind, input: space.shared.rows, output: space.residual.rows, rowCount: rows, adds: true))
    }

    private func mixture(_ moe: MoEWeights) {
        let input = space.normed.rows
        let shared = moe.shared.map {
            ProductJob(gate: $0.gate, up: $0.up, kind, input: input, output: space.shared.rows, rowCount: rows)
        }
        let router = ProductJob(moe.router, kind, input: input, output: space.routerLogits.rows, rowCount: rows)
        if moe.router.byteCount <= Self.smallRouterBytes {
            route(moe, router, makesLogits: true)
            activate(input, beside: shared)
        } else {
            multiply(router, shared)
            route(moe, router, makesLogits: false)
            activate(input, beside: nil)
        }
        let slots = Int(space.assignment.firstSlot.pointer[space.assignment.activeCount])
        shareActivations(slots: slots, withShared: shared != nil)
        showExperts()
        if shared != nil {
            show(
                .shared, space.shared,
                width: configuration.sharedExpertCount * configuration.expertIntermediateSize)
        }
        combine(moe)
        if others == nil { show(.experts, space.mixed, width: configuration.hiddenSize) }
    }

    /// A router this small stays in the L1 cache while rows pass through it, and takes less time than a meeting.
    private static let smallRouterBytes = 32 << 10

    /// Chooses each row's experts and assigns the rows to them.
    private func route(_ moe: MoEWeights, _ product: ProductJob, makesLogits: Bool) {
        let router = foretoken_router(
            bias: moe.bias?.values, scoring: configuration.family.routerRule.raw,
            experts: Int32(configuration.routedExpertCount), expert_groups: Int32(configuration.expertGroupCount),
            kept_groups: Int32(configuration.keptGroupCount),
            chosen: Int32(configuration.expertsPerToken), scale: configuration.routedScalingFactor,
            normalise: configuration.normalizesExpertWeights)
        pool.runRows(
            RoutePhase(
                kernels: kernels, router: router, product: product, makesLogits: makesLogits,
                chosen: space.assignment.chosen.pointer, weights: space.assignment.weights.pointer,
                scratch: workers.scratch, rowCount: rows))
        show(.router, space.routerLogits, width: configuration.routedExpertCount)
        space.assignment.assign(rows: rows)
        space.assignment.chooseCopies(moe.experts)
        showRouting()
    }

    /// SwiGLU rows of every active expert: each expert's weights are read once for all its rows.
    private func activate(_ input: foretoken_rows, beside shared: ProductJob?) {
        let assignment = space.assignment
        traffic.count(assignment)
        for i in 0..<assignment.activeCount {
            let copy = assignment.copies.pointer[i]
            let (first, count) = assignment.slots(i)
            let gathered = foretoken_rows(
                base: input.base, stride: input.stride, index: assignment.slotRow.pointer + first)
            let slots = foretoken_rows(base: space.slots[row: first], stride: space.slots.stride, index: nil)
            space.jobs.pointer[i] = ProductJob(
                gate: copy.gate, up: copy.up, kind, input: gathered, output: slots, rowCount: count)
        }
        if let shared { space.jobs.pointer[assignment.activeCount] = shared }
        runJobs(assignment.activeCount + (shared == nil ? 0 : 1))
    }

    private func combine(_ moe: MoEWeights, withShared: Bool = true) {
        let assignment = space.assignment
        let sharedExpert = withShared ? moe.shared : nil
        let shared = sharedExpert.map {
            ProductJob(
                $0.down, kind, input: space.shared.rows, output: space.mixed.rows, rowCount: rows, adds: true)
        }
        // A chunk's products are bound by arithmetic, so that there it matters little where the weights lie.
        let isMade = kind == .window && !assignment.areCutEvenly
        if isMade { makeOutputs(sharedExpert?.down) }
        let width = configuration.hiddenSize
        let slots = Int(assignment.firstSlot.pointer[assignment.activeCount])
        let slices = sliceCount(slots * configuration.expertIntermediateSize * width)
        for index in 0..<slices {
            run(
                ExpertOutputPhase(
                    kernels: kernels, activeCount: assignment.activeCount,
                    active: Slice(index: index, count: slices).of(0..<assignment.activeCount),
                    copies: UnsafePointer(assignment.copies.pointer),
                    firstSlot: UnsafePointer(assignment.firstSlot.pointer),
                    slotRow: UnsafePointer(assignment.slotRow.pointer),
                    slotWeight: UnsafePointer(assignment.slotWeight.pointer), slots: space.slots.rows,
                    made: isMade
                        ? .init(slots: space.outputs.rows, shared: shared == nil ? nil : space.sharedOutput.rows) : nil,
                    shared: shared, mixed: space.mixed.rows, residual: space.residual.rows, kind: kind, rowCount: rows,
                    width: width, columnCut: workers.columnCut, scratch: workers.scratch))
        }
    }

    /// Down projections of the slots and of the shared expert, each made by the team that has the weights.
    private func makeOutputs(_ shared: Linear?) {
        let assignment = space.assignment
        for i in 0..<assignment.activeCount {
            let (first, count) = assignment.slots(i)
            let input = foretoken_rows(base: space.slots[row: first], stride: space.slots.stride, index: nil)
            let output = foretoken_rows(base: space.outputs[row: first], stride: space.outputs.stride, index: nil)
            space.jobs.pointer[i] = ProductJob(
                assignment.copies.pointer[i].down, input: input, output: output, rowCount: count)
        }
        if let shared {
            space.jobs.pointer[assignment.activeCount] = ProductJob(
                shared, input: space.shared.rows, output: space.sharedOutput.rows, rowCount: rows)
        }
        runJobs(assignment.activeCount + (shared == nil ? 0 : 1))
    }

    /// The routed experts alone, `rows` normalised rows all to the same ones, for measurements.
    func runExperts(_ moe: MoEWeights, rows: Int, chosen: [Int32]) {
        self.rows = rows
        let assignment = space.assignment
        assignment.assign(chosen, rows: rows)
        assignment.chooseCopies(moe.experts)
        activate(space.normed.rows, beside: nil)
        combine(moe, withShared: false)
    }
}
