import ForetokenLaboratory
import FoundationEssentials
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenTokenizer
import ForetokenWeights
import Testing

/// The adaptive policy on the embedded model's real drafts for its held-out suite, with step costs of several machines:
/// what fixed lengths and no drafts would have taken is then known exactly. It looks up as well; fixed lengths do not.
@Suite(.serialized) struct PolicyReplayTests {
    private struct Line: Decodable {
        let domain: String
        let prompt: String
    }

    /// Steps in undrafted steps: by rows, and drafts after few and after many rows to catch up.
    struct Machine: Sendable {
        let name: String
        let verify: [Double]
        let draft: Double
        let catchUp: Double

        var costs: Measurement.StepCosts {
            let step = 200_000.0
            return Measurement.StepCosts.made(
                verify: (verify + (1...7).map { verify[8] + Double($0) * (verify[8] - verify[4]) / 4 }).map {
                    $0 * step
                }, firstDraft: (0..<9).map { step * (draft + Double($0) * catchUp) },
                laterDraft: 0.9 * draft * step, meanContext: 100, bytesPerStep: 0, bandwidth: 0)
        }

        /// Two cores, the model in the cache.
        static let cached = Machine(
            name: "cached", verify: [1, 1.58, 2.06, 2.49, 3.07, 3.78, 4.09, 4.46, 4.71], draft: 0.13, catchUp: 0.02)
        /// Two cores, a model in memory.
        static let enlarged = Machine(
            name: "enlarged", verify: [1, 1.3, 1.6, 1.88, 2.15, 2.4, 2.65, 2.9, 3.15], draft: 0.1, catchUp: 0.01)
        /// Many cores: weights stream, each row wakes other experts.
        static let streaming = Machine(
            name: "streaming", verify: [1, 1.2, 1.38, 1.54, 1.7, 1.84, 1.97, 2.1, 2.2], draft: 0.08, catchUp: 0.005)
        /// All experts are read by any row.
        static let dense = Machine(
            name: "dense", verify: (0..<9).map { 1 + 0.05 * Double($0) }, draft: 0.06, catchUp: 0.004)
        static let all = [cached, enlarged, streaming, dense]
    }

    /// Every third prompt of the suite that the model itself answers, 257 tokens each, by domain.
    private static func records(_ temperature: Float) throws -> [String: [TextRecord]] {
        let folder = Fixtures.demoModel + "/tokenizer.json"
        let tokenizer = try Tokenizer(tokenizerJSON: [UInt8](try Data(contentsOf: URL(filePath: folder))))
        let texts = try Checkpoint.demoSuite.split(separator: 10).prefix(48).enumerated().filter { $0.offset % 3 == 0 }
            .map {
                let line = try JSONDecoder().decode(Line.self, from: Data($0.element))
                return MeasuredText(
                    domain: line.domain, tokens: [0] + (try tokenizer.encode(line.prompt)), isGiven: false)
            }
        var plan = MeasuringPlan()
        plan.lengths = Array(1...8)
        plan.temperatures = [temperature]
        plan.maximumTokens = 257
        plan.timingSeconds = 0
        let measurer = try Measurer(model: Model.load(Fixtures.demoModel), plan: plan, context: 1024)
        _ = try measurer.run(texts) { _, _ in true }
        return Dictionary(grouping: measurer.records[0], by: \.domain)
    }

    /// Nanoseconds for all texts, each in a generator of its own, as the command line would do it; times scatter.
    private func time(
        _ mode: DraftMode, _ machine: Machine, _ temperature: Float, _ records: [TextRecord]
    ) throws -> Double {
        try records.enumerated().reduce(0) { sum, record in
            var random = SeededGenerator(seed: UInt64(record.offset))
            let replay = PolicyReplay(mode, machine.costs, isGreedy: temperature == 0, looksUp: mode == .auto) {
                $0 * (random.uniform() < 0.01 ? 3 : 0.95 + 0.1 * Double(random.uniform()))
            }
            try replay.run(record.element)
            return sum + replay.elapsed
        }
    }

    @Test(arguments: [Float(0), 0.8, 1.5])
    func asFastAsTheBestFixedLength(temperature: Float) throws {
        let records = try Self.records(temperature)
        #expect(records.count == 3)
        for machine in Machine.all {
            for (domain, texts) in records {
                let off = try time(.off, machine, temperature, texts)
                let auto = off / (try time(.auto, machine, temperature, texts))
                let best = try (1...8).map { off / (try time(.fixed($0), machine, temperature, texts)) }.reduce(1, max)
                #expect(auto > 0.95 * best, "\(machine.name), \(domain): \(auto), best \(best)")
            }
        }
    }

    @Test func losesLittleWhereDraftsFail() throws {
        for (domain, texts) in try Self.records(0.8) {
            var random = SeededGenerator(seed: 3)
            let failing = texts.map { $0.spoiled { random.uniform() < 0.9 } }
            for machine in Machine.all {
                let speed =
                    try time(.off, machine, 0.8, failing) / time(.auto, machine, 0.8, failing)
                #expect(speed > 0.975, "\(machine.name), \(domain): \(speed)")
            }
        }
    }
}
