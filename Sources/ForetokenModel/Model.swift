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

/// Weights ready to run on a pool of workers with one table of kernels. It makes verifiers and draft heads; those of
/// one model share its scratch memory and must be used from one thread.
public final class Model {
    /// The packed weights.
    public let weights: ModelWeights
    /// The workers all phases run on.
    public let pool: WorkerPool
    /// Name of the kernels' instruction set.
    public let instructionSet: String
    let decoder: Decoder

    /// The checkpoint's shape.
    public var configuration: ModelConfiguration { weights.configuration }

    /// - Parameter instructionSet: one of `InstructionSet.available`; nil for the best.
    /// - Throws: `InstructionSetError`; `HardwareError` when scratch memory cannot be had.
    public init(weights: ModelWeights, pool: WorkerPool, instructionSet: String? = nil) throws {
        let kernels = try InstructionSet.table(instructionSet)
        self.weights = weights
        self.pool = pool
        self.instructionSet = String(cString: kernels.pointee.name)
        decoder = try Decoder(weights: weights, kernels: kernels, pool: pool)
    }

    /// By node: what verify steps have read from it so far, over all verifiers and draft heads.
    public var traffic: [NodeTraffic] { decoder.traffic.reading(pool) }

    /// Bytes of caches and scratch, weights not counted.
    ///
    /// - Parameters:
    ///   - modules: MTP modules that will draft.
    ///   - context: tokens that the caches are to hold.
    ///   - workers: threads, each of which has scratch of its own.
    public static func workingBytes(
        _ configuration: ModelConfiguration, modules: Int, context: Int, cacheType: CacheType, workers: Int
    ) -> Int {
        let cache = LatentCache.byteCount(
            layers: configuration.layerCount + modules, capacity: context + MTPHead.maximumDrafts,
            width: configuration.latentRank + configuration.ropeDimension, type: cacheType)
        return cache + Workspace.byteCount(configuration, modules: modules, workers: workers)
    }

    /// A verifier with an empty cache for `context` positions.
    /// - Throws: `HardwareError` when its memory cannot be had.
    public func makeVerifier(context: Int, cacheType: CacheType = .f32) throws -> Verifier {
        try Verifier(weights: weights, decoder: decoder, capacity: context, cacheType: cacheType)
    }

    /// A draft head with empty caches for `context` positions, or nil when the checkpoint has no MTP module.
    /// - Throws: `HardwareError` when its memory cannot be had.
    public func makeMTPHead(context: Int, cacheType: CacheType = .f32) throws -> MTPHead? {
        guard !weights.modules.isEmpty else { return nil }
        return try MTPHead(weights: weights, decoder: decoder, capacity: context, cacheType: cacheType)
    }
}
