import ForetokenLaboratory
import ForetokenTestSupport
import Testing
import foretoken

@Suite struct MeasurePageTests {
    private static let samples: [(name: String, measurement: Measurement)] = [
        ("full", SampleMeasurement.full()), ("layers", SampleMeasurement.full(layers: 60)),
        ("losing", SampleMeasurement.losing), ("text", SampleMeasurement.text), ("partial", SampleMeasurement.partial),
        ("hostile", SampleMeasurement.hostile), ("empty", Measurement()),
    ]

    private static func html(_ measurement: Measurement) -> String {
        MeasurePage(measurement).html
    }

    @Test(arguments: samples.indices) func pagesAreSound(index: Int) {
        let (name, measurement) = Self.samples[index]
        let html = Self.html(measurement)
        Attachment.record(html, named: "\(name).html")
        let balance = TagBalance(html)
        #expect(balance.problem == nil, "\(name)")
        #expect(Set(balance.ids).count == balance.ids.count)
        #expect(!html.contains("NaN") && !html.contains("nan\"") && !html.contains("inf\""))
        // Each chart has its name and its description.
        let charts = html.split(separator: "role=\"img\"").count - 1
        #expect(balance.elements.count { $0 == "desc" } == charts)
    }

    @Test(arguments: samples.indices) func pagesNeedNothingElse(index: Int) {
        let html = Self.html(Self.samples[index].measurement)
        for reference in ["http", "url(", "@import", "<script", "<link", "<img", "<iframe", "<object", "//"] {
            #expect(!html.contains(reference), "\(reference)")
        }
        // As text of a hostile name only.
        #expect(html.split(separator: "src=").dropLast().allSatisfy { $0.hasSuffix("&lt;img ") })
    }

    @Test func hostileNamesStayText() {
        let html = Self.html(SampleMeasurement.hostile)
        #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
        #expect(!html.unicodeScalars.contains("\u{202E}") && !html.unicodeScalars.contains("\u{0}"))
        let elements = Set(TagBalance(html).elements)
        #expect(elements.isDisjoint(with: ["script", "img", "b", "i"]))
    }

    @Test func everyFigureIsInTheTables() throws {
        let measurement = SampleMeasurement.full()
        let text = TagBalance(Self.html(measurement)).text
        for condition in measurement.conditions {
            for domain in condition.domains {
                #expect(text.contains(domain.domain))
                for estimate in domain.conditional + domain.cumulative + domain.rounds.map(\.rate) {
                    #expect(text.contains(estimate.percent) && text.contains(estimate.percentBounds))
                }
                for round in domain.rounds { #expect(text.contains(round.tokensPerRound.times.dropLast())) }
                if let agreement = domain.agreement {
                    for estimate in [
                        agreement.overlap, agreement.keyed, agreement.observed, agreement.argmaxDraft,
                        agreement.independentDraft,
                    ] { #expect(text.contains(estimate.percent)) }
                }
            }
        }
        for speed in measurement.speeds { #expect(text.contains(speed.measured.times)) }
        for speed in measurement.domainSpeeds {
            #expect(text.contains(speed.auto.times) && text.contains(speed.bestSpeed.times))
            #expect(text.contains("2.87×") && text.contains("with 8 rows"))
        }
        for domain in measurement.conditions.flatMap(\.domains) {
            let lookup = try #require(domain.lookup)
            let all = try #require(lookup.all)
            #expect(text.contains(lookup.found.percent) && text.contains(all.held.percent))
        }
        for kind in try #require(measurement.conditions[0].domains[3].lookup).byLength {
            let agreed = try #require(kind.agreed)
            #expect(text.contains(kind.held.percent) && text.contains(agreed.percent))
        }
        #expect(text.contains("32 and more") && text.contains("auto, lookup") && text.contains("94.6 %"))
        for time in try #require(measurement.costs).verify { #expect(text.contains(MeasurePage.time(time))) }
        #expect(text.contains("25.6 GB/s") && text.contains("176.0 MB"))
    }

    @Test func senselessFiguresMakeSoundPages() {
        var random = SeededGenerator(seed: 5)
        let values = [0, -1, 1, 0.5, 1e-300, 1e15, 1e300, .nan, .infinity, -.infinity]
        for _ in 0..<60 {
            func some() -> Double { values.randomElement(using: &random) ?? 0 }
            func list() -> [Double] { (0..<Int.random(in: 0...9, using: &random)).map { _ in some() } }
            func estimate() -> Estimate {
                Estimate(value: some(), low: some(), high: some(), count: Int.random(in: 0...2, using: &random))
            }
            var measurement = SampleMeasurement.full()
            measurement.costs = .made(
                verify: list(), firstDraft: list(), laterDraft: some(), meanContext: 0, bytesPerStep: some(),
                bandwidth: some())
            for index in measurement.speeds.indices {
                measurement.speeds[index].measured = estimate()
                measurement.speeds[index].predicted = some()
                measurement.speeds[index].tokensPerRound = some()
                measurement.speeds[index].tokensPerSecond = some()
            }
            for index in measurement.domainSpeeds.indices {
                measurement.domainSpeeds[index].auto = estimate()
                measurement.domainSpeeds[index].predicted = some()
                measurement.domainSpeeds[index].bestSpeed = estimate()
                measurement.domainSpeeds[index].copyLimit = some()
            }
            measurement.adaptive = .made(shares: list())
            measurement.overlap = [.made(layer: 0, experts: 0, distinct: list(), uniform: list())]
            for index in measurement.conditions.indices {
                measurement.conditions[index].domains[0].conditional = list().map { _ in estimate() }
                measurement.conditions[index].domains[3].cumulative = list().map { _ in estimate() }
                measurement.conditions[index].domains[3].reliability[0].confidence = some()
                measurement.conditions[index].domains[3].reliability[0].lowest = some()
                measurement.conditions[index].domains[1].rounds.removeAll { _ in some() > 0 }
            }
            #expect(TagBalance(Self.html(measurement)).problem == nil)
        }
    }

    @Test func whatIsMissingIsSaid() {
        let partial = TagBalance(Self.html(SampleMeasurement.partial)).text
        #expect(partial.contains("cut short") && partial.contains("Not measured: speed with drafts"))
        #expect(!partial.contains("What auto chose"))
        let nothing = TagBalance(Self.html(Measurement())).text
        #expect(nothing.contains("nothing was measured") && nothing.contains("Not measured: how often drafts hold"))
        let text = TagBalance(Self.html(SampleMeasurement.text)).text
        #expect(text.contains("The text&#39;s own tokens") && text.contains("48.2 %"))
        #expect(!text.contains("cut short"))
    }

    /// The page's colour is the answer's, and its words are the console's.
    @Test func thinDataAreAmber() {
        #expect(Self.html(SampleMeasurement.full()).contains("class=\"banner good\""))
        #expect(Self.html(SampleMeasurement.losing).contains("class=\"banner bad\""))
        for sample in [SampleMeasurement.full(), SampleMeasurement.losing] {
            var thin = sample
            for index in thin.speeds.indices { thin.speeds[index].prompts = 2 }
            let html = Self.html(thin)
            #expect(html.contains("class=\"banner open\"") && html.contains("The data are thin: 2 of 45 prompts"))
        }
    }

    /// Rounds of all prompts and rounds of the timed runs come to different figures, under different names.
    @Test func timedRoundsHaveTheirOwnName() throws {
        var measurement = SampleMeasurement.full(temperatures: [0])
        for index in measurement.speeds.indices where measurement.speeds[index].draft == "1" {
            measurement.speeds[index].roundCost = .made(checking: 1.17, drafting: 0.05)
        }
        let text = TagBalance(Self.html(measurement)).text
        #expect(text.contains("Tokens per timed round") && text.contains("Tokens per round"))
        #expect(text.contains("With 1 draft a timed round yields 1.79 tokens"))
        #expect(!text.contains("With 1 draft a round yields"))
    }

    @Test func sharesAboveTheRoofHaveTheirReason() {
        var measurement = SampleMeasurement.full()
        measurement.subject.cacheBytes = 400_000_000
        #expect(!Self.html(measurement).contains("fits the cache"))
        measurement.costs?.bandwidth = 15e9
        let html = Self.html(measurement)
        #expect(html.contains("in a plain step; fits the cache"))
        #expect(html.contains("<small>fits the cache</small>"))
    }

    @Test func reasonsAboveTheRoof() {
        #expect(ReadRoof.excuse(nil, bytes: 1, cache: 9) == nil)
        #expect(ReadRoof.excuse(.infinity, bytes: 1, cache: 9) == nil)
        #expect(ReadRoof.excuse(1.004, bytes: 1, cache: 9) == nil, "shown as 100 %")
        #expect(ReadRoof.excuse(1.63, bytes: 9, cache: 9) == "fits the cache")
        #expect(ReadRoof.excuse(1.1, bytes: 18, cache: 9) == "in part from the cache")
        #expect(ReadRoof.excuse(1.1, bytes: 19, cache: 9) == "disturbed: measure again")
        #expect(ReadRoof.excuse(1.1, bytes: 19, cache: 0) == "not from memory alone")
    }

    /// Names stay whole; only what is longer than a phone is wide may be broken.
    @Test func namesAreNotBroken() {
        var measurement = SampleMeasurement.full()
        measurement.subject.model = "foretoken-demo"
        measurement.conditions[0].domains[0].domain = "unit-tests"
        measurement.conditions[0].domains[1].domain = String(repeating: "x", count: 60)
        let html = Self.html(measurement)
        #expect(html.contains("<span class=\"word\">foretoken-demo?</span>"))
        #expect(html.contains("<th scope=\"row\"><span class=\"word\">unit-tests</span></th>"))
        #expect(html.contains("<th scope=\"row\" class=\"long\">xxx"))
        #expect(html.contains("<code class=\"word\">--draft auto</code>"))
    }
}
