import ArgumentParser
import ForetokenCluster
import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenText
import Glibc
import Synchronization

/// This run on several hosts: rank 0 does what the command says, the others do their parts of its steps.
final class HostSession: Sendable {
    let cluster: Cluster
    /// How the model was divided, and what that was predicted to give; nil until it is.
    let forecast = Mutex<HostForecast?>(nil)

    /// nil where this process runs alone.
    static var current: HostSession? { known.withLock { $0 } }
    private static let known = Mutex<HostSession?>(nil)

    /// Ranks that run on this machine, this one among them.
    static var sharers: Int { current?.cluster.ranksHere ?? 1 }

    private init(_ cluster: Cluster) { self.cluster = cluster }

    /// Joins the other hosts, where a launcher has started several.
    /// - Throws: `ClusterError`.
    static func join() throws -> HostSession? {
        let cluster = try Cluster.join(
            environment: wholeEnvironment(),
            describe: { error in
                let failure = Failure(error)
                return HostFault(code: failure.code, message: failure.message ?? "it was interrupted")
            }, warn: Console.warning)
        guard let cluster else { return nil }
        let session = HostSession(cluster)
        known.withLock { $0 = session }
        return session
    }

    /// Whether a launcher has started this process as another rank than 0, which says what is wrong with a command line that
    /// all of them have.
    static var isFollower: Bool { Launch(environment: wholeEnvironment()).map { $0.rank > 0 } ?? false }

    private static func wholeEnvironment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            variables[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
            entry += 1
        }
        return variables
    }

    /// Does something before all hosts end because one is lost; there are a few seconds for it.
    func beforeLoss(_ body: @escaping @Sendable () -> Void) { cluster.setOnLoss(body) }

    /// Runs a command on all hosts and ends the process, with the same code everywhere.
    func run(_ command: inout some ParsableCommand) -> Never {
        do {
            try cluster.agree([AgreedField("the command", type(of: command)._commandName)])
            if cluster.isLeader {
                try lead(&command)
            } else {
                try follow(command)
            }
        } catch {
            end(error)
        }
        leave(Status.done)
    }

    private func lead(_ command: inout some ParsableCommand) throws {
        do {
            if let doctor = command as? Doctor, doctor.described.topology == nil { return try doctor.describe(self) }
            guard command is any HostedCommand else {
                throw UsageError(
                    "\(cluster.count) ranks were started, but \(type(of: command)._commandName) works on one host; start "
                        + "it without a launcher")
            }
            try command.run()
        } catch let error as ClusterError {
            // All hosts have thrown it.
            throw error
        } catch {
            say(error)
            HostOrder.end(code: Failure(error).code).send(over: cluster.channel)
            leave(Failure(error).code)
        }
        HostOrder.end(code: Status.done).send(over: cluster.channel)
    }

    private func say(_ error: any Error) { Failure(error).say() }

    private func end(_ error: any Error) -> Never {
        say(error)
        leave(Failure(error).code)
    }

    /// Ends all hosts at once, where there are several.
    static func abandon(saying text: String) {
        current?.cluster.abandon(OutputError(description: text))
    }

    // MARK: Following

    private func follow(_ command: some ParsableCommand) throws {
        cluster.silenceFollower()
        cluster.obeyLeader()
        Console.follow(as: cluster.hosts[cluster.rank].label)
        if let doctor = command as? Doctor, doctor.described.topology == nil { return try doctor.describe(self) }
        guard let command = command as? any HostedCommand else { leave(try orderedEnd()) }
        let open = Result { try command.openPart() }
        while true {
            switch try HostOrder.receive(over: cluster.channel) {
            case .load(let wanted):
                let hosts = SharedModel(self)
                let model = try hosts.load(wanted, open, threads: command.model.threads)
                if case .ended(let code) = try follow(model) { leave(code) }
            case .end(let code): leave(code)
            }
        }
    }

    /// In a function of its own, so that nothing of the model is left behind it.
    private func follow(_ model: Model) throws -> Follower.Ending {
        // Rank 0 would wait for this host.
        do { return try Follower(model).run() } catch { cluster.abandon(error) }
    }

    /// Where rank 0 cannot do what was asked, it says so.
    private func orderedEnd() throws -> Int32 {
        while true { if case .end(let code) = try HostOrder.receive(over: cluster.channel) { return code } }
    }

    private func leave(_ code: Int32) -> Never {
        cluster.close(code: code)
        Glibc.exit(code)
    }
}
