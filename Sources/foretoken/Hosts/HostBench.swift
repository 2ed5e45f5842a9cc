import ForetokenCluster
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import Glibc
import Synchronization

/// `bench` on several hosts: steps, who waits for whom, and what was predicted.
struct HostBench: Encodable {
    let model: String
    let division: String
    let hosts: [String]
    let trial: HostTrial
    /// By rows - 1: seconds that a step was predicted to take.
    let predictedSeconds: [Double]

    init(_ model: String, _ trial: HostTrial, _ session: HostSession) {
        self.model = model
        self.trial = trial
        hosts = session.cluster.hosts.map(\.label)
        let forecast = session.forecast.withLock { $0 }
        division = forecast?.division.title ?? ""
        predictedSeconds = forecast?.stepSeconds ?? []
    }

    func text(on terminal: Terminal) -> String {
        let title = "\(model) on \(hosts.count) hosts, divided by \(division)"
        return [
            terminal.styled(title, .bold) + "\n" + parts.rendered(on: terminal), steps.rendered(on: terminal),
            "behind \(HostTrial.context) tokens, medians; waiting: share of a step's time in meetings, for data and for slower "
                + "hosts; predicted: by what every host reads and by the link, as it was measured before loading\n",
        ].joined(separator: "\n")
    }

    private var parts: Table {
        var table = Table([
            .init("host"), .init("weights", .right), .init("a step reads", .right),
        ])
        for (index, host) in hosts.enumerated() {
            table.add(host, Format.bytes(trial.weightBytes[index]), Format.bytes(trial.bytesPerStep[index]))
        }
        return table
    }

    private var steps: Table {
        var table = Table(
            [.init("rows", .right), .init("a step", .right), .init("predicted", .right), .init("meetings", .right)]
                + hosts.map { .init("\($0) waits", .right) } + [.init("received", .right)])
        for width in trial.widths {
            let predicted = predictedSeconds.indices.contains(width.rows - 1) ? predictedSeconds[width.rows - 1] : nil
            table.add(
                [
                    "\(width.rows)", "\(Format.short(width.nanoseconds / 1e6)) ms",
                    predicted.map { "\(Format.short($0 * 1e3)) ms" } ?? "–", Format.short(width.meetings),
                ] + width.waitingShares.map(Format.percent)
                    + [Format.bytes(Int(width.receivedBytes.max() ?? 0))])
        }
        return table
    }
}
