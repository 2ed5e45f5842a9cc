import Glibc

/// Something the machine refused, or said in a form that cannot be used.
public struct HardwareError: Error, Equatable, CustomStringConvertible {
    /// The kind of failure, for callers that react differently to each.
    public enum Kind: Sendable, Equatable {
        /// The caller asked for what makes no sense (a worker count of 0, a repeated CPU).
        case argument
        /// A system call failed.
        case system
        /// A file of /sys or /proc could not be read or understood.
        case file
        /// There is not enough memory.
        case memory
    }

    /// The kind of failure.
    public let kind: Kind
    /// What was expected, what was found, where, and what to do.
    public let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    package static func system(_ what: String, errno code: Int32) -> HardwareError {
        HardwareError(.system, "\(what): \(String(cString: strerror(code))) (errno \(code))")
    }

    /// The name of an errno value that memory and thread calls give, or its number.
    static func symbol(_ code: Int32) -> String {
        switch code {
        case EPERM: "EPERM"
        case ENOSYS: "ENOSYS"
        case EINVAL: "EINVAL"
        case ENODEV: "ENODEV"
        case EACCES: "EACCES"
        case ENOMEM: "ENOMEM"
        default: "errno \(code)"
        }
    }
}
