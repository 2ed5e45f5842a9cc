import ForetokenPlacement
import ForetokenReport

/// What `place --hosts` shows to people.
struct HostTables {
    private let study: HostStudy
    private let terminal: Terminal

    /// With more hosts only the fullest is shown.
    private static let mostHostColumns = 4

    /// Tables of a study, for a terminal.
    init(_ study: HostStudy, _ terminal: Terminal) {
        self.study = study
        self.terminal = terminal
    }

    /// What is divided, what each division gives, the answer, and what it rests on.
    var text: String {
        let answer = terminal.styled(study.headline, study.plan.chosen == nil ? .red : .green)
        return [
            subject.rendered(on: terminal),
            terminal.styled("Hosts", .bold) + "\n" + hosts.rendered(on: terminal),
            terminal.styled("Divisions (all times predicted)", .bold) + "\n" + divisions.rendered(on: terminal),
            answer + "\n" + terminal.wrapped(study.reason),
            study.caveats.map { terminal.wrapped("note: " + $0, .dim) }.joined(),
        ].joined(separator: "\n")
    }

    private var subject: Table {
        var table = Table([.init("hosts"), .init("")])
        let model = study.subject
        let modules = model.modules == 0 ? "" : " and \(count(model.modules, "MTP module"))"
        table.add("model", "\(model.model), \(model.weights) weights, \(count(model.layers, "layer"))\(modules)")
        table.add(
            "memory",
            "\(Format.bytes(model.weightBytes)) of weights, \(Format.bytes(model.cacheBytes)) of cache for "
                + "\(count(model.context, "token")), \(Format.bytes(model.scratchBytes)) of scratch on each host")
        let link = study.planner.link
        table.add(
            "link",
            "\(Format.short(link.latencySeconds * 1e6)) µs, \(Format.short(link.bytesPerSecond / 1e9)) GB/s, by "
                + study.source)
        return table
    }

    private var hosts: Table {
        let showsPrompts = study.planner.hosts.contains { $0.multiplyAddsPerSecond != nil }
        var table = Table(
            [.init("host"), .init("for the model", .right), .init("read", .right)]
                + (showsPrompts ? [.init("prompts", .right)] : []))
        for host in study.planner.hosts {
            let speed = host.multiplyAddsPerSecond.map { Format.short($0 * 2e-12) + " TFLOP/s" } ?? "–"
            table.add(
                [host.name, Format.bytes(host.capacity), Format.short(host.readBandwidth / 1e9) + " GB/s"]
                    + (showsPrompts ? [speed] : []))
        }
        return table
    }

    private var showsEveryHost: Bool { study.planner.hosts.count <= Self.mostHostColumns }

    private var divisions: Table {
        let forecasts = study.plan.forecasts
        let (drafts, prompts) = (
            forecasts.contains { $0.draftedTokensPerSecond != nil },
            forecasts.contains { $0.promptTokensPerSecond != nil }
        )
        var columns: [Table.Column] = [.init(""), .init("division"), .init("tok/s", .right)]
        if drafts { columns.append(.init("with a draft", .right)) }
        columns += [.init("step ms", .right), .init("exchange", .right)]
        if prompts { columns.append(.init("prompt tok/s", .right)) }
        columns +=
            showsEveryHost ? study.planner.hosts.map { .init($0.name, .right) } : [.init("fullest host", .right)]
        var table = Table(columns + [.init("")])
        for (index, forecast) in forecasts.enumerated() {
            var cells = [
                index == study.plan.chosen ? "→" : "", forecast.division.title, Format.short(forecast.tokensPerSecond),
            ]
            if drafts { cells.append(forecast.draftedTokensPerSecond.map(Format.short) ?? "") }
            cells += [Format.short(forecast.stepSeconds[0] * 1e3), Format.percent(forecast.exchangeShare)]
            if prompts { cells.append(forecast.promptTokensPerSecond.map(Format.short) ?? "") }
            table.add(cells + memory(forecast) + [study.shortage(forecast) ?? "fits"])
        }
        return table
    }

    /// Bytes of each host, or of the one with least room left.
    private func memory(_ forecast: HostForecast) -> [String] {
        guard showsEveryHost else {
            let fullest = forecast.parts.max {
                Double($0.neededBytes) / Double(max(1, $0.capacity))
                    < Double($1.neededBytes) / Double(max(1, $1.capacity))
            }
            return [fullest.map { "\($0.name): \(Format.bytes($0.neededBytes))" } ?? ""]
        }
        return study.planner.hosts.indices.map { host in
            forecast.parts.first { $0.host == host }.map { Format.bytes($0.neededBytes) } ?? ""
        }
    }
}
