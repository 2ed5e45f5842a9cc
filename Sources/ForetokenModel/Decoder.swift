import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Runs decoder layers over the rows in a workspace. It holds the machinery, not the model: weights and cache come with
/// each call, so that main layers and MTP blocks share it.
final class Decoder {
    let configuration: ModelConfiguration
    let kernels: KernelTable
    let pool: WorkerPool
    let space: Workspace
    /// Set while a step is looked at.
    var observation: Observation?
    private let rotation: Rotation
    private let sigma: Float

    /// What steps of a window's size read from each node.
    let traffic: TrafficMeter

    init(weights: ModelWeights, kernels: KernelTable, pool: WorkerPool) throws {
        configuration = weights.configuration
        self.kernels = kernels
        self.pool = pool
        traffic = try TrafficMeter(weights)
        space = try Workspace(configuration, pool: pool, nodes: weights.nodes)
        rotation = Rotation(configuration)
        sigma = configuration.attentionScale
    }

    /// Prepares a step of `rows` rows whose first has the given position. The residual rows are the caller's to fill.
    func begin(rows: Int, position: Int) {
        for row in 0..<rows {
            rotation.fill(space.cosines[row: row], space.sines[row: row], position: position + row)
        }
    }

    /// One layer: x += Attention(norm x); x += FeedForward(norm x). New latents go to `cache` from `position` on.
    func run(_ layer: LayerWeights, _ cache: foretoken_latents, rows: Int, position: Int) {
        finish(layer, compress(layer.attention, cache, rows, position, firstWanted: 0), cache, rows, position)
    }

    /// The same for the last row alone, as residual row 0: of the rows before it only the latents are kept, which is all
    /// that later rows of this layer will read of them.
    func runLast(_ layer: LayerWeights, _ cache: foretoken_latents, rows: Int, position: Int) {
        let last = rows - 1
        let query = compress(layer.attention, cache, rows, position, firstWanted: last)
        if last > 0 {
            moveToFront(space.residual, last)
            moveToFront(space.normed, last)
            moveToFront(space.cosines, last)
            moveToFront(space.sines, last)
        }
        finish(layer, query, cache, 1, position + last)
    }

    private func moveToFront(_ buffer: FloatBuffer, _ row: Int) {
        buffer.base.update(from: buffer[row: row], count: buffer.stride)
    }

    /// output[row] = norm(input[row]) ⊙ weight.
    func normalise(_ input: FloatBuffer, _ weight: FloatVector, into output: FloatBuffer, _ rows: Int) {
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
        pool.run(
            ProductPhase(
                kernels: kernels, jobs: UnsafePointer(space.jobs.pointer), jobCount: count, scratch: space.scratch))
    }

    // MARK: Attention

    /// Compresses keys and values of all rows into the cache, and the queries of the rows from `firstWanted` on. Returns
    /// what makes those queries.
    private func compress(
        _ weights: AttentionWeights, _ cache: foretoken_latents, _ rows: Int, _ position: Int, firstWanted: Int
    ) -> ProductJob {
        normalise(space.residual, weights.inputNorm, into: space.normed, rows)
        show(.attentionNorm, space.normed, width: configuration.hiddenSize, rows: rows)
        let wanted = rows - firstWanted
        let input = foretoken_rows(base: space.normed[row: firstWanted], stride: space.normed.stride, index: nil)
        let latent = ProductJob(
            weights.latentDown, input: space.normed.rows, output: space.latent.rows, rowCount: rows)
        guard let down = weights.queryDown, let norm = weights.queryNorm else {
            multiply(latent)
            store(weights, cache, rows, position)
            // `runLast` moves the wanted row to the front.
            return ProductJob(
                weights.queryUp, input: space.normed.rows, output: space.query.rows, rowCount: wanted)
        }
        multiply(ProductJob(down, input: input, output: space.queryRank.rows, rowCount: wanted), latent)
        show(.queryDown, space.queryRank, width: down.rows, rows: wanted)
        store(weights, cache, rows, position)
        pool.runRows(
            NormPhase(
                kernels: kernels, input: space.queryRank.rows, weight: norm.values, output: space.queryRank.rows,
                width: down.rows, epsilon: Self.latentNormEpsilon, rowCount: wanted))
        return ProductJob(weights.queryUp, input: space.queryRank.rows, output: space.query.rows, rowCount: wanted)
    }

    /// Attention and feed-forward of rows whose latents are in the cache.
    private func finish(
        _ layer: LayerWeights, _ query: ProductJob, _ cache: foretoken_latents, _ rows: Int, _ position: Int
    ) {
        attend(layer.attention, query, cache, rows, position)
        multiply(
            ProductJob(
                layer.attention.output, input: space.attended.rows, output: space.residual.rows, rowCount: rows,
                adds: true))
        show(.attentionOutput, space.residual, width: configuration.hiddenSize, rows: rows)
        normalise(space.residual, layer.feedForwardNorm, into: space.normed, rows)
        show(.feedForwardNorm, space.normed, width: configuration.hiddenSize, rows: rows)
        switch layer.feedForward {
        case .dense(let mlp): dense(mlp, rows)
        case .moe(let experts): mixture(experts, rows)
        }
        show(.feedForwardOutput, space.residual, width: configuration.hiddenSize, rows: rows)
    }

    /// The reference implementation gives q_a_layernorm and kv_a_layernorm its default epsilon, whatever the config says.
    private static let latentNormEpsilon: Float = 1e-6

    /// Finishes the latents and appends them to the cache.
    private func store(_ weights: AttentionWeights, _ cache: foretoken_latents, _ rows: Int, _ position: Int) {
        let width = Int(cache.rank + cache.rope)
        show(.latentDown, space.latent, width: width, rows: rows)
        pool.runRows(
            LatentPhase(
                kernels: kernels, latent: space.latent.rows, weight: weights.latentNorm.values,
                epsilon: Self.latentNormEpsilon, cosines: space.cosines.rows, sines: space.sines.rows, cache: cache,
                position: position, rowCount: rows))
        show(.latent, space.latent, width: width, rows: rows)
    }

    private func attend(
        _ weights: AttentionWeights, _ query: ProductJob, _ cache: foretoken_latents, _ rows: Int, _ position: Int
    ) {
        let step = AttentionStep(
            kernels: kernels, keyUp: weights.keyUp, valueUp: weights.valueUp, cache: cache,
            query: space.query.rows, cosines: space.cosines.rows, sines: space.sines.rows,
            output: space.attended.rows, rowCount: rows, firstPosition: position,
            nope: configuration.nopeDimension, value: configuration.valueDimension, sigma: sigma,
            headCut: space.headCut, scratch: space.scratch)
        let isWindow = rows <= Workspace.narrowRows
        if !isWindow { multiply(query) }
        if isWindow || AbsorbedAttentionPhase.isShorter(configuration, rows: rows) {
            pool.run(
                AbsorbedAttentionPhase(
                    step: step, query: isWindow ? query : nil, absorbed: space.absorbed.rows,
                    mixed: space.mixedLatents.rows))
        } else {
            pool.run(PromptAttentionPhase(step: step))
        }
        showAttention(rows)
    }

    // MARK: Feed-forward

    private func dense(_ mlp: MLPWeights, _ rows: Int) {
        multiply(
            ProductJob(
                gate: mlp.gate, up: mlp.up, input: space.normed.rows, output: space.shared.rows, rowCount: rows))
        show(.shared, space.shared, width: mlp.gate.rows, rows: rows)
        multiply(
            ProductJob(mlp.down, input: space.shared.rows, output: space.residual.rows, rowCount: rows, adds: true))
    }

    private func mixture(_ experts: MoEWeights, _ rows: Int) {
        let input = space.normed.rows
        let shared = experts.shared.map {
            ProductJob(gate: $0.gate, up: $0.up, input: input, output: space.shared.rows, rowCount: rows)
        }
        let router = ProductJob(experts.router, input: input, output: space.routerLogits.rows, rowCount: rows)
        if experts.router.byteCount <= Self.smallRouterBytes {
            route(experts, router, rows, makesLogits: true)
            activate(input, rows, beside: shared)
        } else {
            multiply(router, shared)
            route(experts, router, rows, makesLogits: false)
            activate(input, rows, beside: nil)
        }
        showExperts()
        if let shared = experts.shared {
            show(.shared, space.shared, width: shared.gate.rows, rows: rows)
        }
        combine(experts, rows)
        show(.experts, space.mixed, width: configuration.hiddenSize, rows: rows)
    }

    /// A router this small stays in the L1 cache while rows pass through it, and takes less time than a meeting.
    private static let smallRouterBytes = 32 << 10

    /// Groups the rows by expert.
    private func route(_ experts: MoEWeights, _ product: ProductJob, _ rows: Int, makesLogits: Bool) {
        let router = foretoken_router(
            bias: experts.bias.values, experts: Int32(configuration.routedExpertCount),
            groups: Int32(configuration.expertGroupCount), kept_groups: Int32(configuration.keptGroupCount),
            chosen: Int32(configuration.expertsPerToken), scale: configuration.routedScalingFactor,
            normalise: configuration.normalizesExpertWeights)
        pool.runRows(
            RoutePhase(
                kernels: kernels, router: router, product: product, makesLogits: makesLogits,
                chosen: space.experts.chosen.pointer, weights: space.experts.weights.pointer, scratch: space.scratch,
                rowCount: rows))
        show(.router, space.routerLogits, width: configuration.routedExpertCount, rows: rows)
        space.experts.group(rows: rows)
        space.experts.chooseCopies(experts.experts)
        showRouting(rows: rows)
    }

    /// SwiGLU rows of every active expert: each expert's weights are read once for all its rows.
    private func activate(_ input: foretoken_rows, _ rows: Int, beside shared: ProductJob?) {
        let assignment = space.experts
        traffic.count(assignment)
        for i in 0..<assignment.activeCount {
            let copy = assignment.copies.pointer[i]
            let (first, count) = assignment.slots(i)
            let gathered = foretoken_rows(
                base: input.base, stride: input.stride, index: assignment.slotRow.pointer + first)
            let slots = foretoken_rows(base: space.slots[row: first], stride: space.slots.stride, index: nil)
            space.jobs.pointer[i] = ProductJob(
                gate: copy.gate, up: copy.up, input: gathered, output: slots, rowCount: count)
        }
        if let shared { space.jobs.pointer[assignment.activeCount] = shared }
        runJobs(assignment.activeCount + (shared == nil ? 0 : 1))
    }

    private func combine(_ experts: MoEWeights, _ rows: Int, withShared: Bool = true) {
        let assignment = space.experts
        let sharedExpert = withShared ? experts.shared : nil
        let shared = sharedExpert.map {
            ProductJob(
                $0.down, input: space.shared.rows, output: space.mixed.rows, rowCount: rows, adds: true)
        }
        // A chunk's products are bound by arithmetic, so that there it matters little where the weights lie.
        let isMade = rows <= Workspace.narrowRows && !assignment.areCutEvenly
        if isMade { makeOutputs(sharedExpert?.down, rows) }
        pool.run(
            ExpertOutputPhase(
                kernels: kernels, activeCount: assignment.activeCount,
                copies: UnsafePointer(assignment.copies.pointer),
                firstSlot: UnsafePointer(assignment.firstSlot.pointer),
                slotRow: UnsafePointer(assignment.slotRow.pointer),
                slotWeight: UnsafePointer(assignment.slotWeight.pointer), slots: space.slots.rows,
                made: isMade
                    ? .init(slots: space.outputs.rows, shared: shared == nil ? nil : space.sharedOutput.rows) : nil,
                shared: shared, mixed: space.mixed.rows, residual: space.residual.rows, rowCount: rows,
                width: configuration.hiddenSize, columnCut: space.columnCut, scratch: space.scratch))
    }

    /// Down projections of the slots and of the shared expert, each made by the group that has the weights.
    private func makeOutputs(_ shared: Linear?, _ rows: Int) {
        let assignment = space.experts
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
    func runExperts(_ experts: MoEWeights, rows: Int, chosen: [Int32]) {
        let assignment = space.experts
        assignment.assign(chosen, rows: rows)
        assignment.chooseCopies(experts.experts)
        activate(space.normed.rows, rows, beside: nil)
        combine(experts, rows, withShared: false)
    }
}
