import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// A row has the same bits on any number of hosts, however a model is divided over them.
@Suite(.serialized)
struct HostRowTests {
    private static let total = 60
    private static let divisions: [HostShare.Division] = [
        .rows([1, 1]), .rows([3, 1, 2]), .rows([0, 1]), .rows([2, 0, 1, 1]),
    ]

    private func divided(_ layers: Int) -> [HostShare.Division] {
        [
            .layers([0, layers / 2, layers]), .layers([0, 0, layers]), .layers([0, layers, layers]),
            .layers([0, 1, 1, layers]),
        ]
    }

    /// Rows behind a prompt, and rows of another text beside them.
    private func rows(_ model: Model, prompt: Int, width: Int) throws -> [RowBits] {
        let text = try model.text(3, total: prompt + Self.total, read: prompt)
        let rows = model.rows(text, to: prompt + Self.total - 5, width: width)
        let other = try model.text(4, total: 20, read: 7)
        return rows + model.window([(text, 3), (other, 9)]).joined()
    }

    @Test(arguments: GoldenModel.all)
    func everyFamily(golden: GoldenModel) throws {
        let alone = try Model.load(golden.directory)
        let c = alone.configuration
        let byLayers = HostShare.layers([0, c.layerCount / 2, c.layerCount], of: c)
        let prompt = Step.chunkRows + 30
        let expected = try rows(alone, prompt: prompt, width: 5)
        for division in Self.divisions.prefix(2) + [byLayers] {
            let found = try MadeUpHosts.run(golden.directory, division) { try rows($0, prompt: prompt, width: 5) }
            #expect(found == expected, "\(division)")
        }
    }

    /// No host begins with a layer that needs another's choice.
    @Test func layersThatShareAChoiceStayTogether() throws {
        let c = try Checkpoint(directory: GoldenModel.named("glm-5.2").directory).configuration
        let starts = (0...c.layerCount).map { HostShare.layers([0, $0, c.layerCount], of: c) }
        #expect(
            starts.first == .layers([0, 0, c.layerCount]) && starts.last == .layers([0, c.layerCount, c.layerCount]))
        #expect(Set(starts.map { "\($0)" }).count < c.layerCount + 1)
    }

    @Test(arguments: [1, 4, 16]) func anyDivisionAndWidth(width: Int) throws {
        var geometry = TinyGeometry()
        geometry.hidden = 512
        let folder = try TemporaryFolder()
        try TinyModel(geometry).write(to: folder)
        let alone = try Model.load(folder.path)
        let expected = try rows(alone, prompt: 40, width: width)
        for division in Self.divisions + divided(alone.configuration.layerCount) {
            let found = try MadeUpHosts.run(folder.path, division, threads: 2) {
                try rows($0, prompt: 40, width: width)
            }
            #expect(found == expected, "\(division)")
        }
    }

    @Test(arguments: [ResidentFormat.fp8, .bf16, .int8, .int4, .expertsInt4])
    func residentFormatsAndNodes(format: ResidentFormat) throws {
        let directory = Fixtures.demoModel
        let expected = try rows(try Model.load(directory, format: format), prompt: 40, width: 6)
        let found = try MadeUpHosts.run(
            directory, .rows([1, 1]), threads: 3, format: format, nodes: .madeUp([2, 1])
        ) { try rows($0, prompt: 40, width: 6) }
        #expect(found == expected)
    }

    /// A chunk that rests lets windows of other texts run on all hosts, and can be ended.
    @Test(arguments: [HostShare.Division.rows([1, 1, 1]), .layers([0, 5, 12])])
    func chunksRestAndEnd(division: HostShare.Division) throws {
        let alone = try Model.load(Fixtures.demoModel)
        let count = Step.chunkRows
        func resting(_ model: Model) throws -> (rests: Int, [RowBits]) {
            let pool = try model.makePool(pages: 12)
            let (text, other) = (
                try model.text(1, total: count + 10, read: 0, in: pool), try model.text(2, total: 60, read: 8, in: pool)
            )
            var (rests, rows) = (0, [RowBits]())
            var step = Step()
            step.readPrompt(text, to: count)
            // Ended in the middle, it leaves nothing.
            #expect(!model.verifier.run(step, rest: { false }))
            #expect(text.position == 0)
            model.verifier.run(step) {
                rests += 1
                if rests % 3 == 1 && other.position < 50 { rows += model.window([(other, 2)])[0] }
                return true
            }
            rows += model.rows(text, to: count + 10, width: 3)
            return (rests, rows)
        }
        let expected = try resting(alone)
        let found = try MadeUpHosts.run(Fixtures.demoModel, division) { try resting($0) }
        #expect(found.rests >= alone.configuration.layerCount)
        #expect(found.1.suffix(10) == expected.1.suffix(10))
        // Windows between a chunk's phases are as many as there was time for, and each has its own bits.
        let others = min(found.1.count, expected.1.count) - 10
        #expect(others > 4 && found.1.prefix(others) == expected.1.prefix(others))
    }

    /// Pools come and go, and their numbers and those of pages mean the same on all hosts.
    @Test func poolsComeAndGo() throws {
        let alone = try Model.load(Fixtures.demoModel)
        func some(_ model: Model) throws -> [RowBits] {
            var rows: [RowBits] = []
            for round in 0..<3 {
                let pool = try model.makePool(pages: 6)
                let first = try model.text(round, total: 300, read: 20, in: pool)
                rows += model.rows(first, to: 24)
                let second = try model.text(round + 7, total: 300, read: 20, in: pool)
                rows += model.window([(second, 4), (first, 4)]).joined()
            }
            return rows
        }
        let found = try MadeUpHosts.run(Fixtures.demoModel, .rows([1, 2])) { try some($0) }
        #expect(try found == some(alone))
    }
}
