import ForetokenHardware

/// Makes the buffers of whatever is described to it, or only counts their bytes: the fit check before loading and the
/// memory itself come from one description.
struct BufferMaker {
    /// Bytes of all buffers so far.
    private(set) var byteCount = 0
    private let onlyCounts: Bool

    /// Makes buffers.
    init() { onlyCounts = false }

    private init(onlyCounts: Bool) { self.onlyCounts = onlyCounts }

    /// Bytes of the buffers that `describe` asks for. It gets empty ones.
    static func bytes(_ describe: (inout BufferMaker) throws -> Void) rethrows -> Int {
        var maker = BufferMaker(onlyCounts: true)
        try describe(&maker)
        return maker.byteCount
    }

    /// Rows of floats, zero at first.
    /// - Throws: `HardwareError` when the memory cannot be had.
    mutating func floats(rows: Int, columns: Int) throws -> FloatBuffer {
        byteCount += MemoryArena.footprint(byteCount: FloatBuffer.byteCount(rows: rows, columns: columns))
        return try FloatBuffer(rows: onlyCounts ? 0 : rows, columns: columns)
    }

    /// Elements, zero at first.
    /// - Throws: `HardwareError` when the memory cannot be had.
    mutating func elements<Element: BitwiseCopyable>(_ count: Int) throws -> ScratchBuffer<Element> {
        byteCount += MemoryArena.footprint(byteCount: max(1, count * MemoryLayout<Element>.stride))
        return try ScratchBuffer(count: onlyCounts ? 0 : count)
    }
}
