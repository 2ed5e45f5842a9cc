import ArgumentParser
import ForetokenCluster
import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import ForetokenWeights
import Synchronization

/// The hosts of a session while they load a model.
final class SharedModel: ModelHosts {
    private let session: HostSession
    var channel: any HostChannel { session.cluster.channel }

    init(_ session: HostSession) { self.session = session }

    func beginLoading(_ wanted: SharedLoading) { HostOrder.load(wanted).send(over: channel) }

    /// Loads a follower's part.
    /// - Parameter open: what came of opening the files.
    func load(_ wanted: SharedLoading, _ open: Result<OpenModel, any Error>, threads: Int?) throws -> Model {
        // Rank 0 has done this before it said what to load.
        let (open, crew) = try settled("opening the files") {
            (try open.get(), try Crew.make(threads: threads, sharers: HostSession.sharers))
        }
        return try open.loadPart(wanted, on: crew, self)
    }

    /// Does something on all hosts; where it fails on one, all of them end.
    private func settled<Value>(_ phase: String, _ work: () throws -> Value) throws -> Value {
        let outcome = Result { try work() }
        try settle(outcome.map { _ in }, phase: phase)
        return try outcome.get()
    }

    func settle(_ outcome: Result<Void, any Error>, phase: String) throws {
        try session.cluster.settle(outcome, phase: phase)
    }

    func report(fraction: Double) throws {
        session.cluster.report(fraction: fraction)
        if session.cluster.isLeader && Interrupts.requested { throw Interrupted() }
        try session.cluster.checkOthers()
    }

    // MARK: Dividing

    func divide(_ open: OpenModel, _ wanted: SharedLoading, _ crew: Crew) throws -> HostShare {
        let cluster = session.cluster
        if cluster.isLeader { try settled("opening the files") {} }
        let fields = try settled("looking at the model") {
            // OpenBLAS, which the probe asks, waits for ever where it finds no room.
            try AddressSpace.check(needed: 0, workers: crew.pool.workerCount, for: open.checkpoint.label)
            return try agreedFields(open)
        }
        try cluster.agree(fields)
        let machines = try session.machines(bandwidth: crew.machine.nodes.reduce(0) { $0 + $1.bandwidth })
        let links = cluster.probeLinks().compactMap(\.self)
        let (value, forecast) = try settled("dividing the model") {
            try division(try planner(open, wanted, machines, links), open)
        }
        let share = HostShare(value, rank: cluster.rank)
        try cluster.agree([
            AgreedField("--division", share.spelling), AgreedField("--cache-type", open.settings.cacheType.rawValue),
        ])
        session.forecast.withLock { $0 = forecast }
        if cluster.isLeader { Console.note(Self.text(forecast, hosts: machines.count)) }
        return share
    }

    /// What has to be the same on all hosts, so that they compute the same bits of the same model.
    private func agreedFields(_ open: OpenModel) throws -> [AgreedField] {
        let probe = try ArithmeticProbe(instructionSet: open.settings.instructionSet)
        return [
            AgreedField("the version of this program", Foretoken.configuration.version),
            AgreedField("the checkpoint's config.json and tensors", try open.layoutFingerprint()),
            AgreedField("the checkpoint's contents", try open.fingerprint()),
        ] + probe.fields.map { AgreedField($0.name, $0.value) }
    }

    private func planner(
        _ open: OpenModel, _ wanted: SharedLoading, _ machines: [HostMachine], _ links: [LinkFigures]
    ) throws -> HostPlanner {
        let slowest = HostLink(
            latencySeconds: links.map(\.latency).max() ?? 0, bytesPerSecond: links.map(\.bandwidth).min() ?? 1e12)
        // Caches are counted as scratch: they are part of what every host needs besides its weights.
        let model = try open.layout.hostedModel(
            open.checkpoint, format: wanted.format, cacheElementBytes: open.settings.cacheType.elementBytes,
            positions: 0, scratchBytes: wanted.workingBytes, comparesCopies: false)
        return HostPlanner(model, hosts: machines, link: slowest, overlap: nil, acceptance: 0.8)
    }

    private func division(
        _ planner: HostPlanner, _ open: OpenModel
    ) throws -> (value: HostShare.Division, forecast: HostForecast) {
        let layers = open.configuration.layerCount
        let forecast: HostForecast
        switch open.settings.division {
        case .rows: forecast = planner.forecast(.rows)
        case .layers: forecast = planner.forecast(.layers)
        case .auto:
            // Of single hosts only rank 0, which knows the texts.
            var alone = planner
            alone.hosts = [planner.hosts[0]]
            let forecasts = [alone.forecast(.oneHost), planner.forecast(.layers), planner.forecast(.rows)]
            guard let choice = HostPlanner.best(of: forecasts) else {
                let lacks = forecasts.map { "\($0.division.title): \(Self.shortage($0))" }
                throw HardwareError(
                    .memory, "no division of the model fits the hosts: " + lacks.joined(separator: "; "))
            }
            forecast = forecasts[choice]
        }
        guard forecast.fits else {
            throw HardwareError(.memory, "the model does not fit the hosts: \(Self.shortage(forecast))")
        }
        let value = Self.division(forecast, layers: layers, hosts: planner.hosts.count)
        guard case .layers(let bounds) = value else { return (value, forecast) }
        return (HostShare.layers(bounds, of: open.configuration), forecast)
    }

    private static func division(_ forecast: HostForecast, layers: Int, hosts: Int) -> HostShare.Division {
        switch forecast.division {
        case .rows:
            var shares = [Int](repeating: 0, count: hosts)
            for part in forecast.parts { shares[part.host] = part.cutWeight ?? 0 }
            return .rows(shares)
        case .layers, .oneHost:
            // One host has all layers; rank 0 has what lies outside of them in any case.
            var ends = [Int](repeating: 0, count: hosts)
            for part in forecast.parts { ends[part.host] = part.layers?[1] ?? layers }
            var bounds = [0]
            for end in ends { bounds.append(max(bounds[bounds.count - 1], end)) }
            return .layers(bounds)
        }
    }

    private static func shortage(_ forecast: HostForecast) -> String {
        forecast.parts.filter { $0.missingBytes > 0 }.map {
            "\($0.name) needs \(FigureText.binaryBytes($0.neededBytes)) and has \(FigureText.binaryBytes($0.capacity))"
        }.joined(separator: ", ")
    }

    private static func text(_ forecast: HostForecast, hosts: Int) -> String {
        guard forecast.division != .oneHost else {
            return "of the \(hosts) hosts one alone has the model: no division is predicted to be faster; "
                + "--division rows or layers divides it all the same"
        }
        let parts = forecast.parts.map { part in
            let what =
                part.layers.map { $0[0] < $0[1] ? "layers \($0[0]) to \($0[1] - 1)" : "no layers" }
                ?? Format.percent(part.share)
            return "\(part.name) \(what), \(FigureText.binaryBytes(part.weightBytes))"
        }
        return
            "\(hosts) hosts share the model by \(forecast.division.title) (\(parts.joined(separator: "; "))); "
            + "predicted at most \(Format.short(forecast.tokensPerSecond)) tok/s, "
            + "\(Format.percent(forecast.exchangeShare)) of a step between hosts"
    }
}

extension HostSession {
    /// All hosts as planning sees them, by rank. Ranks of one machine share what it has.
    /// - Parameter bandwidth: of this host's memory, in bytes a second.
    func machines(bandwidth: Double) throws -> [HostMachine] {
        let sharers = cluster.ranksHere
        let room = MemoryBudget.read().available.map { $0 / sharers } ?? .max
        let all = cluster.tellAll(["\(bandwidth / Double(sharers))", "\(room)"])
        return try all.enumerated().map { rank, texts in
            guard texts.count == 2, let bandwidth = Double(texts[0]), let room = Int(texts[1]), bandwidth > 0 else {
                throw ClusterError(code: Status.other, message: "\(cluster.hosts[rank].label) does not tell its memory")
            }
            return HostMachine(name: cluster.hosts[rank].label, readBandwidth: bandwidth, capacity: room)
        }
    }
}
