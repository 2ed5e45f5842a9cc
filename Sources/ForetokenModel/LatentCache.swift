import CForetokenKernels
import ForetokenHardware

/// Element type of the latent cache.
public enum CacheType: String, Sendable, CaseIterable {
    /// Latents as computed.
    case f32
    /// Latents rounded to BF16 before any row reads them; half the memory.
    case bf16

    var format: Int32 {
        switch self {
        case .f32: Int32(FORETOKEN_F32.rawValue)
        case .bf16: Int32(FORETOKEN_BF16.rawValue)
        }
    }

    /// Bytes of one element.
    public var elementBytes: Int { self == .f32 ? 4 : 2 }
}

/// What attention remembers of the context: per layer and position one latent and one rotated key, nothing per head.
/// Entries lie in the interleaved groups that the attention kernels read. Every head reads every entry, so that no node is
/// nearer to the cache than another.
final class LatentCache {
    let capacity: Int
    let type: CacheType
    let byteCount: Int
    private let rank: Int
    private let rope: Int
    private let layerBytes: Int
    private let arena: MemoryArena
    private let base: UnsafeMutableRawPointer

    static func byteCount(layers: Int, capacity: Int, width: Int, type: CacheType) -> Int {
        layers * layerBytes(capacity: capacity, width: width, type: type)
    }

    /// Whole groups of entries, to the next cache line.
    private static func layerBytes(capacity: Int, width: Int, type: CacheType) -> Int {
        let group = Int(FORETOKEN_ENTRY_GROUP)
        return ((capacity + group - 1) / group * group * width * type.elementBytes + 63) & ~63
    }

    /// - Throws: `HardwareError` when the memory cannot be had.
    init(layers: Int, capacity: Int, rank: Int, rope: Int, type: CacheType, home: MemoryHome) throws {
        self.capacity = capacity
        self.type = type
        self.rank = rank
        self.rope = rope
        layerBytes = Self.layerBytes(capacity: capacity, width: rank + rope, type: type)
        byteCount = Self.byteCount(layers: layers, capacity: capacity, width: rank + rope, type: type)
        arena = try MemoryArena(byteCount: byteCount, home: home)
        base = arena.allocate(byteCount: byteCount)
    }

    /// One layer's entries.
    func layer(_ index: Int) -> foretoken_latents {
        foretoken_latents(
            entries: base + index * layerBytes, format: type.format, rank: Int32(rank), rope: Int32(rope))
    }
}
