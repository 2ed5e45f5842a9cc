import CForetokenHosts
import ForetokenHardware
import Glibc

/// The hosts of this run, one MPI rank each, as far as starting, agreeing and ending go; steps use `channel`.
///
/// Every host calls the same methods in the same order.
package final class Cluster: Sendable {
    /// What the model's steps talk over.
    package let channel: MPIChannel
    /// By rank.
    package let hosts: [HostName]
    /// What MPI calls itself.
    package let library: String
    /// Whether some ranks run on one machine: workers are not to be pinned then.
    package let sharesMachine: Bool

    let ranks: Ranks
    let beats: Beats
    private let describe: @Sendable (any Error) -> HostFault

    /// This host's number, from 0.
    package var rank: Int { ranks.rank }
    /// Number of hosts.
    package var count: Int { ranks.count }
    /// Whether this host talks to the user.
    package var isLeader: Bool { rank == 0 }

    private init(
        _ ranks: Ranks, beats: Beats, sharesMachine: Bool, describe: @escaping @Sendable (any Error) -> HostFault
    ) {
        self.ranks = ranks
        self.beats = beats
        self.sharesMachine = sharesMachine
        self.describe = describe
        channel = MPIChannel(ranks)
        hosts = ranks.names
        library = Plugin.libraryName(ranks.hosts)
    }

    /// Joins the other ranks, where a launcher has started several; before anything is pinned, since MPI's threads inherit
    /// that.
    ///
    /// - Parameters:
    ///   - environment: this process's.
    ///   - describe: what an error of this host means to the others.
    ///   - warn: takes a warning, on rank 0.
    /// - Returns: nil where this process runs alone.
    /// - Throws: `ClusterError`; on all ranks, unless MPI itself ends them. Without a message where it has been said.
    package static func join(
        environment: [String: String], describe: @escaping @Sendable (any Error) -> HostFault,
        warn: (String) -> Void
    ) throws -> Cluster? {
        guard let launch = Launch(environment: environment) else { return nil }
        let plugin = try Plugin.open(launch, environment: environment)
        let timeout = Result { try HostTimeout.seconds(environment: environment) }
        let ranks = introduce(plugin, seconds: (try? timeout.get()) ?? HostTimeout.standard)
        let shares = HostName.shareMachine(ranks.names)
        plugin.pointee.spin_nanoseconds = shares ? 30_000 : 200_000
        let cluster = Cluster(ranks, beats: try Beats(ranks), sharesMachine: shares, describe: describe)
        do {
            let start = Result {
                if cluster.isLeader { _ = try timeout.get() }
                try checkCores(launch)
            }
            try cluster.settle(start, phase: "the start")
        } catch {
            let known = error as? ClusterError ?? ClusterError(code: ClusterError.otherCode, message: "\(error)")
            // Launchers lose what is written after MPI has ended.
            if let message = known.message { ranks.say(message) }
            cluster.close(code: known.code)
            throw ClusterError(code: known.code, message: nil)
        }
        if shares && cluster.isLeader {
            warn("several ranks run on one machine: their workers are not pinned, and all share its memory's speed")
        }
        return cluster
    }

    /// Tells the others this host's name and learns theirs, and rank 0's deadline.
    private static func introduce(_ plugin: Plugin.Hosts, seconds: Int) -> Ranks {
        let count = Int(plugin.pointee.count)
        let unknown = (0..<count).map { HostName(rank: $0, name: "of unknown name", boot: "") }
        let stranger = Ranks(plugin, names: unknown, seconds: seconds)
        let own = HostName.own(rank: stranger.rank)
        let texts = stranger.share(
            TextList.encode([own.name, own.boot, "\(seconds)"]), patience: stranger.patience
        ).map { TextList.decode($0) ?? [] }
        guard texts.allSatisfy({ $0.count == 3 }), let agreed = Int(texts[0][2]),
            HostTimeout.range.contains(agreed)
        else {
            stranger.end(
                saying: "the ranks do not understand one another. Hint: run the same program on all hosts.",
                code: ClusterError.otherCode)
        }
        let names = texts.enumerated().map { HostName(rank: $0, name: visible($1[0]), boot: $1[1]) }
        return Ranks(plugin, names: names, seconds: agreed)
    }

    /// A name that does nothing to a terminal.
    private static func visible(_ name: String) -> String {
        let scalars = name.unicodeScalars.prefix(64).map { $0.value > 32 && $0.value < 127 ? $0 : "?" }
        return String(String.UnicodeScalarView(scalars))
    }

    /// Open MPI binds each rank to one core unless told otherwise, even one rank a host.
    private static func checkCores(_ launch: Launch) throws {
        let usable = Topology.read()
        let all = Topology.read(restriction: Topology.Restriction())
        if let problem = launch.bindingProblem(cores: usable.cores.count, of: all.cores.count) {
            throw ClusterError(code: ClusterError.otherCode, message: problem)
        }
    }

    /// Ranks that run on this machine, this one among them.
    package var ranksHere: Int { HostName.count(hosts, onMachineOf: rank) }

    /// Tells all hosts some texts.
    /// - Returns: by rank, everybody's; empty for a host that speaks otherwise.
    package func tellAll(_ texts: [String]) -> [[String]] {
        ranks.share(TextList.encode(texts), patience: ranks.patience).map { TextList.decode($0) ?? [] }
    }

    /// Called before all hosts end because one is lost, so that a server can tell its clients. It has a few seconds.
    package func setOnLoss(_ body: (@Sendable () -> Void)?) { ranks.setOnLoss(body) }

    // MARK: Agreeing

    /// Checks that values are the same on all hosts.
    /// - Throws: `ClusterError` with code 65 naming the first field that differs, the hosts and both values.
    package func agree(_ fields: [AgreedField]) throws {
        let all = ranks.share(Agreement.encode(fields), patience: FORETOKEN_HOSTS_PATIENT).map(Agreement.decode)
        let known = all.compactMap(\.self)
        guard known.count == count else { throw misunderstood() }
        if let text = Agreement.difference(known, hosts: hosts) {
            throw ClusterError(code: ClusterError.disagreementCode, message: isLeader ? text : nil)
        }
    }

    /// Ends a phase of the start on all hosts in the same way, however long some of them take.
    /// - Parameters:
    ///   - outcome: how it ended here.
    ///   - phase: its name, for messages.
    /// - Throws: `ClusterError` when it failed on any host; the lowest failing rank's message and code.
    package func settle(_ outcome: Result<Void, any Error>, phase: String) throws {
        let report = PhaseReport(phase: phase, end: end(outcome))
        if report.end != .done { beats.fail() }
        let all = ranks.share(report.bytes, patience: FORETOKEN_HOSTS_PATIENT).compactMap(PhaseReport.init(bytes:))
        guard all.count == count else { throw misunderstood() }
        beats.set(fraction: 0)
        if let fault = Settlement.fault(all, hosts: hosts) {
            throw ClusterError(code: fault.code, message: isLeader ? fault.message : nil)
        }
    }

    private func end(_ outcome: Result<Void, any Error>) -> PhaseReport.End {
        switch outcome {
        case .success: .done
        case .failure(is AnotherHostFailed): .stopped
        case .failure(let error as ClusterError):
            .failed(HostFault(code: error.code, message: error.description))
        case .failure(let error): .failed(describe(error))
        }
    }

    private func misunderstood() -> ClusterError {
        ClusterError(
            code: ClusterError.otherCode,
            message: isLeader ? "the hosts do not understand one another. Hint: run the same program on all." : nil)
    }

    // MARK: Long phases

    /// Tells the others how far this host's phase has come, 0...1. From any thread.
    package func report(fraction: Double) { beats.set(fraction: min(1, max(0, fraction))) }

    /// How far the slowest host has come, on rank 0.
    package var slowestFraction: Double { beats.slowestFraction }

    /// Ends a long phase early when another host's has failed; cheap enough to ask often, from any thread.
    /// - Throws: `AnotherHostFailed`, for `settle`.
    package func checkOthers() throws {
        if beats.anotherHasFailed { throw AnotherHostFailed() }
    }

    // MARK: This process

    /// Followers read nothing and print no results: their standard input and output lead nowhere from now on.
    package func silenceFollower() {
        guard !isLeader else { return }
        let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard nowhere >= 0 else { return }
        fflush(nil)
        dup2(nowhere, STDIN_FILENO)
        dup2(nowhere, STDOUT_FILENO)
        Glibc.close(nowhere)
    }

    /// Followers do not end at Ctrl-C and SIGTERM, which reach all ranks, but when rank 0 says so.
    package func obeyLeader() {
        guard !isLeader else { return }
        _ = signal(SIGINT, SIG_IGN)
        _ = signal(SIGTERM, SIG_IGN)
    }

    // MARK: The end

    /// Seconds that MPI has to end. On crowded cores MPICH may spin there without an end.
    private static let closeSeconds: UInt32 = 5

    /// Leaves MPI, with all others, which have been told to end; nothing here can be used afterwards. What is to be read
    /// must have been written before: launchers lose what comes later.
    /// - Parameter code: what this process is about to end with; where MPI does not end, it ends with that here.
    package func close(code: Int32 = 0) {
        fflush(nil)
        let patience = ranks.patience
        var farewell = [UInt8](repeating: 0, count: count)
        ranks.check(ranks.hosts.pointee.exchange(&farewell, Array(0...count), patience), patience: patience)
        beats.stop()
        foretoken_end_within(Self.closeSeconds, code, nil)
        _ = ranks.hosts.pointee.close()
        foretoken_stay()
    }

    /// Ends all ranks at once for an error that the others cannot foresee: between meetings, outside of `settle`.
    package func abandon(_ error: any Error) -> Never {
        let fault = describe(error)
        ranks.end(saying: "\(hosts[rank].label): \(fault.message)", code: fault.code == 0 ? 1 : fault.code)
    }
}

/// How long hosts wait for one another.
package enum HostTimeout {
    /// Seconds.
    package static let standard = 30
    static let range = 1...3600

    /// FORETOKEN_HOST_TIMEOUT, on rank 0 for all.
    /// - Throws: `ClusterError` for anything but a number of seconds.
    package static func seconds(environment: [String: String]) throws -> Int {
        guard let text = environment["FORETOKEN_HOST_TIMEOUT"], !text.isEmpty else { return standard }
        guard let seconds = Int(text), range.contains(seconds) else {
            throw ClusterError(
                code: ClusterError.otherCode,
                message: "FORETOKEN_HOST_TIMEOUT: expected \(range.lowerBound) to \(range.upperBound) seconds, "
                    + "found '\(text)'.")
        }
        return seconds
    }
}
