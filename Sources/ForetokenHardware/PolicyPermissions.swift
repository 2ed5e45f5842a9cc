import CForetokenSystem

/// Which of the calls that place memory and threads work here. Containers deny some of them.
public struct PolicyPermissions: Sendable, Equatable {
    /// One system call and what became of it.
    public struct Call: Sendable, Equatable {
        /// The call's name, "move_pages (query)" and "move_pages (move)" being told apart.
        public let name: String
        /// 0 where it works, else the errno value.
        public let error: Int32

        /// A call made by hand.
        public init(_ name: String, error: Int32) {
            self.name = name
            self.error = error
        }
    }

    /// mbind: memory can be bound to a node.
    public let bind: Call
    /// set_mempolicy: a thread's later memory can be bound.
    public let setPolicy: Call
    /// get_mempolicy: policies and allowed nodes can be asked for.
    public let getPolicy: Call
    /// move_pages without targets: it can be asked where pages lie.
    public let query: Call
    /// move_pages with targets: pages can be moved to another node.
    public let move: Call
    /// sched_setaffinity: threads can be pinned to CPUs.
    public let pin: Call

    /// All of them, in the order of the fields.
    public var calls: [Call] { [bind, setPolicy, getPolicy, query, move, pin] }

    /// Permissions made by hand, by errno value; 0 is allowed.
    public init(
        bind: Int32 = 0, setPolicy: Int32 = 0, getPolicy: Int32 = 0, query: Int32 = 0, move: Int32 = 0, pin: Int32 = 0
    ) {
        self.bind = Call("mbind", error: bind)
        self.setPolicy = Call("set_mempolicy", error: setPolicy)
        self.getPolicy = Call("get_mempolicy", error: getPolicy)
        self.query = Call("move_pages (query)", error: query)
        self.move = Call("move_pages (move)", error: move)
        self.pin = Call("sched_setaffinity", error: pin)
    }

    /// Tries every call once, in a way that changes nothing.
    ///
    /// - Throws: `HardwareError` when there is no memory to try on.
    public static func probe() throws -> PolicyPermissions {
        var found = foretoken_permissions()
        let error = foretoken_probe_permissions(&found)
        guard error == 0 else { throw HardwareError.system("mapping a page to try memory policy on", errno: error) }
        return PolicyPermissions(
            bind: found.mbind, setPolicy: found.set_mempolicy, getPolicy: found.get_mempolicy,
            query: found.page_nodes, move: found.move_pages, pin: found.affinity)
    }
}

extension PolicyPermissions.Call {
    /// Whether the call works.
    public var isAllowed: Bool { error == 0 }
    /// "allowed", or "denied (EPERM)".
    public var outcome: String { isAllowed ? "allowed" : "denied (\(HardwareError.symbol(error)))" }
}
