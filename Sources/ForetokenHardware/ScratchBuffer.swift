import Glibc

/// A fixed number of elements, zero at first and 64-byte aligned, freed with their owner.
public final class ScratchBuffer<Element: BitwiseCopyable> {
    /// Number of elements.
    public let count: Int
    /// The elements; valid as long as the buffer lives.
    public let pointer: UnsafeMutablePointer<Element>

    /// Allocates `count` elements.
    ///
    /// - Throws: `HardwareError` for a negative count or when memory is out.
    public init(count: Int) throws {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard count >= 0, !overflow, bytes <= Int.max - MemoryArena.alignment else {
            throw HardwareError(.argument, "no scratch buffer can hold \(count) elements")
        }
        // aligned_alloc wants a multiple of the alignment, and an empty buffer still needs a valid pointer.
        let size = MemoryArena.footprint(byteCount: max(bytes, 1))
        guard let memory = aligned_alloc(MemoryArena.alignment, size) else {
            throw HardwareError(.memory, "no memory for \(size) bytes of scratch; load less or use a shorter context")
        }
        memset(memory, 0, size)
        self.count = count
        pointer = memory.bindMemory(to: Element.self, capacity: count)
    }

    deinit { free(pointer) }

    /// The elements as a buffer; valid as long as the owner lives.
    public var elements: UnsafeMutableBufferPointer<Element> { .init(start: pointer, count: count) }
}
