import Glibc

/// Which memory policy calls the system lets this process make. Containers deny some or all of them.
///
/// A plain value: probe once at the start, before threads are pinned, and hand it down.
public struct MemoryPolicySupport: Sendable, Equatable {
    /// Why memory cannot be bound to nodes (mbind), as an `errno` value; 0 where it can.
    public let bindError: Int32
    /// Why a thread's own policy cannot be set (set_mempolicy), as an `errno` value; 0 where it can.
    public let threadError: Int32
    /// Why the kernel does not tell where pages lie (move_pages), as an `errno` value; 0 where it does.
    public let locateError: Int32

    /// Nothing is known to be denied: every call is made, and a denial shows then.
    public static let untried = MemoryPolicySupport(bindError: 0, threadError: 0, locateError: 0)

    /// A support made by hand.
    public init(bindError: Int32, threadError: Int32, locateError: Int32) {
        self.bindError = bindError
        self.threadError = threadError
        self.locateError = locateError
    }

    /// What a probe of all calls says of these.
    public init(_ permissions: PolicyPermissions) {
        self.init(
            bindError: permissions.bind.error, threadError: permissions.setPolicy.error,
            locateError: permissions.query.error)
    }

    /// Tries each call once, on one page.
    /// - Throws: `HardwareError` when there is no memory to try on.
    public static func probe() throws -> MemoryPolicySupport { MemoryPolicySupport(try .probe()) }

    /// Whether memory can be bound to nodes. Otherwise it lies where the thread runs that touches it first.
    public var canBind: Bool { bindError == 0 }
    /// Whether move_pages tells where pages lie. Otherwise /proc/self/numa_maps does, area by area.
    public var canLocate: Bool { locateError == 0 }

    /// Whether an `errno` value means that a call is not for this process, rather than that its arguments are wrong.
    static func isDenial(_ code: Int32) -> Bool { code == EPERM || code == ENOSYS || code == EACCES }
}

extension MemoryPolicySupport: CustomStringConvertible {
    /// One line for the user.
    public var description: String {
        let places = "move_pages is denied (\(Self.name(locateError))), so page places come from numa_maps"
        switch (canBind, canLocate) {
        case (true, true): return "memory can be bound to nodes, and move_pages tells where its pages lie"
        case (true, false): return "memory can be bound to nodes; \(places)"
        case (false, _) where bindError == ENOSYS:
            return "this kernel has no memory policy calls (ENOSYS); memory is placed by first touch"
        case (false, true):
            return "memory policy calls are denied (\(Self.name(bindError))); placed by first touch; "
                + "run with --cap-add SYS_NICE to bind memory to nodes"
        case (false, false):
            return "memory policy calls are denied (\(Self.name(bindError))); placed by first touch and verified "
                + "through numa_maps; run with --cap-add SYS_NICE to bind memory to nodes"
        }
    }

    private static func name(_ code: Int32) -> String {
        switch code {
        case EPERM: "EPERM"
        case ENOSYS: "ENOSYS"
        case EACCES: "EACCES"
        default: "errno \(code)"
        }
    }
}
