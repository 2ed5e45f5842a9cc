import ForetokenPlacement
import ForetokenReport
import ForetokenTestSupport
import Testing
import foretoken

@Suite struct PlacePageTests {
    private static let model = PlacementModel(
        fingerprint: "model", layers: Array(3..<8), expertCount: 64, expertsPerToken: 4, gateUpBytes: 16_000_000,
        downBytes: 8_000_000, gateUpPanels: 64, downPanels: 64, denseBytesPerStep: 400_000_000,
        denseBytes: 1_000_000_000)

    /// Skewed routing: experts are popular by rank, ranks scattered over the ids.
    private static func trace(_ windows: Int, domains: [String]) -> RoutingTrace {
        var random = SeededGenerator(seed: 3)
        var trace = RoutingTrace(model: "model", layers: Array(3..<7), expertCount: 64, expertsPerToken: 4)
        trace.domains = domains
        for window in 0..<windows {
            trace.windows.append(
                .init(rows: 2 * window..<2 * window + 2, domain: window * domains.count / windows, position: 2 * window)
            )
            trace.kinds += [.newest, window % 3 == 0 ? .rejected : .accepted]
            for _ in 0..<2 * trace.layers.count {
                var chosen: Set<UInt16> = []
                while chosen.count < 4 {
                    let uniform = Double(random.uniform())
                    chosen.insert(UInt16(Int(63 * uniform * uniform * uniform) * 23 % 64))
                }
                trace.experts += chosen.sorted()
            }
        }
        return trace
    }

    private static func study(
        _ nodes: [PlacementMachine.Node], name: String = "machine.json", domains: [String] = ["code", "prose"],
        asked: PlacementPolicy? = nil, windows: Int = 400
    ) throws -> PlacementStudy {
        let machine = PlacementMachine(
            fingerprint: "machine", nodes: nodes, pieceSeconds: 2.5e-6, barrierSeconds: 3e-6)
        let trace = trace(windows, domains: domains)
        let planner = try Planner(model: model, machine: machine, halves: WindowHalves(of: trace))
        let report = planner.plan(asked.map { planner.policies + [$0] })
        return PlacementStudy(
            subject: .init(
                model, label: name, isShape: true, weights: "stored", context: 4096, traces: ["\(name).trace"]),
            machine: .init(
                name: name, source: "file", remark: "bandwidths are a file's", pieceMicroseconds: 2.5,
                barrierMicroseconds: 3, hasGivenCosts: false),
            report: report, trace: TraceStatistics(trace), coactivation: CoactivationMap(trace, layer: 3, limit: 32),
            asked: asked)
    }

    private static func node(_ id: Int, workers: Int, gigabytes: Int, speed: Double) -> PlacementMachine.Node {
        .init(id: id, workers: workers, capacity: gigabytes * 1_000_000_000, bandwidth: speed * 1e9)
    }

    private static let equal = [
        node(0, workers: 8, gigabytes: 20, speed: 200), node(1, workers: 8, gigabytes: 20, speed: 200),
    ]
    private static let tiered = [
        node(0, workers: 8, gigabytes: 3, speed: 200), node(1, workers: 8, gigabytes: 3, speed: 200),
        node(2, workers: 0, gigabytes: 40, speed: 60),
    ]
    private static let hostileName = "<script>alert(1)</script>\u{202E}\u{0}& \" '"

    private static func samples() throws -> [(name: String, study: PlacementStudy)] {
        [
            ("equal", try study(equal)), ("tiered", try study(tiered)), ("one", try study([equal[0]])),
            ("asked", try study(tiered, asked: .roundRobin)), ("no plan", try study(equal, asked: .sliced(pieces: 7))),
            ("hostile", try study(tiered, name: hostileName, domains: [hostileName, "b"])),
            ("short", try study(equal, domains: ["code"], windows: 4)),
        ]
    }

    @Test func pagesAreSoundAndNeedNothingElse() throws {
        for (name, study) in try Self.samples() {
            let html = PlacePage(study).html
            Attachment.record(html, named: "\(name).html")
            let balance = TagBalance(html)
            #expect(balance.problem == nil, "\(name)")
            #expect(Set(balance.ids).count == balance.ids.count)
            #expect(!html.contains("NaN") && !html.contains("nan\"") && !html.contains("inf\""))
            let charts = html.split(separator: "role=\"img\"").count - 1
            #expect(balance.elements.count { $0 == "desc" } == charts)
            for reference in ["http", "url(", "@import", "<script", "<link", "<img", "<iframe", "//"] {
                #expect(!html.contains(reference), "\(name): \(reference)")
            }
        }
    }

    @Test func hostileNamesStayText() throws {
        let html = PlacePage(try Self.study(Self.tiered, name: Self.hostileName, domains: [Self.hostileName, "b"])).html
        #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
        #expect(!html.unicodeScalars.contains("\u{202E}") && !html.unicodeScalars.contains("\u{0}"))
    }

    @Test func everyPolicyIsInTheTables() throws {
        for nodes in [Self.equal, Self.tiered] {
            let study = try Self.study(nodes)
            let page = TagBalance(PlacePage(study).html).text
            let tables = PlaceTables(study, .init(isInteractive: false, usesColor: false)).text
            for result in study.report.results {
                #expect(page.contains("\(result.policy)") && tables.contains("\(result.policy)"))
                guard let score = result.score else { continue }
                let ratio = AxisFormat.times.text(score.ratioToBound)
                #expect(page.contains(ratio) && tables.contains(ratio))
            }
            #expect(page.contains("predicted") && page.contains("Bandwidths were not measured"))
        }
    }

    @Test func equalNodesAreSlicedAndSlowOnesTiered() throws {
        let sliced = PlacementVerdict(try Self.study(Self.equal))
        #expect(sliced.answer == .simple && sliced.headline == "Slice every expert over 2 nodes")
        #expect(sliced.reason.contains("tatistics gain"))
        let study = try Self.study(Self.tiered, windows: 2000)
        let tiered = PlacementVerdict(study)
        let choice = try #require(study.taken)
        #expect(tiered.answer == .statistics && tiered.headline.contains("\(choice.result.policy)"), "\(tiered)")
        let factor = try #require(study.expertSpeedup(choice.score))
        #expect(factor > 1 && tiered.headline.contains(AxisFormat.times.text(factor)))
        // The same from few rows is no sure answer, and the page is as little green as the words are.
        let few = try Self.study(Self.tiered, windows: 1999)
        #expect(
            PlacementVerdict(few).answer == .thin
                && PlacementVerdict(few).headline.hasSuffix(", if 3,998 rows tell enough"))
        #expect(PlacePage(few).html.contains("class=\"banner open\""))
        #expect(PlacePage(study).html.contains("class=\"banner good\""))
        #expect(PlacementVerdict(try Self.study([Self.equal[0]])).answer == .nothingToPlace)
        let absent = PlacementVerdict(try Self.study(Self.equal, asked: .sliced(pieces: 7)))
        #expect(absent.answer == .nothingFits && absent.reason.contains("would fit"))
    }

    @Test func shortTracesAndSourcesAreCaveats() throws {
        let short = try Self.study(Self.equal, domains: ["code"], windows: 4)
        #expect(short.caveats.contains { $0.contains("8 rows") && $0.contains("luck") })
        let longer = try Self.study(Self.equal)
        #expect(longer.caveats.contains { $0.contains("800 rows") })
        #expect(longer.caveats.contains { $0.contains("bandwidths are a file") })
        #expect(longer.caveats.contains { $0.contains("1 layer with experts") })
        #expect(!(try Self.study([Self.equal[0]])).caveats.contains { $0.contains("rows") })
    }

    @Test func senselessFiguresMakeSoundPages() throws {
        var random = SeededGenerator(seed: 5)
        let values = [0, -1, 1, 0.5, 1e-300, 1e15, 1e300, .nan, .infinity, -.infinity]
        let sound = try Self.study(Self.tiered)
        for _ in 0..<30 {
            func some() -> Double { values.randomElement(using: &random) ?? 0 }
            var report = sound.report
            report.boundSeconds = some()
            report.denseSeconds = some()
            report.statisticsGain = some()
            report.windows.rowsPerStep = some()
            for index in report.results.indices {
                report.results[index].score?.expertSeconds = some()
                report.results[index].score?.trainingExpertSeconds = some()
                report.results[index].score?.ratioToBound = some()
                report.results[index].score?.stepSeconds = some()
                report.results[index].score?.layerSeconds = report.layers.map { _ in some() }
            }
            let study = PlacementStudy(
                subject: sound.subject, machine: sound.machine, report: report, trace: sound.trace, coactivation: nil)
            #expect(TagBalance(PlacePage(study).html).problem == nil)
            #expect(!PlaceTables(study, .init(isInteractive: true, usesColor: true)).text.isEmpty)
        }
    }
}
