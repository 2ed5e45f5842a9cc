/// How the hosts talk that one model is divided over. All make the same calls in the same order, but that host 0 leads where
/// the others follow. Calls come from one thread at a time. One that cannot be finished does not return but ends the process:
/// without every host no step can go on.
package protocol HostChannel: AnyObject {
    /// This host's number, from 0. Host 0 leads.
    var rank: Int { get }
    /// Number of hosts, 2 or more.
    var count: Int { get }
    /// What this host has waited for others.
    var waiting: HostWaiting { get }

    /// Sends a message to all others; for host 0.
    func lead(_ message: UnsafeRawBufferPointer)
    /// Waits for host 0's next message, as long as it takes; for the others.
    /// - Parameter room: has room for any message.
    /// - Returns: bytes of the message.
    func follow(into room: UnsafeMutableRawBufferPointer) -> Int
    /// Host h has bytes `bounds[h] ..< bounds[h + 1]`, some or none; afterwards all hosts have all.
    func exchange(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>)
    /// The same, but only host 0 has all afterwards.
    func gather(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>)
}

/// What one host has waited for others in exchanges and gathers.
package struct HostWaiting: Sendable, Equatable {
    /// Exchanges and gathers.
    package var meetings = 0
    /// Bytes that came from others.
    package var bytes = 0
    /// Time from a call to its end.
    package var nanoseconds: UInt64 = 0

    /// Nothing.
    package init() {}
}
