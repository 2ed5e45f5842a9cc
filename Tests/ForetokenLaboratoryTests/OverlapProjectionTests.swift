import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Made-up routing, and what is projected from it.
@Suite(.serialized)
struct OverlapProjectionTests {
    private static let uniform = ExpertOverlap.uniform(expertCount: 256, expertsPerToken: 8)

    /// A small model with DeepSeek-V3's routing: 8 of 256 experts in 8 groups.
    private func shape() throws -> SyntheticShape {
        let geometry = TinyGeometry {
            $0.hidden = 128
            $0.experts = 256
            $0.expertsPerToken = 8
            $0.groups = 8
            $0.keptGroups = 4
            $0.expertIntermediate = 32
        }
        let config = try #require(TinyModel(geometry).files().first { $0.name == "config.json" })
        return try SyntheticShape(name: "small", json: config.bytes, file: "config.json")
    }

    private func measure(_ overlaps: [ExpertOverlap], mtp: Bool) throws -> BenchReport {
        let shape = try shape()
        let checkpoint = try Checkpoint(synthetic: shape.part(moeLayers: 1, mtp: mtp), label: "small")
        let pool = try WorkerPool(threads: 2)
        let weights = try ModelWeights(checkpoint: checkpoint, layout: WeightLayout(checkpoint), pool: pool)
        var plan = BenchPlan()
        plan.seconds = 0.5
        plan.measuresMachine = false
        plan.contexts = [64]
        plan.promptLengths = []
        plan.shape = shape
        plan.overlaps = overlaps
        let tokens = (0..<400).map { Int32($0 * 37 % 96) }
        return try Benchmark(model: Model(weights: weights, pool: pool), plan: plan).run(tokens) { _, _ in true }
    }

    @Test func stepsAreTimedUnderTheRoutingWanted() throws {
        let report = try measure([.r1, Self.uniform], mtp: true)
        let projection = try #require(report.projection)
        #expect(projection.overlaps.map(\.name) == ["r1", "uniform"] && report.overlap.isEmpty)
        for overlap in projection.overlaps {
            #expect(overlap.rows.map(\.rows) == Array(1...16))
            #expect(overlap.rows[0].relative == 1 && overlap.rows[0].relativeBytes == 1)
            for row in overlap.rows {
                let found = "\(overlap.name), \(row.rows) rows: \(row.madeExperts)"
                #expect(abs(row.madeExperts / row.experts - 1) < 0.2, "\(found)")
                #expect(row.relative > 0)
            }
            #expect((overlap.gain?.gated ?? 0) >= (overlap.gain?.fixed ?? 1) - 1e-6)
            #expect((overlap.gainByBytes?.gated ?? 0) > 1)
        }
        let (r1, uniform) = (projection.overlaps[0].rows, projection.overlaps[1].rows)
        #expect(zip(r1, uniform).dropFirst().allSatisfy { $0.relativeBytes < $1.relativeBytes })
        #expect(r1[15].madeExperts < uniform[15].madeExperts * 0.8)
        // The other measurements are of the first one.
        let bytes = report.steps[0].points.map(\.relativeBytes)
        #expect(bytes[15] > 1 && (projection.draftTime ?? 0) > 0 && (projection.draftBytes ?? 0) > 0)
    }

    @Test func withoutModuleTheDraftsBytesAreTaken() throws {
        let projection = try #require(try measure([Self.uniform], mtp: false).projection)
        #expect(projection.draftTime == nil && projection.draftBytes != nil && projection.overlaps[0].gain != nil)
    }

    /// DeepSeek-V3 in FP8, as worked out by hand from its dimensions.
    @Test func bytesOfTheWholeModel() throws {
        let whole = try WholeModelBytes(WholeShape(SyntheticShape(named: "deepseek-v3")), .stored)
        func relative(_ overlap: ExpertOverlap, _ rows: Int) -> Double {
            whole.step(experts: overlap.distinct[rows - 1]) / whole.step(experts: 8)
        }
        for (rows, r1, uniform) in [(2, 1.392, 1.526), (4, 2.039, 2.528), (8, 3.088, 4.352), (16, 4.728, 7.373)] {
            #expect(abs(relative(.r1, rows) / r1 - 1) < 0.01, "\(rows): \(relative(.r1, rows))")
            #expect(abs(relative(Self.uniform, rows) / uniform - 1) < 0.01, "\(rows): \(relative(Self.uniform, rows))")
        }
        let draft = try #require(whole.draft) / whole.step(experts: 8)
        // The module's 0.8 GB, and a quarter of an INT8 lm_head's 0.93, of 37.7.
        #expect(abs(draft - 0.0275) < 0.002, "\(draft)")
        let mixed = try WholeModelBytes(WholeShape(SyntheticShape(named: "deepseek-v3")), .expertsInt4)
        #expect(abs(whole.step(experts: 8) / mixed.step(experts: 8) - 1.31) < 0.01)
    }

    @Test func draftsGainWhatTheyMust() {
        let free = DraftForecast(times: .init(repeating: 1, count: 5), draft: 0)
        var (tokens, all) = (1.0, 1.0)
        for chance in DraftForecast.acceptance {
            all *= chance
            tokens += all
        }
        #expect(free.fixed.drafts == 4 && abs(free.fixed.gain - tokens) < 1e-12 && abs(free.gated - tokens) < 1e-6)
        let dear = DraftForecast(times: [1, 2, 3, 4, 5], draft: 0.1)
        #expect(dear.fixed.drafts == 0 && dear.fixed.gain == 1 && dear.gated < 1.001)
        let r1 = DraftForecast(times: [1, 1.392, 1.729, 2.039, 2.328], draft: 0.046)
        let uniform = DraftForecast(times: [1, 1.526, 2.035, 2.528, 3.006], draft: 0.046)
        #expect(r1.gated > r1.fixed.gain && uniform.gated > uniform.fixed.gain && r1.gated > uniform.gated)
        #expect(abs(uniform.fixed.gain - 1.85 / 1.572) < 0.05)
    }
}
