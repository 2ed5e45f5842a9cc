import CForetokenSystem

/// The address space that a limit (`ulimit -v`) leaves to this process. Mappings count against it, touched or not.
public enum AddressSpace {
    /// What is mapped for each thread that multiplies, in bytes: a buffer of OpenBLAS, 128 MiB, and the C library's heap of
    /// a thread, 64 MiB. Where the system refuses OpenBLAS, it asks again without an end, so that a prompt would never be
    /// read.
    public static let productBuffer = 192 << 20

    /// The limit in bytes; nil without one.
    public static var limit: Int? {
        let limit = foretoken_address_space_limit()
        return limit > UInt64(Int.max) ? nil : Int(limit)
    }

    /// Bytes left below the limit; nil without one, and where it is not known how much is used.
    public static var available: Int? {
        guard let limit, let used = ProcessMemory.read()?.mapped else { return nil }
        return max(0, limit - used)
    }

    /// Refuses what the limit has no room for.
    ///
    /// - Parameters:
    ///   - needed: bytes that will be mapped, without the buffers of products.
    ///   - workers: threads that multiply.
    ///   - what: what the bytes are for, as in "weights, cache and scratch".
    ///   - available: bytes that are left; nil where there is no limit.
    /// - Throws: `HardwareError` of kind `memory` with the numbers.
    public static func check(needed: Int, workers: Int, for what: String, available: Int? = available) throws {
        let buffers = workers * productBuffer
        guard let available, needed > available - buffers else { return }
        throw HardwareError(
            .memory,
            "\(what) need \(MemoryBudget.format(needed)) of address space and products \(MemoryBudget.format(buffers)), "
                + "but ulimit -v leaves \(MemoryBudget.format(available)); use ulimit -v unlimited")
    }
}
