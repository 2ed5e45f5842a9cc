import CForetokenHosts
import ForetokenHardware
import ForetokenModel

/// How the hosts of a model talk over MPI.
///
/// One caller at a time, whichever thread it is; `waiting` belongs to it too. A host that does not come to a meeting within
/// the deadline ends all of them, with one line on standard error and code 1.
package final class MPIChannel: HostChannel, @unchecked Sendable {
    /// This host's number, from 0.
    package let rank: Int
    /// Number of hosts.
    package let count: Int
    /// What this host has waited for others.
    package private(set) var waiting = HostWaiting()

    private let ranks: Ranks
    private let patience: Int64

    /// A host that gives signs of life may be slow: at another's meeting it is waited for so many times as long as one that
    /// is silent.
    private static let slowness: Int64 = 10

    init(_ ranks: Ranks) {
        self.ranks = ranks
        rank = ranks.rank
        count = ranks.count
        patience = ranks.patience * Self.slowness
    }

    /// Sends a message to all others; for host 0.
    package func lead(_ message: UnsafeRawBufferPointer) {
        ranks.check(ranks.hosts.pointee.lead(message.baseAddress, message.count, patience), patience: patience)
    }

    /// Waits for host 0's next message, as long as host 0 lives; for the others.
    package func follow(into room: UnsafeMutableRawBufferPointer) -> Int {
        var byteCount = 0
        ranks.check(
            ranks.hosts.pointee.follow(room.baseAddress, room.count, &byteCount, FORETOKEN_HOSTS_PATIENT),
            patience: FORETOKEN_HOSTS_PATIENT)
        return byteCount
    }

    /// Host h has bytes `bounds[h] ..< bounds[h + 1]`, some or none; afterwards all hosts have all.
    package func exchange(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>) {
        let start = MonotonicClock.now
        ranks.check(ranks.hosts.pointee.exchange(bytes, bounds, patience), patience: patience)
        count(bounds, since: start, takes: true)
    }

    /// The same, but only host 0 has all afterwards.
    package func gather(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>) {
        let start = MonotonicClock.now
        ranks.check(ranks.hosts.pointee.gather(bytes, bounds, patience), patience: patience)
        count(bounds, since: start, takes: rank == 0)
    }

    private func count(_ bounds: UnsafePointer<Int>, since start: Int64, takes: Bool) {
        waiting.meetings += 1
        if takes { waiting.bytes += bounds[count] - bounds[0] - (bounds[rank + 1] - bounds[rank]) }
        waiting.nanoseconds += UInt64(MonotonicClock.now - start)
    }
}
