import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What `Measurer` foretells of rounds is what rounds do; what it says of texts agrees with `Scorer`.
@Suite(.serialized)
struct MeasurerTests {
    private let model: Model
    private static let prompts: [[Int32]] = [
        [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477], [0, 300, 301, 302],
        Array(0..<290).map { Int32($0 * 7 % 4000) },
    ]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func plan(_ sampling: SamplingOptions = SamplingOptions()) -> MeasuringPlan {
        var plan = MeasuringPlan()
        plan.lengths = [1, 2, 5, 8, 15]
        plan.temperatures = [0, 0.8]
        plan.sampling = sampling
        plan.maximumTokens = 40
        plan.timingSeconds = 0
        return plan
    }

    /// What the generator itself counts.
    private func telemetry(_ length: Int, _ temperature: Float, _ plan: MeasuringPlan, context: Int) throws -> Telemetry
    {
        let generator = try Generator(model: model, capacity: context)
        var sum = Telemetry()
        for prompt in Self.prompts {
            generator.clear()
            var request = GenerationRequest(prompt: prompt)
            request.maximumTokens = plan.maximumTokens
            request.sampling = plan.sampling
            request.sampling.temperature = temperature
            (request.draft, request.sources) = (.fixed(length), plan.sources)
            request.stopTokens = plan.stopTokens
            sum.add(try generator.generate(request).telemetry)
        }
        return sum
    }

    @Test func roundsAreThoseOfTheGenerator() throws {
        var filtered = SamplingOptions()
        filtered.topP = 0.9
        filtered.seed = 5
        let wanted: [(SamplingOptions, DraftSources)] = [
            (SamplingOptions(), .both), (filtered, .both), (filtered, .mtp), (filtered, .lookup),
        ]
        for (sampling, sources) in wanted {
            var plan = plan(sampling)
            plan.sources = sources
            if sources == .mtp { plan.lengths.removeLast() }
            plan.stopTokens = [198, 1]
            let context = 340
            let measurer = try Measurer(model: model, plan: plan, context: context)
            let texts = Self.prompts.map { MeasuredText(domain: "x", tokens: $0, isGiven: false) }
            let measurement = try measurer.run(texts) { _, _ in true }
            #expect(!measurement.isPartial && measurement.conditions.count == 2)
            for condition in measurement.conditions {
                let domain = try #require(condition.domains.last)
                #expect(domain.domain == "x" && condition.domains.count == 1 && domain.prompts == 3)
                #expect(domain.rounds.count == plan.lengths.count)
                #expect(domain.conditional.isEmpty == (sources == .lookup))
                #expect((domain.lookup == nil) == (sources == .mtp))
                for round in domain.rounds {
                    let real = try telemetry(round.draftLength, condition.temperature, plan, context: context)
                    #expect(round.rounds == real.rounds)
                    #expect(round.rate.count == real.drafted.reduce(0, +))
                    #expect(abs(round.tokensPerRound.value - real.tokensPerRound) < 1e-12)
                    #expect(round.conditional.first?.count == real.drafted.first)
                }
            }
        }
    }

    @Test func sharedNoiseHoldsAsOftenAsItShould() throws {
        let measurer = try Measurer(model: model, plan: plan(), context: 400)
        let texts = Self.prompts.map { MeasuredText(domain: "x", tokens: $0, isGiven: false) }
        let measurement = try measurer.run(texts) { _, _ in true }
        let domain = try #require(measurement.conditions.last?.domains.last)
        let agreement = try #require(domain.agreement)
        #expect(measurement.conditions.first?.domains.last?.agreement == nil)
        // About a hundred positions: four standard deviations are 0.2.
        #expect(abs(agreement.keyed.value - agreement.observed.value) < 0.2)
        #expect(agreement.keyed.value <= agreement.overlap.value)
        #expect(agreement.independentDraft.value < agreement.keyed.value)
        #expect(agreement.observed.value == domain.conditional.first?.value)
        #expect(domain.reliability.reduce(0) { $0 + $1.accepted.count } == domain.positions)
    }

    @Test func alongAGivenTextItAgreesWithTheScorer() throws {
        let text = Self.prompts[0] + Self.prompts[2].dropFirst()
        var plan = plan()
        plan.temperatures = [0]
        let measurer = try Measurer(model: model, plan: plan, context: text.count)
        let measurement = try measurer.run([MeasuredText(domain: "t", tokens: text, isGiven: true)]) { _, _ in true }
        let domain = try #require(measurement.conditions.first?.domains.first)
        let score = try Scorer(model: model, context: text.count).score(text, topCount: 1, mtp: true)
        let guesses = try #require(score.mtp?.modules.first?.argmax)
        // Guess i is for position i + 2, which row i + 1 speaks of.
        let pairs = (0..<text.count - 2).map {
            (guess: guesses[$0], choice: score.top[$0 + 1][0].token, position: $0 + 2)
        }
        #expect(domain.positions == pairs.count)
        let held = Double(pairs.count { $0.guess == $0.choice }) / Double(pairs.count)
        // The draft head's INT8 copy may turn a near tie.
        #expect(abs(try #require(domain.conditional.first).value - held) < 0.02)
        let right = Double(pairs.count { $0.choice == text[$0.position] }) / Double(pairs.count)
        #expect(try #require(domain.textAgreement).verifier.value == right)
        #expect(domain.rounds.isEmpty)
        #expect(measurement.overlap.count == model.configuration.layerCount - 1)
        for layer in measurement.overlap { #expect(layer.distinct.count == 8 && layer.distinct[0] == 4) }
    }

    @Test func whatWasMeasuredBeforeAnInterruptionIsReported() throws {
        let measurer = try Measurer(model: model, plan: plan(), context: 400)
        let texts = ["a", "a", "b"].map { MeasuredText(domain: $0, tokens: Self.prompts[0], isGiven: false) }
        let measurement = try measurer.run(texts) { _, fraction in fraction < 0.6 }
        #expect(measurement.isPartial)
        // Domains take turns: the first text of each came first.
        #expect(measurement.conditions.first?.domains.map(\.domain) == ["a", "b", "all"])
        let nothing = try Measurer(model: model, plan: plan(), context: 400).run(texts) { _, _ in false }
        #expect(nothing.isPartial && nothing.conditions.isEmpty)
    }

    /// A text that says itself twice, the second time by order: look-up finds all of it, whatever the model would say.
    @Test func givenAnswersAreSaidAtTemperatureZeroAlone() throws {
        var plan = plan()
        plan.timingSeconds = 0.01
        plan.maximumTokens = 60
        let text = Array(Self.prompts[2][..<80])
        let texts = [
            MeasuredText(domain: "copy", tokens: text + text[..<16], isGiven: false, answer: Array(text[16...])),
            MeasuredText(domain: "own", tokens: Self.prompts[0], isGiven: false),
        ]
        let measurer = try Measurer(model: model, plan: plan, context: 200)
        let measurement = try measurer.run(texts) { _, _ in true }
        #expect(measurer.records.map(\.count) == [2, 1])
        #expect(measurement.conditions.map { $0.domains.map(\.domain) } == [["copy", "own", "all"], ["own"]])
        let copy = try #require(measurement.conditions[0].domains.first)
        #expect(copy.isMadeToSay && copy.lookup?.found.value == 1 && copy.lookup?.all?.held.value == 1)
        #expect(copy.positions == 59 && copy.lookup?.byLength.map(\.length) == [16, 32])
        // What is given is not summed up with what the model says.
        #expect(measurement.conditions[0].domains[2].positions == measurement.conditions[0].domains[1].positions)
        #expect(measurement.domainSpeeds.map(\.domain) == ["copy", "own", "own"])
        let rounds = try #require(copy.rounds.last)
        #expect(rounds.draftLength == 15 && rounds.rate.value == 1)
    }

    @Test func withoutModulesDraftsAreLookedUp() throws {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.mtpModules = 0 }).write(to: folder)
        let model = try Model.load(folder.path)
        var plan = plan()
        plan.timingSeconds = 0.01
        plan.temperatures = [0]
        let texts = [MeasuredText(domain: "x", tokens: [1, 2, 3, 1, 2, 3, 1, 2], isGiven: false)]
        let measurement = try Measurer(model: model, plan: plan, context: 60).run(texts) { _, _ in true }
        let domain = try #require(measurement.conditions.first?.domains.first)
        #expect(domain.conditional.isEmpty && domain.cumulative.isEmpty && domain.reliability.isEmpty)
        #expect(domain.lookup?.all?.agreed == nil && domain.lookup?.found.count == domain.positions)
        #expect(measurement.costs?.firstDraft.isEmpty == true && measurement.costs?.laterDraft == 0)
        #expect(measurement.speeds.map(\.draft) == ["off", "1", "2", "5", "8", "15", "auto"])
        plan.sources = .mtp
        #expect(throws: GenerationError.self) { try Measurer(model: model, plan: plan, context: 60) }
    }

    @Test func twoModulesAreTimedToo() throws {
        let model = try Model.load(Fixtures.golden("bf16-plain"))
        var plan = plan()
        plan.timingSeconds = 0.01
        plan.temperatures = [0]
        plan.maximumTokens = .max
        let measurer = try Measurer(model: model, plan: plan, context: 60)
        let measurement = try measurer.run([MeasuredText(domain: "x", tokens: [1, 2, 3], isGiven: false)]) { _, _ in
            true
        }
        let costs = try #require(measurement.costs)
        #expect(costs.firstDraft.allSatisfy { $0 > 0 } && costs.laterDraft > 0)
    }

    @Test func stepsAndSpeedsAreTimed() throws {
        var plan = plan()
        plan.timingSeconds = 0.01
        plan.temperatures = [0.7]
        plan.maximumTokens = 100
        let measurer = try Measurer(model: model, plan: plan, context: 200)
        let measurement = try measurer.run(
            [MeasuredText(domain: "x", tokens: Self.prompts[0], isGiven: false)]
        ) { _, _ in true }
        let costs = try #require(measurement.costs)
        #expect(costs.verify.count == 16 && costs.verify.allSatisfy { $0 > 0 } && costs.firstDraft.count == 16)
        #expect(measurement.speeds.map(\.draft) == ["off", "1", "2", "5", "8", "15", "auto", "auto", "auto"])
        #expect(measurement.speeds.suffix(3).map(\.sources) == ["both", "mtp", "lookup"])
        #expect(measurement.speeds[0].measured.value == 1 && measurement.speeds[0].predicted == 1)
        #expect(measurement.speeds.allSatisfy { ($0.predicted ?? 0) > 0 })
        #expect(measurement.speeds.suffix(3).map(\.drafts.lookup)[1] == 0)
        #expect(measurement.speeds.suffix(3).map(\.drafts.modules)[2] == 0)
        let domain = try #require(measurement.domainSpeeds.first)
        #expect(measurement.domainSpeeds.count == 1 && domain.domain == "x" && domain.temperature == 0.7)
        #expect((domain.predicted ?? 0) > 0 && (domain.copyLimit ?? 0) >= 1 && domain.bestSpeed.value >= 1)
        let shares = try #require(measurement.adaptive).shares
        #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
    }
}
