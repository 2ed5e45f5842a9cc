/// A model whose hosts have consecutive layers each. The first also has embedding, lm_head and MTP modules, so that a step's
/// hidden rows come back to it. One text's step goes through the hosts in turn: it is never faster than on one host with the
/// bandwidth of all, but it needs the link only at boundaries.
struct LayerDivision {
    private let model: HostedModel
    private let hosts: [HostMachine]
    private let link: HostLink
    /// By host: its layers, some or none.
    let ranges: [Range<Int>]

    /// Layers so that hosts take equally long for theirs, which serves prompts and several texts best; but where the step of
    /// one text is more than 1 % shorter with fast hosts filled first, so.
    init(_ model: HostedModel, _ hosts: [HostMachine], _ link: HostLink) {
        let balanced = LayerDivision(model, hosts, link, Self.cut(model, hosts, join: max))
        let filled = LayerDivision(model, hosts, link, Self.cut(model, hosts, join: +))
        let distinct = Double(model.expertsPerToken)
        let isFilledFaster =
            filled.step(rows: 1, distinct: distinct).seconds < 0.99 * balanced.step(rows: 1, distinct: distinct).seconds
        self = isFilledFaster ? filled : balanced
    }

    private init(_ model: HostedModel, _ hosts: [HostMachine], _ link: HostLink, _ ranges: [Range<Int>]) {
        self.model = model
        self.hosts = hosts
        self.link = link
        self.ranges = ranges
    }

    // MARK: Cutting

    /// The cut whose hosts' times, joined, are least, among those that fit; where none fits, what is missing counts instead.
    private static func cut(
        _ model: HostedModel, _ hosts: [HostMachine], join: (Double, Double) -> Double
    ) -> [Range<Int>] {
        let count = model.layers.count
        let bytes = sums(model.layers.map { Double($0.heldBytes + model.cacheBytes($0)) })
        let read = sums(model.layers.map { $0.readBytes(distinct: Double(model.expertsPerToken)) })
        // By end of the layers so far: bytes that have no room, then the joined time, and where the last host begins.
        typealias Best = (missing: Double, time: Double)
        var best = [Best?](repeating: nil, count: count + 1)
        best[0] = (0, 0)
        var begins: [[Int]] = []
        for (index, host) in hosts.enumerated() {
            let fixed = Double(fixedBytes(model, host: index))
            let own = index == 0 ? Double(model.lmHead.bytes) : 0
            var next = [Best?](repeating: nil, count: count + 1)
            var begin = [Int](repeating: 0, count: count + 1)
            for start in 0...count {
                guard let before = best[start] else { continue }
                for end in start...count {
                    let missing = max(0, fixed + bytes[end] - bytes[start] - Double(host.capacity))
                    let time = (own + read[end] - read[start]) / host.readBandwidth
                    let candidate = (before.missing + missing, join(before.time, time))
                    if let known = next[end], known <= candidate { continue }
                    next[end] = candidate
                    begin[end] = start
                }
            }
            best = next
            begins.append(begin)
        }
        var ranges: [Range<Int>] = []
        var end = count
        for begin in begins.reversed() {
            ranges.append(begin[end]..<end)
            end = begin[end]
        }
        return ranges.reversed()
    }

    private static func sums(_ values: [Double]) -> [Double] {
        values.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
    }

    /// Bytes that lie on a host whatever its layers.
    private static func fixedBytes(_ model: HostedModel, host: Int) -> Int {
        let common = model.otherBytes + model.scratchBytes
        guard host == 0 else { return common }
        return common + model.embeddingBytes + model.headBytes + model.moduleBytes
            + model.modules.reduce(0) { $0 + model.cacheBytes($1.block) }
    }

    // MARK: Times

    /// Times that hidden rows go from one host to another: between hosts that have layers, from the first with its embedding
    /// and back to it.
    private var transfers: Int {
        let path = [0] + hosts.indices.filter { !ranges[$0].isEmpty } + [0]
        return zip(path, path.dropFirst()).count { $0 != $1 }
    }

    /// A step of so many rows whose layers need `distinct` experts each, a mean.
    func step(rows: Int, distinct: Double) -> StepTime {
        var time = StepTime(reading: Double(model.lmHead.bytes) / hosts[0].readBandwidth)
        for (host, range) in zip(hosts, ranges) {
            let bytes = model.layers[range].reduce(0) { $0 + $1.readBytes(distinct: distinct) }
            time.reading += bytes / host.readBandwidth
        }
        let row = 4 * (model.layers.first?.hiddenFloats ?? 0)
        time.exchange = Double(transfers) * link.transferSeconds(bytes: row * rows)
        return time
    }

    /// One draft of the first module, on the first host alone.
    var draft: StepTime? {
        guard let module = model.modules.first else { return nil }
        let bytes =
            module.block.readBytes(distinct: Double(model.expertsPerToken))
            + Double(module.projection.bytes + model.frequentLMHead.bytes)
        return StepTime(reading: bytes / hosts[0].readBandwidth)
    }

    /// Parts of a prompt that are under way at once for `promptTokensPerSecond`.
    private static let chunks = 8

    /// Tokens of a prompt of 8 parts a second: while one host computes a part, the one before it computes the next. The
    /// slowest host sets the pace.
    var promptTokensPerSecond: Double? {
        var slowest = 0.0
        for (host, range) in zip(hosts, ranges) {
            guard let speed = host.multiplyAddsPerSecond else { return nil }
            slowest = max(slowest, model.layers[range].reduce(0) { $0 + $1.multiplyAdds } / speed)
        }
        let stages = ranges.count { !$0.isEmpty }
        return Double(Self.chunks) / Double(Self.chunks + stages - 1) / slowest
    }

    // MARK: Memory

    /// What lies on each host.
    var parts: [HostForecast.Part] {
        let all = Double(max(1, model.layers.reduce(0) { $0 + $1.heldBytes }))
        return hosts.indices.map { host in
            let layers = model.layers[ranges[host]]
            let held = layers.reduce(0) { $0 + $1.heldBytes }
            let modules = host == 0 ? model.modules.reduce(0) { $0 + model.cacheBytes($1.block) } : 0
            return HostForecast.Part(
                host: host, name: hosts[host].name, share: Double(held) / all, cutWeight: nil,
                layers: [ranges[host].lowerBound, ranges[host].upperBound],
                weightBytes: held + Self.fixedBytes(model, host: host) - modules - model.scratchBytes,
                cacheBytes: modules + layers.reduce(0) { $0 + model.cacheBytes($1) },
                scratchBytes: model.scratchBytes, capacity: hosts[host].capacity)
        }
    }
}
