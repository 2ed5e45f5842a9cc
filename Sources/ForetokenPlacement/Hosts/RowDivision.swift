/// A model whose large matrices are cut by output rows over hosts, each having its share of every one. Small matrices and the
/// cache are whole on each.
///
/// A layer is four phases (heads, output projection, gate and up, down), each followed by an exchange that gives every host
/// all outputs. A phase takes as long as its slowest host.
struct RowDivision {
    private let model: HostedModel
    private let hosts: [HostMachine]
    private let link: HostLink
    /// By host: its share of what is cut, in 2¹⁶ths.
    let shares: [Int]

    /// Shares in proportion to bandwidth where memory allows.
    init(_ model: HostedModel, _ hosts: [HostMachine], _ link: HostLink) {
        self.model = model
        self.hosts = hosts
        self.link = link
        shares = Self.shares(model, hosts)
    }

    // MARK: Shares

    private static let whole = 1 << 16

    /// Bytes that every host has, whatever its share.
    private static func fixedBytes(_ model: HostedModel) -> Int {
        let layers = model.layers + model.modules.map(\.block)
        return layers.reduce(model.embeddingBytes + model.otherBytes + model.scratchBytes + model.cacheBytes) {
            $0 + $1.wholeBytes
        }
    }

    /// Cuts round to whole units, so that a host which memory limits may come out above its room. What it may have is then
    /// lowered by that; a few rounds suffice, or it does not fit.
    private static func shares(_ model: HostedModel, _ hosts: [HostMachine]) -> [Int] {
        let cut =
            Double(max(1, model.weightBytes + model.otherBytes + model.cacheBytes + model.scratchBytes))
            - Double(fixedBytes(model))
        var room = hosts.map { max(0, Double($0.capacity - fixedBytes(model))) }
        var shares = divided(hosts.map(\.readBandwidth), most: room.map { $0 / max(1, cut) })
        for _ in 0..<8 {
            let over = hosts.indices.map { host in
                held(model, shares, host) + fixedBytes(model) - hosts[host].capacity
            }
            guard over.contains(where: { $0 > 0 }) else { break }
            for (host, bytes) in over.enumerated() where bytes > 0 { room[host] = max(0, room[host] - Double(bytes)) }
            shares = divided(hosts.map(\.readBandwidth), most: room.map { $0 / max(1, cut) })
        }
        return shares
    }

    /// Shares in proportion to `wishes`, none above its limit: who is above gets the limit, and the others divide the rest
    /// anew. Where all limits together are below the whole, all are raised alike.
    static func divided(_ wishes: [Double], most: [Double]) -> [Int] {
        var shares = [Double](repeating: 0, count: wishes.count)
        var open = Array(wishes.indices)
        var left = 1.0
        while !open.isEmpty {
            let sum = open.reduce(0) { $0 + wishes[$1] }
            let limited = open.filter { left * wishes[$0] / sum > most[$0] }
            guard !limited.isEmpty else {
                for host in open { shares[host] = left * wishes[host] / sum }
                left = 0
                break
            }
            for host in limited {
                shares[host] = most[host]
                left -= most[host]
            }
            open.removeAll { limited.contains($0) }
        }
        if left > 1e-9 {
            let had = 1 - left
            shares = had > 0 ? shares.map { $0 / had } : wishes.map { $0 / wishes.reduce(0, +) }
        }
        return shares.map { Int((Double(whole) * $0).rounded()) }
    }

    /// A host's units of so many.
    private static func range(_ units: Int, _ shares: [Int], _ host: Int) -> Range<Int> {
        let parts = shares.enumerated().map { ExpertPlacement.Part(node: $0.offset, share: $0.element) }
        return ExpertPlacement.cut(parts, panels: units)[host]
    }

    /// Bytes of a host's part of what is cut.
    private static func held(_ model: HostedModel, _ shares: [Int], _ host: Int) -> Int {
        func part(_ cut: HostedModel.Cut, _ count: Int = 1) -> Int {
            count * cut.bytes(range(cut.units, shares, host))
        }
        func part(_ layer: HostedModel.Layer) -> Int {
            let experts = layer.experts.map { part($0.gateUp, $0.count) + part($0.down, $0.count) } ?? 0
            return part(layer.heads) + part(layer.output) + part(layer.gateUp) + part(layer.down) + experts
        }
        let modules = model.modules.reduce(0) { $0 + part($1.block) + part($1.projection) }
        let heads = (model.tiesEmbeddings ? 0 : part(model.lmHead)) + part(model.draftLMHead)
        return model.layers.reduce(modules + heads) { $0 + part($1) }
    }

    // MARK: Times

    /// Seconds until every host has read its units of some matrices, each so many times.
    private func reading(_ matrices: [(cut: HostedModel.Cut, times: Double)]) -> Double {
        hosts.indices.reduce(0) { slowest, host in
            let bytes = matrices.reduce(0) { sum, matrix in
                sum + matrix.times * Double(matrix.cut.bytes(Self.range(matrix.cut.units, shares, host)))
            }
            return max(slowest, bytes / hosts[host].readBandwidth)
        }
    }

    /// Seconds until every host has read the same bytes.
    private func readingWhole(_ bytes: Int) -> Double {
        Double(bytes) / (hosts.map(\.readBandwidth).min() ?? 1)
    }

    private func exchange(floats: Int, rows: Int) -> Double {
        link.exchangeSeconds(bytes: 4 * floats * rows, hosts: hosts.count)
    }

    /// Bytes of a host's best token of a row: id, value, and a check.
    private static let choiceFloats = 3

    /// A step of so many rows whose layers need `distinct` experts each, a mean.
    func step(rows: Int, distinct: Double) -> StepTime {
        var time = StepTime()
        // Most layers are alike.
        var known: [(layer: HostedModel.Layer, time: StepTime)] = []
        for layer in model.layers {
            let found = known.first { $0.layer == layer }?.time ?? self.layer(layer, rows: rows, distinct: distinct)
            if known.last?.layer != layer { known.append((layer, found)) }
            time.reading += found.reading
            time.exchange += found.exchange
        }
        time.reading += reading([(model.lmHead, 1)])
        time.exchange += exchange(floats: Self.choiceFloats, rows: rows)
        return time
    }

    private func layer(_ layer: HostedModel.Layer, rows: Int, distinct: Double) -> StepTime {
        var (gateUp, down) = ([(cut: layer.gateUp, times: 1.0)], [(cut: layer.down, times: 1.0)])
        if let experts = layer.experts {
            gateUp.append((experts.gateUp, distinct))
            down.append((experts.down, distinct))
        }
        return StepTime(
            reading: readingWhole(layer.wholeBytes) + reading([(layer.heads, 1)]) + reading([(layer.output, 1)])
                + reading(gateUp) + reading(down),
            exchange: layer.exchangedFloats.reduce(0) { $0 + exchange(floats: $1, rows: rows) })
    }

    /// One draft of the first module: its projection, its block and the frequent rows of its head, each with its exchange.
    var draft: StepTime? {
        guard let module = model.modules.first else { return nil }
        var time = layer(module.block, rows: 1, distinct: Double(model.expertsPerToken))
        time.reading += reading([(module.projection, 1)]) + reading([(model.frequentLMHead, 1)])
        time.exchange +=
            exchange(floats: module.block.hiddenFloats, rows: 1) + exchange(floats: Self.choiceFloats, rows: 1)
        return time
    }

    /// Tokens of a prompt a second: multiplying, and exchanging every layer's rows.
    var promptTokensPerSecond: Double? {
        var seconds = 0.0
        for (host, share) in zip(hosts, shares) {
            guard let speed = host.multiplyAddsPerSecond else { return nil }
            seconds = max(seconds, model.multiplyAdds * Double(share) / Double(Self.whole) / speed)
        }
        let rows = model.promptRows
        let exchanges = model.layers.reduce(0) { sum, layer in
            sum + layer.exchangedFloats.reduce(0) { $0 + exchange(floats: $1, rows: rows) }
        }
        return 1 / (seconds + exchanges / Double(rows))
    }

    // MARK: Memory

    /// What lies on each host.
    var parts: [HostForecast.Part] {
        let cut = hosts.indices.map { Self.held(model, shares, $0) }
        let all = Double(max(1, cut.reduce(0, +)))
        let whole = Self.fixedBytes(model) - model.cacheBytes - model.scratchBytes
        return hosts.indices.map { host in
            HostForecast.Part(
                host: host, name: hosts[host].name, share: Double(cut[host]) / all, cutWeight: shares[host],
                layers: nil,
                weightBytes: whole + cut[host], cacheBytes: model.cacheBytes, scratchBytes: model.scratchBytes,
                capacity: hosts[host].capacity)
        }
    }
}
