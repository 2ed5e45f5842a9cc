/// Why the hosts cannot work together. All of them end with the same code, and one says why.
package struct ClusterError: Error, Equatable, CustomStringConvertible {
    /// What the process is to end with: 65 where the hosts do not agree, 1 for launchers and lost hosts, or what the failing
    /// host's own error asks for.
    package let code: Int32
    /// What to say; nil on hosts where another one says it.
    package let message: String?

    /// An error of every host.
    package init(code: Int32, message: String?) {
        self.code = code
        self.message = message
    }

    /// The message, or that there is none.
    package var description: String { message ?? "another host tells why" }

    static let otherCode: Int32 = 1
    static let disagreementCode: Int32 = 65
}

/// What a host's error means to the others.
package struct HostFault: Equatable {
    /// What its process ends with.
    package let code: Int32
    /// What it says.
    package let message: String

    /// Both.
    package init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }
}

/// Work was stopped because another host has failed; `Cluster.settle` tells why.
package struct AnotherHostFailed: Error, CustomStringConvertible {
    /// For the case that nobody settles it.
    package var description: String { "another host has failed" }
}
