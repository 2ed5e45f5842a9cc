import ForetokenHardware
import Glibc

/// What this process may not have of the system, so that it cannot work.
struct LimitError: Error, CustomStringConvertible {
    let description: String
}

/// Limits of the shell's `ulimit` under which the program could only crash: nobody can catch a stack that ends or memory
/// that is not there.
enum ProcessLimits {
    /// What a chat template takes of the stack at its deepest, in bytes; in debug builds more than half of this.
    static let stackBytes = 4 << 20
    /// What the libraries and the smallest commands map beyond what is mapped at the start, in bytes.
    static let leastAddressSpace = 16 << 20

    /// Raises the limit of the main thread's stack if it is too low. The other threads' stacks are made as large as they need.
    /// - Throws: `LimitError` where the system does not allow that.
    static func makeRoomForStack() throws {
        var limit = rlimit()
        let needed = rlim_t(stackBytes)
        let stack = __rlimit_resource_t(RLIMIT_STACK.rawValue)
        guard getrlimit(stack, &limit) == 0, limit.rlim_cur < needed else { return }
        guard limit.rlim_max >= needed else {
            throw LimitError(
                description: "ulimit -s allows a stack of \(limit.rlim_max >> 10) KiB, but up to \(needed >> 10) KiB "
                    + "are needed; use ulimit -s 8192")
        }
        limit.rlim_cur = needed
        guard setrlimit(stack, &limit) == 0 else {
            throw LimitError(description: "raising ulimit -s: \(String(cString: strerror(errno)))")
        }
    }

    /// Refuses a limit that has no room for any command.
    static func checkAddressSpace() throws {
        guard let available = AddressSpace.available, available < leastAddressSpace else { return }
        throw LimitError(
            description:
                "ulimit -v leaves \(available >> 10) KiB of address space, but at least \(leastAddressSpace >> 10) "
                + "KiB are needed; use ulimit -v unlimited")
    }
}
