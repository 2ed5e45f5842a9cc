import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What `Benchmark` reports is complete and adds up.
@Suite(.serialized)
struct BenchmarkTests {
    private func plan() -> BenchPlan {
        var plan = BenchPlan()
        plan.seconds = 0.01
        plan.measuresMachine = false
        plan.contexts = [64, 128]
        plan.promptLengths = [32, 300]
        return plan
    }

    private func synthetic(mtp: Bool) throws -> (model: Model, shape: SyntheticShape) {
        let config = try #require(TinyModel().files().first { $0.name == "config.json" })
        let shape = try SyntheticShape(name: "tiny", json: config.bytes, file: "config.json")
        let checkpoint = try Checkpoint(synthetic: shape.part(moeLayers: 1, mtp: mtp), label: "tiny")
        let pool = try WorkerPool(threads: 2)
        let weights = try ModelWeights(checkpoint: checkpoint, layout: WeightLayout(checkpoint), pool: pool)
        return (try Model(weights: weights, pool: pool), shape)
    }

    @Test func realTextIsMeasuredAtEveryContext() throws {
        let model = try Model.load(Fixtures.demoModel)
        let source = (0..<50).map { Int32($0 * 37 % 4000) }
        let report = try Benchmark(model: model, plan: plan()).run(source) { _, _ in true }
        #expect(!report.isPartial && report.turns >= 1 && report.leftOut.isEmpty)
        #expect(report.steps.map(\.context) == [64, 128])
        for curve in report.steps {
            #expect(curve.points.map(\.rows) == Array(1...16))
            #expect(curve.points[0].bytes == Double(model.bytesPerStep) && curve.points[0].relative == 1)
            #expect(zip(curve.points, curve.points.dropFirst()).allSatisfy { $0.bytes <= $1.bytes })
            #expect(curve.points.allSatisfy { $0.time > 0 && $0.overBytes > 0 } && curve.readShare == nil)
        }
        let overlap = report.overlap
        #expect(overlap.map(\.rows) == Array(1...16) && overlap[0].relative == 1 && overlap[0].relativeBytes == 1)
        #expect(abs(overlap[0].experts - Double(model.configuration.expertsPerToken)) < 1e-9)
        #expect(zip(overlap, overlap.dropFirst()).allSatisfy { $0.experts < $1.experts && $1.experts < $1.byChance })
        #expect(zip(overlap, overlap.dropFirst()).allSatisfy { $0.relativeBytes < $1.relativeBytes })
        #expect(report.rounds.map(\.drafts) == Array(1...8) + Array(1...8))
        #expect(report.company.map(\.texts) == [1, 2, 4, 8, 16])
        #expect(report.company[0].relativeBytes == 1 && report.company[0].byteBound == 1)
        #expect(zip(report.company, report.company.dropFirst()).allSatisfy { $0.relativeBytes < $1.relativeBytes })
        #expect(report.company.allSatisfy { $0.tokensPerSecond > 0 && ($0.adaptiveTokensPerSecond ?? 0) > 0 })
        #expect(report.prompts.map(\.tokens) == [32, 300])
        #expect(report.prompts.allSatisfy { $0.operationsPerSecond > 0 })
        let memory = try #require(report.memory)
        #expect(
            memory.weights == model.weights.byteCount && (memory.resident ?? 0) > memory.weights && memory.cache > 0)
        #expect(report.projection == nil)
    }

    @Test func aTextBesideAPromptIsTimed() throws {
        let model = try Model.load(Fixtures.demoModel)
        let bench = try StreamBench(model, prompt: (0..<300).map { Int32($0 * 37 % 4000) }, cacheType: .f32)
        #expect(bench.result(alone: nil) == nil)
        #expect(try bench.run { true })
        let stream = try #require(bench.result(alone: 1))
        #expect(stream.promptTokens == 300 && stream.window > 0 && stream.promptTime > 1)
        #expect(stream.promptOverAlone == stream.promptTime)
        #expect(0 < stream.pause && stream.pause <= stream.longPause && stream.longPause <= stream.longestPause)
        #expect(try !bench.run { false })
    }

    @Test func everyPartIsTimed() throws {
        let model = try Model.load(Fixtures.demoModel)
        let report = try Benchmark(model: model, plan: plan()).run([1, 2, 3]) { _, _ in true }
        let parts = report.components.filter { $0.context == 128 && $0.rows == 1 }
        #expect(Set(parts.map(\.place)) == ["dense", "moe", "outside"])
        for name in ["attention", "expertsUp", "expertsDown", "denseUp", "denseDown", "head", "router"] {
            #expect(parts.contains { $0.name == name }, "\(name)")
        }
        #expect(parts.allSatisfy { $0.time > 0 && $0.perLayer <= $0.time })
        let moe = parts.filter { $0.place == "moe" }
        let layers = Double(model.configuration.layerCount - model.configuration.denseLayerCount)
        #expect(moe.allSatisfy { abs($0.perLayer * layers / $0.time - 1) < 1e-9 })
    }

    @Test func shapesRunAndAreProjected() throws {
        for mtp in [true, false] {
            let (model, shape) = try synthetic(mtp: mtp)
            var plan = plan()
            plan.shape = shape
            let report = try Benchmark(model: model, plan: plan).run([5, 9]) { _, _ in true }
            #expect(report.steps.count == 2 && report.rounds.isEmpty == !mtp)
            let projection = try #require(report.projection)
            #expect(projection.layers == shape.whole.layerCount && projection.tokensPerSecond > 0)
            #expect(report.subject.moeLayers == 1 && report.subject.layers == 2)
            let verifier = try SingleText(model, context: 8)
            verifier.run([1, 2, 3, 4])
            verifier.computeLogits(first: 0, count: 4)
            #expect((0..<4).allSatisfy { verifier.logits(row: $0).allSatisfy { abs($0) < 1000 } })
        }
    }

    @Test func whatWasMeasuredBeforeAnInterruptionIsReported() throws {
        let (model, _) = try synthetic(mtp: true)
        var asked = 0
        let report = try Benchmark(model: model, plan: plan()).run([5]) { stage, _ in
            if stage == "measuring" { asked += 1 }
            return asked < 60
        }
        #expect(report.isPartial && !report.components.isEmpty && report.prompts.isEmpty)
        let nothing = try Benchmark(model: model, plan: plan()).run([5]) { _, _ in false }
        #expect(nothing.isPartial && nothing.steps.isEmpty)
    }

    @Test func contextsThatDoNotFitAreLeftOut() {
        var plan = BenchPlan()
        plan.fit(limit: 600)
        #expect(plan.contexts == [128] && plan.promptLengths == [128, 512] && plan.capacity >= 512)
        plan.fit(limit: 100)
        #expect(plan.contexts.isEmpty)
    }

    @Test func breakEvenYieldsTheCost() throws {
        #expect(BenchReport.Round.breakEven(drafts: 1, cost: 1.25).map { abs($0 - 0.25) < 1e-9 } == true)
        let acceptance = try #require(BenchReport.Round.breakEven(drafts: 3, cost: 2))
        #expect(abs(1 + acceptance + acceptance * acceptance + acceptance * acceptance * acceptance - 2) < 1e-9)
        #expect(
            BenchReport.Round.breakEven(drafts: 2, cost: 0.9) == 0
                && BenchReport.Round.breakEven(drafts: 2, cost: 3.01) == nil)
    }

    @Test func threadCountsEndWithAll() {
        #expect(BenchReport.Roofs.threadCounts(1) == [1] && BenchReport.Roofs.threadCounts(4) == [1, 2, 3, 4])
        #expect(BenchReport.Roofs.threadCounts(24) == [1, 2, 4, 8, 16, 24])
        #expect(BenchReport.Roofs.threadCounts(64) == [1, 2, 4, 8, 16, 32, 64])
    }
}
