// Runs under mpirun, for Tests/Hosts/run: does one thing that hosts do together, and prints on rank 0 what came of it.
//     hosts-probe talk ROUNDS SEED   exchanges, gathers and messages of random sizes, checked byte for byte
//     hosts-probe agree VALUE RANK   fields that are the same but for one rank's
//     hosts-probe settle RANK CODE   a phase that fails there
//     hosts-probe load SECONDS RANK  a long phase, which fails on one rank after a tenth of it (RANK -1: on none)
//     hosts-probe steps COUNT MS     steps as a model makes them, with a pause between them
//     hosts-probe overlong           a message that is longer than there is room for
//     hosts-probe idle SECONDS       followers wait, and tell the processor time that takes
//     hosts-probe links              latency and bandwidth
//     hosts-probe arithmetic         whether all compute the same bits
//     hosts-probe signals SECONDS    steps until SIGINT or SIGTERM
import ForetokenCluster
import ForetokenHardware
import ForetokenModel
import Glibc

struct PlannedFailure: Error {
    let code: Int32
}

func say(_ text: String) { write(text, to: STDOUT_FILENO) }

func complain(_ text: String) { write(text, to: STDERR_FILENO) }

private func write(_ text: String, to descriptor: Int32) {
    let line = Array("\(text)\n".utf8)
    _ = Glibc.write(descriptor, line, line.count)
}

func number(_ index: Int, _ standard: Int) -> Int {
    CommandLine.arguments.count > index ? Int(CommandLine.arguments[index]) ?? standard : standard
}

func end(_ error: any Error, _ cluster: Cluster?) -> Never {
    let known = error as? ClusterError ?? ClusterError(code: 1, message: "\(error)")
    if let message = known.message { complain("foretoken: error: \(message)") }
    cluster?.close(code: known.code)
    exit(known.code)
}

var environment: [String: String] = [:]
var entry = environ
while let text = entry.pointee {
    let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    environment[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
    entry += 1
}

let joined: Cluster?
do {
    try Interrupts.endAtOnce()
    joined = try Cluster.join(
        environment: environment,
        describe: { error in
            let code = (error as? PlannedFailure)?.code ?? 1
            return HostFault(code: code, message: "planned failure with code \(code)")
        }, warn: { complain("foretoken: warning: \($0)") })
} catch {
    end(error, nil)
}
guard let cluster = joined else {
    say("alone")
    exit(0)
}
cluster.silenceFollower()
if !cluster.isLeader { say("not to be seen") }
do {
    let trial = Trial(cluster)
    switch CommandLine.arguments.dropFirst().first {
    case "talk": try trial.talk(rounds: number(2, 200), seed: UInt64(number(3, 1)))
    case "agree": try trial.agree(value: CommandLine.arguments[2], odd: number(3, 1))
    case "settle": try trial.settle(failing: number(2, 1), code: Int32(number(3, 65)))
    case "load": try trial.load(seconds: number(2, 2), failing: number(3, -1))
    case "steps": trial.steps(number(2, 100), pause: number(3, 10))
    case "overlong": trial.overlong()
    case "idle": trial.idle(seconds: number(2, 2))
    case "links": trial.links()
    case "arithmetic": try trial.arithmetic()
    case "signals": try trial.signals(seconds: number(2, 10))
    default: say("\(cluster.count) hosts, \(cluster.library), shared: \(cluster.sharesMachine)")
    }
} catch {
    end(error, cluster)
}
cluster.close()
