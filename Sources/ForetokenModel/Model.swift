import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// An instruction set that was asked for and cannot be used.
public struct InstructionSetError: Error, CustomStringConvertible, Sendable {
    /// What was asked for, and what there is.
    public let description: String
}

/// Names of the instruction sets this build has kernels for.
public enum InstructionSet {
    /// All names, widest first.
    public static var all: [String] {
        var names: [String] = []
        var next = foretoken_kernels_names()
        while let name = next?.pointee {
            names.append(String(cString: name))
            next = next?.successor()
        }
        return names
    }

    /// The names this machine can execute, widest first.
    public static var available: [String] { all.filter { foretoken_kernels_named($0) != nil } }

    /// The kernels of a set that a model already runs with.
    package static func known(_ name: String) -> UnsafePointer<foretoken_kernels> {
        guard let table = foretoken_kernels_named(name) else {
            preconditionFailure("expected an instruction set of this machine, found '\(name)'")
        }
        return table
    }

    static func table(_ name: String?) throws -> KernelTable {
        guard let name else { return foretoken_kernels_best() }
        if let table = foretoken_kernels_named(name) { return table }
        let reason = all.contains(name) ? "is not supported by this processor" : "is unknown"
        throw InstructionSetError(
            description:
                "instruction set '\(name)' \(reason); this machine can run: \(available.joined(separator: ", "))")
    }
}

/// What runs steps: workers, kernels and the memory of a step, without a text.
final class Machinery {
    let configuration: ModelConfiguration
    let kernels: KernelTable
    let pool: WorkerPool
    let workers: WorkerTables
    let windows, chunks: Decoder
    let traffic: TrafficMeter
    /// Where hosts share the model, the others.
    let others: OtherHosts?

    init(weights: ModelWeights, kernels: KernelTable, pool: WorkerPool, others: OtherHosts?) throws {
        self.others = others
        configuration = weights.configuration
        self.kernels = kernels
        self.pool = pool
        workers = try WorkerTables(
            weights.configuration, pool: pool, nodes: weights.nodes, host: weights.host)
        traffic = try TrafficMeter(weights)
        windows = try Decoder(
            .window, weights: weights, kernels: kernels, pool: pool, workers: workers, traffic: traffic, others: others)
        chunks = try Decoder(
            .chunk, weights: weights, kernels: kernels, pool: pool, workers: workers, traffic: traffic, others: others)
    }

    func decoder(_ kind: StepKind) -> Decoder { kind == .window ? windows : chunks }
}

/// Weights ready to run on a pool of workers with one table of kernels: verifier, draft head, and the texts they run. All
/// of it must be used from one thread.
public final class Model {
    /// The packed weights.
    public let weights: ModelWeights
    /// The workers all phases run on.
    public let pool: WorkerPool
    /// Name of the kernels' instruction set.
    public let instructionSet: String
    /// The main model.
    public let verifier: Verifier
    /// The MTP modules; nil when the checkpoint has none.
    public let draftHead: MTPHead?
    let machinery: Machinery
    /// The other hosts; nil where there are none.
    package var others: OtherHosts? { machinery.others }

    /// The checkpoint's shape.
    public var configuration: ModelConfiguration { weights.configuration }

    /// - Parameter instructionSet: one of `InstructionSet.available`; nil for the best.
    /// - Throws: `InstructionSetError`; `HardwareError` when scratch memory cannot be had.
    public convenience init(weights: ModelWeights, pool: WorkerPool, instructionSet: String? = nil) throws {
        try self.init(weights: weights, pool: pool, instructionSet: instructionSet, others: nil)
    }

    /// The same of weights that hosts share.
    /// - Parameter others: the other hosts; nil where there are none.
    package init(weights: ModelWeights, pool: WorkerPool, instructionSet: String? = nil, others: OtherHosts?) throws {
        precondition(weights.host.isPart == (others != nil), "who has a part of a model knows the other hosts")
        let kernels = try InstructionSet.table(instructionSet)
        self.weights = weights
        self.pool = pool
        self.instructionSet = String(cString: kernels.pointee.name)
        machinery = try Machinery(weights: weights, kernels: kernels, pool: pool, others: others)
        verifier = try Verifier(weights: weights, machinery: machinery)
        draftHead = weights.modules.isEmpty ? nil : try MTPHead(weights: weights, machinery: machinery)
    }

    /// By node: what windows of generated tokens have read from it so far.
    public var traffic: [NodeTraffic] { machinery.traffic.reading(pool) }

    /// The windows of generated tokens so far, those of prompts' ends among them.
    public var windows: WindowCounts { machinery.traffic.windows }

    /// Bytes of pages and scratch, weights not counted.
    ///
    /// - Parameters:
    ///   - modules: MTP modules that will draft.
    ///   - contexts: tokens of each text that is to be there at once.
    ///   - workers: threads, each of which has scratch of its own.
    /// - Throws: `HardwareError` when not even memory to count with can be had.
    public static func workingBytes(
        _ configuration: ModelConfiguration, modules: Int, contexts: [Int], cacheType: CacheType, workers: Int
    ) throws -> Int {
        let pages = cacheBytes(configuration, modules: modules, contexts: contexts, cacheType: cacheType)
        let texts = try contexts.count * TokenSequence.rowBytes(configuration, modules: modules)
        let machinery = try BufferMaker.bytes { try makeBuffers(configuration, modules, workers, &$0) }
        let scratch = 4 * workers * WorkerScratch.floatCount(configuration, rows: Workspace.chunkRows)
        return pages + texts + machinery + scratch
    }

    /// Every buffer that a model has, where its weights are cut over nodes: otherwise there are a few less.
    private static func makeBuffers(
        _ c: ModelConfiguration, _ modules: Int, _ workers: Int, _ make: inout BufferMaker
    ) throws {
        for kind in StepKind.allCases {
            _ = try Workspace(c, rows: kind.mostRows, nodes: 1, isCut: true, &make)
            _ = try SelectionSpace.make(c, rows: kind.mostRows, &make)
        }
        _ = try Verifier.hiddenRows(c, &make)
        _ = try LMHeadRunner.Buffers(c, workers: workers, &make)
        guard modules > 0 else { return }
        _ = try MTPHead.Buffers(width: c.hiddenSize, modules: modules, &make)
        _ = try LMHeadRunner.Buffers(c, workers: workers, &make)
    }

    /// Bytes of latents that each position of a text takes.
    /// - Parameter modules: MTP modules that will draft.
    public static func cacheBytesPerPosition(
        _ configuration: ModelConfiguration, modules: Int, cacheType: CacheType
    ) -> Int {
        PageShape(configuration, modules: modules, type: cacheType).pageBytes / LatentPool.pagePositions
    }

    /// Bytes of the pages of texts of so many positions each.
    /// - Parameter modules: MTP modules that will draft.
    public static func cacheBytes(
        _ configuration: ModelConfiguration, modules: Int, contexts: [Int], cacheType: CacheType
    ) -> Int {
        contexts.reduce(0) { $0 + LatentPool.pages(forPositions: $1) }
            * PageShape(configuration, modules: modules, type: cacheType).pageBytes
    }

    private func pageShape(_ cacheType: CacheType, drafting: Bool) -> PageShape {
        PageShape(
            configuration, modules: drafting ? draftHead?.moduleCount ?? 0 : 0, type: cacheType, host: weights.host)
    }

    /// Bytes of one page of latents.
    public func pageBytes(cacheType: CacheType, drafting: Bool) -> Int {
        pageShape(cacheType, drafting: drafting).pageBytes
    }

    /// Memory for the latents of texts that draft or do not.
    /// - Throws: `HardwareError` when it cannot be had.
    public func makePool(pages: Int, cacheType: CacheType = .f32, drafting: Bool = true) throws -> LatentPool {
        let shape = pageShape(cacheType, drafting: drafting)
        return try LatentPool(shape, pages: pages, home: weights.nodes.sharedHome, others: others)
    }

    /// An empty text of up to `context` positions.
    /// - Parameter pool: has pages enough for it.
    /// - Throws: `HardwareError` when memory for its rows cannot be had.
    public func makeSequence(context: Int, in pool: LatentPool) throws -> TokenSequence {
        try TokenSequence(configuration, pool: pool, capacity: context)
    }

    /// An empty text with pages of its own.
    /// - Throws: `HardwareError` when its memory cannot be had.
    public func makeSequence(context: Int, cacheType: CacheType = .f32, drafting: Bool = true) throws -> TokenSequence {
        let pages = LatentPool.pages(forPositions: context)
        return try makeSequence(
            context: context, in: makePool(pages: pages, cacheType: cacheType, drafting: drafting))
    }
}
