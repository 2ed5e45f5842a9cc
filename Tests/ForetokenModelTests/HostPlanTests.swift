import ForetokenModel
import ForetokenPlacement
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What planning over hosts knows of models, and what it makes of them.
@Suite struct HostPlanTests {
    private static func model(
        _ name: String, _ format: ResidentFormat? = nil, scratch: Int = 0, positions: Int = 4096
    ) throws -> HostedModel {
        let shape = try SyntheticShape(named: name)
        let checkpoint = try shape.checkpoint(shape.whole, label: name)
        return try WeightLayout(checkpoint).hostedModel(
            checkpoint, format: shape.counted(format ?? .stored), cacheElementBytes: 4, positions: positions,
            scratchBytes: scratch)
    }

    private static func hosts(_ count: Int, gbps: Double, gb: Double = 2000) -> [HostMachine] {
        (0..<count).map {
            HostMachine(
                name: "host-\($0)", readBandwidth: gbps * 1e9, capacity: Int(gb * 1e9), multiplyAddsPerSecond: 1.5e12)
        }
    }

    private static func planner(_ model: HostedModel, _ hosts: [HostMachine], _ link: HostLink) -> HostPlanner {
        let experts = model.layers.last?.experts?.count ?? 1
        return HostPlanner(
            model, hosts: hosts, link: link,
            overlap: .uniform(expertCount: experts, expertsPerToken: model.expertsPerToken), acceptance: 0.85)
    }

    // MARK: The model

    @Test("Every shape's bytes are those that the engine packs and reads", arguments: SyntheticShape.names)
    func bytesAreTheEngines(_ name: String) throws {
        let shape = try SyntheticShape(named: name)
        let whole = try WholeShape(shape)
        let modules = whole.layout.mtp.count
        for format in ResidentFormat.allCases {
            let model = try Self.model(name, format)
            // Exactly: what is not told apart is what every host has.
            #expect(model.weightBytes + model.otherBytes == whole.residentByteCount(format), "\(format)")
            #expect(Double(model.otherBytes) < 0.01 * Double(model.weightBytes), "\(format): \(model.otherBytes)")
            let all = Self.hosts(1, gbps: 1)
            let link = HostLink(latencySeconds: 0, bytesPerSecond: 1e9)
            let alone = Self.planner(model, all, link).forecast(.oneHost)
            #expect(alone.parts[0].weightBytes == whole.residentByteCount(format) && alone.exchangeShare == 0)
            let counted = shape.counted(format)
            let placement = try #require(
                try whole.layout.placementModel(whole.checkpoint, format: counted, besides: 0))
            let main = model.layers.count { $0.experts != nil }
            let step = placement.denseBytesPerStep + main * placement.expertsPerToken * placement.expertBytes
            #expect(abs(alone.stepSeconds[0] * 1e9 / Double(step) - 1) < 1e-9, "\(format)")
            let draft = whole.layout.draftBytes(shape.whole, counted)
            #expect((draft == nil) == (alone.draftSeconds == nil))
            if let draft, let seconds = alone.draftSeconds {
                #expect(abs(seconds * 1e9 / Double(draft) - 1) < 1e-9, "\(format)")
            }
        }
        for type in CacheType.allCases {
            let checkpoint = whole.checkpoint
            let model = try whole.layout.hostedModel(
                checkpoint, format: .stored, cacheElementBytes: type.elementBytes, positions: 4096, scratchBytes: 0)
            let position = Model.cacheBytesPerPosition(shape.whole, modules: modules, cacheType: type)
            #expect(model.cacheBytes == 4096 * position)
        }
    }

    // MARK: DeepSeek-V3 in FP8, as an independent calculation has it

    enum Network: String, Sendable {
        case gigabit, tenGigabit, twentyFiveGigabit, rdma

        var link: HostLink {
            switch self {
            case .gigabit: HostLink(latencySeconds: 50e-6, bytesPerSecond: 0.117e9, peerSeconds: 6e-6)
            case .tenGigabit: HostLink(latencySeconds: 30e-6, bytesPerSecond: 1.17e9, peerSeconds: 5e-6)
            case .twentyFiveGigabit: HostLink(latencySeconds: 25e-6, bytesPerSecond: 2.5e9, peerSeconds: 5e-6)
            case .rdma: HostLink(latencySeconds: 4e-6, bytesPerSecond: 11.5e9, peerSeconds: 0.5e-6)
            }
        }
    }

    struct Roof: Sendable {
        var gbps: Double
        var network: Network
        var hosts: Int
        /// Cut rows: tokens a second at one row, milliseconds of a step of 2 and of 16 rows, exchanges' share at one row.
        var rows: Double, two: Double, sixteen: Double, share: Double
        /// Layers by host: tokens a second.
        var layers: Double

        init(
            _ gbps: Double, _ network: Network, _ hosts: Int, rows: Double, two: Double, sixteen: Double,
            layers: Double,
            share: Double
        ) {
            (self.gbps, self.network, self.hosts) = (gbps, network, hosts)
            (self.rows, self.two, self.sixteen, self.layers, self.share) = (rows, two, sixteen, layers, share)
        }
    }

    static let roofs = [
        Roof(450, .gigabit, 2, rows: 9.384, two: 179.82, sixteen: 1142.1, layers: 11.864, share: 0.5954),
        Roof(450, .gigabit, 4, rows: 8.709, two: 202.70, sixteen: 1401.4, layers: 11.782, share: 0.8013),
        Roof(450, .gigabit, 8, rows: 8.107, two: 218.54, sixteen: 1535.4, layers: 11.620, share: 0.8973),
        Roof(450, .tenGigabit, 2, rows: 18.000, two: 82.68, sixteen: 399.2, layers: 11.933, share: 0.2240),
        Roof(450, .tenGigabit, 4, rows: 24.835, two: 58.95, sixteen: 289.0, layers: 11.917, share: 0.4333),
        Roof(450, .tenGigabit, 8, rows: 27.563, two: 50.75, sixteen: 237.5, layers: 11.886, share: 0.6507),
        Roof(450, .twentyFiveGigabit, 2, rows: 19.376, two: 76.01, sixteen: 354.3, layers: 11.938, share: 0.1647),
        Roof(450, .twentyFiveGigabit, 4, rows: 28.608, two: 49.55, sixteen: 222.3, layers: 11.927, share: 0.3472),
        Roof(450, .twentyFiveGigabit, 8, rows: 33.015, two: 39.99, sixteen: 159.9, layers: 11.907, share: 0.5816),
        Roof(450, .rdma, 2, rows: 22.418, two: 67.13, sixteen: 319.2, layers: 11.946, share: 0.0336),
        Roof(450, .rdma, 4, rows: 40.290, two: 36.60, sixteen: 169.9, layers: 11.944, share: 0.0807),
        Roof(450, .rdma, 8, rows: 65.393, two: 21.70, sixteen: 95.7, layers: 11.941, share: 0.1714),
        Roof(300, .gigabit, 2, rows: 7.805, two: 212.37, sixteen: 1297.0, layers: 7.928, share: 0.4953),
        Roof(300, .gigabit, 4, rows: 7.922, two: 219.61, sixteen: 1479.5, layers: 7.891, share: 0.7289),
        Roof(300, .gigabit, 8, rows: 7.711, two: 227.63, sixteen: 1575.1, layers: 7.818, share: 0.8534),
        Roof(300, .tenGigabit, 2, rows: 12.968, two: 115.24, sixteen: 554.1, layers: 7.958, share: 0.1614),
        Roof(300, .tenGigabit, 4, rows: 19.352, two: 75.86, sixteen: 367.0, layers: 7.952, share: 0.3376),
        Roof(300, .tenGigabit, 8, rows: 23.465, two: 59.84, sixteen: 277.2, layers: 7.938, share: 0.5540),
        Roof(300, .twentyFiveGigabit, 2, rows: 13.668, two: 108.56, sixteen: 509.2, layers: 7.961, share: 0.1162),
        Roof(300, .twentyFiveGigabit, 4, rows: 21.568, two: 66.46, sixteen: 300.4, layers: 7.956, share: 0.2618),
        Roof(300, .twentyFiveGigabit, 8, rows: 27.304, two: 49.07, sixteen: 199.6, layers: 7.947, share: 0.4810),
        Roof(300, .rdma, 2, rows: 15.114, two: 99.69, sixteen: 474.1, layers: 7.965, share: 0.0226),
        Roof(300, .rdma, 4, rows: 27.602, two: 53.51, sixteen: 248.0, layers: 7.964, share: 0.0553),
        Roof(300, .rdma, 8, rows: 46.237, two: 30.79, sixteen: 135.3, layers: 7.962, share: 0.1212),
    ]

    /// Within 1 %: that calculation has sizes in 10 kB, no exchange of the chosen tokens at the end, and even cuts, where here
    /// lm_head's 1,010 units and the dense layers' 144 divide over the hosts as whole ones.
    @Test(arguments: roofs) func deepSeekV3IsAsCalculated(_ roof: Roof) throws {
        let model = try Self.model("deepseek-v3", .stored)
        let planner = Self.planner(model, Self.hosts(roof.hosts, gbps: roof.gbps), roof.network.link)
        let (rows, layers) = (planner.forecast(.rows), planner.forecast(.layers))
        func isNear(_ found: Double, _ expected: Double) -> Bool { abs(found / expected - 1) < 0.01 }
        #expect(isNear(rows.tokensPerSecond, roof.rows), "\(rows.tokensPerSecond)")
        #expect(isNear(rows.stepSeconds[1] * 1e3, roof.two), "\(rows.stepSeconds[1])")
        #expect(isNear(rows.stepSeconds[15] * 1e3, roof.sixteen), "\(rows.stepSeconds[15])")
        #expect(abs(rows.exchangeShare - roof.share) < 0.01, "\(rows.exchangeShare)")
        #expect(isNear(layers.tokensPerSecond, roof.layers), "\(layers.tokensPerSecond)")
    }

    /// With a draft within 4 %, and never below: that calculation lets a draft read all of lm_head in BF16, but drafts here
    /// read a quarter of it in INT8.
    @Test(
        arguments: [
            (Network.gigabit, [10.1, 9.0, 8.4], [13.7, 13.6, 13.4]),
            (.tenGigabit, [21.5, 30.5, 35.6], [13.8, 13.8, 13.8]),
            (.twentyFiveGigabit, [23.4, 36.1, 45.0], [13.8, 13.8, 13.8]),
            (.rdma, [26.4, 48.5, 82.3], [13.8, 13.8, 13.8]),
        ])
    func draftsPayMoreOverHosts(_ network: Network, rows: [Double], layers: [Double]) throws {
        let model = try Self.model("deepseek-v3", .stored)
        for (index, count) in [2, 4, 8].enumerated() {
            let planner = Self.planner(model, Self.hosts(count, gbps: 450), network.link)
            for (division, expected) in [(HostDivision.rows, rows[index]), (.layers, layers[index])] {
                let found = try #require(planner.forecast(division).draftedTokensPerSecond)
                #expect((0.99...1.04).contains(found / expected), "\(division) \(count): \(found), not \(expected)")
            }
        }
    }

    /// GB a host; within 1 %, the copy of lm_head that drafts read not being in that calculation.
    @Test func deepSeekV3sMemoryIsAsCalculated() throws {
        let model = try Self.model("deepseek-v3", .stored)
        for (count, rows, layers) in [(2, 346.0, 344.0), (4, 174, 172), (8, 89, 86)] {
            let planner = Self.planner(model, Self.hosts(count, gbps: 450), Network.tenGigabit.link)
            let cut = planner.forecast(.rows)
            for part in cut.parts {
                #expect(abs(Double(part.weightBytes) / 1e9 / rows - 1) < 0.01, "\(part)")
                #expect(part.cacheBytes == model.cacheBytes)
            }
            let whole = planner.forecast(.layers)
            #expect(whole.parts.reduce(0) { $0 + $1.cacheBytes } == model.cacheBytes)
            let most = whole.parts.map(\.weightBytes).max() ?? 0
            // That calculation cuts evenly. Here cuts lie between layers of 11.5 GB, and the first host, which also reads
            // lm_head, gets fewer.
            #expect((layers - 6...1.1 * layers + 12).contains(Double(most) / 1e9), "\(most)")
        }
    }

    /// Tokens of a prompt a second at 3 TFLOP/s a host, within 2 %, as they are printed there.
    @Test func promptsAreAsCalculated() throws {
        let model = try Self.model("deepseek-v3", .stored)
        func rate(_ count: Int, _ network: Network, _ division: HostDivision) -> Double {
            Self.planner(model, Self.hosts(count, gbps: 450), network.link).forecast(division).promptTokensPerSecond
                ?? 0
        }
        for (network, expected) in [
            (Network.gigabit, 16.0), (.tenGigabit, 58), (.twentyFiveGigabit, 68), (.rdma, 79),
        ] {
            #expect(abs(rate(2, network, .rows) / expected - 1) < 0.03, "\(rate(2, network, .rows))")
        }
        // Its layers are even halves; 61 are not.
        #expect(abs(rate(2, .tenGigabit, .layers) / 73 - 1) < 0.04, "\(rate(2, .tenGigabit, .layers))")
        #expect(abs(rate(4, .tenGigabit, .layers) / 119 - 1) < 0.07, "\(rate(4, .tenGigabit, .layers))")
    }

    // MARK: Choices

    @Test func theFastestThatFitsIsChosen() throws {
        let model = try Self.model("deepseek-v3", .stored)
        func choice(_ count: Int, gbps: Double, gb: Double, _ network: Network) -> HostDivision? {
            Self.planner(model, Self.hosts(count, gbps: gbps, gb: gb), network.link).choose().choice?.division
        }
        #expect(choice(2, gbps: 450, gb: 384, .tenGigabit) == .rows)
        #expect(choice(2, gbps: 450, gb: 384, .gigabit) == .layers, "rows would be slower, one host does not fit")
        #expect(choice(2, gbps: 800, gb: 1000, .gigabit) == .oneHost, "a slow link only costs")
        #expect(choice(4, gbps: 800, gb: 1000, .tenGigabit) == .rows)
        #expect(choice(1, gbps: 450, gb: 1000, .tenGigabit) == .oneHost)
        #expect(choice(2, gbps: 450, gb: 256, .tenGigabit) == nil)
        let short = Self.planner(model, Self.hosts(2, gbps: 450, gb: 256), Network.tenGigabit.link).choose()
        for forecast in short.forecasts {
            #expect(!forecast.fits && forecast.missingBytes > 0)
            // All divisions miss at least what the hosts lack together.
            let lack = model.weightBytes - (forecast.division == .oneHost ? 1 : 2) * 256_000_000_000
            #expect(forecast.missingBytes >= lack, "\(forecast.division)")
        }
    }

    @Test func unequalHostsGetWhatTheyReadInTime() throws {
        let model = try Self.model("kimi-k2")
        var hosts = Self.hosts(3, gbps: 200)
        hosts[1].readBandwidth = 600e9
        let planner = Self.planner(model, hosts, Network.rdma.link)
        let shares = planner.forecast(.rows).parts.map(\.share)
        let weights = planner.forecast(.rows).parts.compactMap(\.cutWeight)
        #expect(weights.count == 3 && abs(Double(weights[1]) / Double(weights.reduce(0, +)) - 0.6) < 1e-4, "\(weights)")
        #expect(abs(shares[1] - 0.6) < 0.03 && abs(shares[0] - 0.2) < 0.03, "\(shares)")
        // The fast host alone would take 1.67 times as long as all three, exchanges aside.
        #expect(planner.choose().choice?.division == .rows)
        // Of layers in balance each host takes a fifth of 200 GB/s' time: the fast one first is faster for one text.
        let layers = planner.forecast(.layers)
        #expect(layers.parts[1].share > 0.9, "\(layers.parts.map(\.share))")
        // Memory limits it.
        hosts[1].capacity = 400_000_000_000
        let limited = Self.planner(model, hosts, Network.rdma.link)
        for division in [HostDivision.rows, .layers] {
            let forecast = limited.forecast(division)
            #expect(forecast.fits && forecast.parts[1].neededBytes <= 400_000_000_000, "\(division)")
            #expect(Double(forecast.parts[1].neededBytes) > 0.9 * 400e9, "\(division)")
        }
    }

    @Test("Whatever the hosts: everything lies somewhere once, and more rows take longer", arguments: 0..<40)
    func everyDivisionIsWhole(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let names = SyntheticShape.names
        let model = try Self.model(names[Int.random(in: names.indices, using: &random)], scratch: 1 << 28)
        let all = Double(model.weightBytes + model.cacheBytes)
        let hosts = (0..<Int.random(in: 1...9, using: &random)).map { index in
            HostMachine(
                name: "\(index)", readBandwidth: Double.random(in: 10e9...900e9, using: &random),
                capacity: Int(Double.random(in: 0.05...1.2, using: &random) * all))
        }
        let link = HostLink(
            latencySeconds: Double.random(in: 0...1e-3, using: &random),
            bytesPerSecond: Double.random(in: 1e7...2e10, using: &random))
        let plan = Self.planner(model, hosts, link).choose()
        #expect(plan.forecasts.count == (hosts.count > 1 ? 3 : 1))
        for forecast in plan.forecasts {
            #expect(zip(forecast.stepSeconds, forecast.stepSeconds.dropFirst()).allSatisfy(<))
            #expect(zip(forecast.stepSeconds, forecast.exchangeSeconds).allSatisfy { $0 > $1 && $1 >= 0 })
            #expect(forecast.fits == forecast.parts.allSatisfy { $0.neededBytes <= $0.capacity })
            #expect(forecast.promptTokensPerSecond == nil)
            let held = forecast.parts.reduce(0) { $0 + $1.weightBytes }
            switch forecast.division {
            case .oneHost: #expect(held == model.weightBytes + model.otherBytes)
            case .layers:
                #expect(held == model.weightBytes + hosts.count * model.otherBytes)
                #expect(
                    forecast.parts.map { $0.layers ?? [] }.reduce([0]) { $0.last == $1[0] ? $1 : [] }.last
                        == model.layers.count)
            case .rows:
                let blocks = model.layers + model.modules.map(\.block)
                let whole = blocks.reduce(model.embeddingBytes + model.otherBytes) { $0 + $1.wholeBytes }
                #expect(held == model.weightBytes + model.otherBytes + (hosts.count - 1) * whole)
            }
            // Nothing that does not fit is chosen, and nothing that is slower than another by more than the tolerance.
            if let choice = plan.choice, forecast.fits {
                #expect(choice.fits)
                #expect(choice.bestTokensPerSecond >= 0.99 * forecast.bestTokensPerSecond)
            }
        }
        #expect((plan.choice == nil) == plan.forecasts.allSatisfy { !$0.fits })
    }
}
