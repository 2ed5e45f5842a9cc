import Glibc
import Synchronization

/// Which of the MTP modules' own embedding and lm_head copies really differ from the main model's. Published checkpoints
/// repeat both tables; packing a repetition would cost its size again for nothing.
struct SharedCopies: Sendable {
    /// One module's tables, each nil where it is absent or repeats the main one.
    struct OwnTables: Sendable {
        let embedding: LinearSource?
        let lmHead: LinearSource?
    }

    let modules: [OwnTables]

    /// Every copy a repetition: the least memory that the layout can need.
    static func allRepeated(_ layout: WeightLayout) -> SharedCopies {
        SharedCopies(modules: layout.mtp.map { _ in OwnTables(embedding: nil, lmHead: nil) })
    }

    /// Compares the tables byte for byte; of a full-size model that reads several gigabytes.
    /// - Parameter tick: called again and again meanwhile.
    fileprivate init(_ checkpoint: Checkpoint, _ layout: WeightLayout, tick: () throws -> Void) throws {
        modules = try layout.mtp.map {
            OwnTables(
                embedding: try Self.differing($0.embedding, from: layout.embedding, in: checkpoint, tick),
                lmHead: try Self.differing($0.lmHead, from: layout.lmHead, in: checkpoint, tick))
        }
    }

    private init(modules: [OwnTables]) { self.modules = modules }

    /// What one layout's tables came to, once they have been compared: a plan for the experts wants to know it as well as
    /// the loader.
    final class Memory: Sendable {
        private let found = Mutex<SharedCopies?>(nil)

        fileprivate func copies(_ make: () throws -> SharedCopies) rethrows -> SharedCopies {
            try found.withLock { found in
                if let found { return found }
                let made = try make()
                found = made
                return made
            }
        }
    }

    private static func differing(
        _ copy: LinearSource?, from main: LinearSource, in checkpoint: Checkpoint, _ tick: () throws -> Void
    ) throws -> LinearSource? {
        guard let copy else { return nil }
        guard try areEqual(copy.weight, main.weight, in: checkpoint, tick) else { return copy }
        switch (copy.scale, main.scale) {
        case (nil, nil): return nil
        case (let a?, let b?): return try areEqual(a, b, in: checkpoint, tick) ? nil : copy
        default: return copy
        }
    }

    private static func areEqual(
        _ a: TensorInfo, _ b: TensorInfo, in checkpoint: Checkpoint, _ tick: () throws -> Void
    ) throws -> Bool {
        guard a.type == b.type, a.shape == b.shape else { return false }
        let chunk = 1 << 20
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * chunk, alignment: 64)
        defer { buffer.deallocate() }
        for start in stride(from: 0, to: a.range.count, by: chunk) {
            try tick()
            let count = min(chunk, a.range.count - start)
            let left = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
            let right = UnsafeMutableRawBufferPointer(rebasing: buffer[chunk..<chunk + count])
            try checkpoint.read(a, fromByte: start, into: left)
            try checkpoint.read(b, fromByte: start, into: right)
            if memcmp(left.baseAddress!, right.baseAddress!, count) != 0 { return false }
        }
        return true
    }
}

extension WeightLayout {
    /// Which copies differ from the main tables; compared when it is asked for the first time.
    ///
    /// - Parameters:
    ///   - checkpoint: the files the layout is of.
    ///   - tick: called again and again while tables are compared.
    /// - Throws: `CheckpointError` when a file cannot be read.
    func sharedCopies(_ checkpoint: Checkpoint, tick: () throws -> Void = {}) throws -> SharedCopies {
        try comparedCopies.copies { try SharedCopies(checkpoint, self, tick: tick) }
    }
}
