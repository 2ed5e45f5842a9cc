import CForetokenHosts
import ForetokenHardware
import Glibc
import Synchronization

/// The plugin's functions as all of this room use them: a call that fails ends the process, and with it all ranks.
///
/// Safe to share: the plugin lets one thread at a time into MPI, and the rest is behind a lock or never changes.
final class Ranks: @unchecked Sendable {
    private struct State {
        var names: [HostName]
        var deadline: Int64
        var onLoss: (@Sendable () -> Void)?
        var isEnding = false
        /// By rank: nanoseconds since its last sign of life, where this one listens to it.
        var silence: [Int64?]
    }

    private static let second: Int64 = 1_000_000_000
    /// Seconds that a server has to answer its clients, and MPI to end, once a host is lost.
    private static let endSeconds: UInt32 = 5

    /// Bytes that a host may share with all at once.
    private static let longestText = 64 << 20

    let hosts: Plugin.Hosts
    let rank: Int
    let count: Int
    private let state: Mutex<State>

    init(_ hosts: Plugin.Hosts, names: [HostName], seconds: Int) {
        self.hosts = hosts
        rank = Int(hosts.pointee.rank)
        count = Int(hosts.pointee.count)
        state = Mutex(
            State(
                names: names, deadline: Int64(seconds) * Self.second,
                silence: Array(repeating: nil, count: names.count)))
    }

    /// By rank.
    var names: [HostName] { state.withLock { $0.names } }

    /// Nanoseconds that this rank waits for another one. Rank 0 has the first word, the others follow at some distance: one
    /// of them speaks.
    var patience: Int64 {
        let tenths = rank == 0 ? 0 : Int64(20 + 2 * min(rank, 10))
        return state.withLock { $0.deadline } + tenths * Self.second / 10
    }

    func setOnLoss(_ body: (@Sendable () -> Void)?) { state.withLock { $0.onLoss = body } }

    func note(silence: [Int64?]) { state.withLock { $0.silence = silence } }

    // MARK: Calls

    /// Ends the process unless all have met.
    /// - Parameter patience: what the call was given.
    @inline(__always)
    func check(_ status: foretoken_hosts_status, patience: Int64) {
        if status != FORETOKEN_HOSTS_MET { fail(status, patience: patience) }
    }

    /// Bytes of all ranks, by rank.
    /// - Parameter patience: for the others to come; `FORETOKEN_HOSTS_PATIENT` while signs of life are listened to.
    func share(_ own: [UInt8], patience: Int64) -> [[UInt8]] {
        var sizes = [Int](repeating: 0, count: count)
        sizes[rank] = own.count
        let places = (0...count).map { $0 * MemoryLayout<Int>.stride }
        check(hosts.pointee.exchange(&sizes, places, patience), patience: patience)
        var bounds = [0]
        for size in sizes {
            guard (0...Self.longestText).contains(size) else {
                end(saying: "a host sends a text of \(size) bytes", code: ClusterError.otherCode)
            }
            bounds.append(bounds[bounds.count - 1] + size)
        }
        var bytes = [UInt8](repeating: 0, count: max(1, bounds[count]))
        bytes.replaceSubrange(bounds[rank]..<bounds[rank + 1], with: own)
        check(hosts.pointee.exchange(&bytes, bounds, patience), patience: patience)
        return (0..<count).map { Array(bytes[bounds[$0]..<bounds[$0 + 1]]) }
    }

    // MARK: The end

    private func fail(_ status: foretoken_hosts_status, patience: Int64) -> Never {
        guard status == FORETOKEN_HOSTS_LATE else {
            let problem = String(cString: hosts.pointee.problem)
            let text = "\(names[rank].label): MPI has failed: \(problem); all hosts end"
            end(saying: text, code: ClusterError.otherCode)
        }
        lose((0..<count).filter { hosts.pointee.missing[$0] }, afterNanoseconds: patience)
    }

    /// Some ranks have not come to a meeting, or given no sign of life.
    func lose(_ missing: [Int], afterNanoseconds waited: Int64) -> Never {
        let text = state.withLock { state in
            missing.map { state.names[$0] }.lossText(
                seconds: Int(waited / Self.second),
                areAlive: missing.allSatisfy { rank in state.silence[rank].map { $0 < state.deadline / 2 } ?? false })
        }
        end(saying: text, code: ClusterError.otherCode)
    }

    /// Says an error.
    func say(_ text: String) {
        let line = Array("foretoken: error: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Says why and ends all ranks with a code. Who comes second waits for the end.
    func end(saying text: String, code: Int32) -> Never {
        let (isFirst, onLoss) = state.withLock { state in
            defer { state.isEnding = true }
            return (!state.isEnding, state.onLoss)
        }
        while !isFirst { pause() }
        foretoken_end_within(Self.endSeconds, code, nil)
        say(text)
        onLoss?()
        // The launcher forwards what was written only while the ranks live.
        usleep(100_000)
        hosts.pointee.abort(code)
        exit(code)
    }
}
