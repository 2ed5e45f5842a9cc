import ForetokenHardware
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Attention to chosen entries keeps promise 1: a row's bits follow from its own text alone, and where everything is chosen
/// they are those of attention to everything.
@Suite(.serialized)
struct SparseAttentionTests {
    /// An indexer in every layer, and one of which later layers go by.
    static let patterns: [String?] = [nil, "FSFS"]
    private static let chosen = 40

    private func folder(
        chosen: Int = chosen, pattern: String? = nil, isSparse: Bool = true,
        _ change: (inout TinyGeometry) -> Void = { _ in }
    ) throws -> TemporaryFolder {
        let geometry = TinyGeometry {
            $0.layers = 4
            $0.positions = 2048
            $0.indexer = TinyIndexer(chosen: chosen, pattern: pattern)
            change(&$0)
        }
        var tiny = TinyModel(geometry, seed: 11)
        if !isSparse {
            var plain = geometry
            plain.indexer = nil
            tiny.configuration = TinyModel.configuration(plain)
        }
        let folder = try TemporaryFolder()
        try tiny.write(to: folder)
        return folder
    }

    private func model(
        chosen: Int = chosen, pattern: String? = nil, isSparse: Bool = true,
        _ change: (inout TinyGeometry) -> Void = { _ in }
    ) throws -> Model {
        let folder = try folder(chosen: chosen, pattern: pattern, isSparse: isSparse, change)
        return try withExtendedLifetime(folder) { try Model.load(folder.path) }
    }

    // MARK: Windows

    @Test(arguments: InstructionSet.available, CacheType.allCases)
    func everyWidthGivesTheSameBits(instructionSet: String, cacheType: CacheType) throws {
        for pattern in Self.patterns {
            let folder = try folder(pattern: pattern)
            let model = try Model.load(folder.path, instructionSet: instructionSet)
            func rows(_ width: Int) throws -> [RowBits] {
                let text = try model.text(1, total: 290, read: 0, cacheType: cacheType)
                // Across the first entries that choose, and the end of a page.
                let first = model.rows(text, to: 70, width: width)
                model.readPrompt(text, to: 230)
                return first + model.rows(text, to: 290, width: width)
            }
            let reference = try rows(1)
            for width in 2...Step.windowRows { #expect(try rows(width) == reference, "width \(width)") }
        }
    }

    @Test func wideTablesHaveTheBitsOfAVX2() throws {
        guard InstructionSet.available.contains("avx2") else { return }
        let folder = try folder()
        let bits = try InstructionSet.available.filter { $0 != "generic" }.map { name in
            let model = try Model.load(folder.path, instructionSet: name)
            return model.rows(try model.text(1, total: 120, read: 0), to: 120, width: 7)
        }
        for other in bits.dropFirst() { #expect(other == bits[0]) }
    }

    @Test(arguments: patterns) func workersAndNodesDoNotMatter(pattern: String?) throws {
        let folder = try folder(pattern: pattern)
        func rows(_ model: Model) throws -> [RowBits] {
            let text = try model.text(2, total: 620, read: 570)
            return model.rows(text, to: 620, width: 5)
        }
        let reference = try rows(try Model.load(folder.path, threads: 1))
        for threads in [2, 3, 5] {
            #expect(try rows(try Model.load(folder.path, threads: threads)) == reference, "\(threads) threads")
        }
        for nodes in [[1, 1], [2, 1, 1]] {
            let model = try Model.load(folder.path, threads: nodes.reduce(0, +), nodes: .madeUp(nodes))
            #expect(try rows(model) == reference, "\(nodes)")
        }
    }

    /// Texts that choose beside texts that see too little for it, and rows of both kinds in one text.
    @Test(arguments: patterns) func companyDoesNotMatter(pattern: String?) throws {
        let model = try model(pattern: pattern)
        let lengths = [1, 30, 39, 40, 41, 100, 250, 256, 300]
        let texts = try lengths.enumerated().map { try model.text($0, total: $1 + Step.windowRows, read: $1) }
        let alone = texts.map { text in
            let position = text.position
            defer { text.truncate(to: position) }
            return model.rows(text, to: position + Step.windowRows)
        }
        var random = SeededGenerator(seed: 4)
        for _ in 0..<40 {
            var spans: [(text: Int, count: Int)] = []
            var room = Step.windowRows
            for text in texts.indices.shuffled(using: &random) where room > 0 {
                let count = Int.random(in: 1...min(room, 9), using: &random)
                spans.append((text, count))
                room -= count
            }
            // What was rejected there before leaves no trace, in latents or index keys.
            for span in spans { model.spoil(texts[span.text], count: span.count) }
            let found = model.window(spans.map { (texts[$0.text], $0.count) })
            for (span, rows) in zip(spans, found) {
                texts[span.text].truncate(to: texts[span.text].position - span.count)
                #expect(rows == Array(alone[span.text].prefix(span.count)), "text \(span.text) of \(spans)")
            }
        }
    }

    // MARK: Everything is chosen

    /// Weights of one model, run by its indexer and without: as long as no row sees more entries than are chosen, all bits
    /// are the same; afterwards they are not.
    @Test(arguments: CacheType.allCases) func whereAllIsChosenNothingChanges(cacheType: CacheType) throws {
        let dense = try model(isSparse: false)
        let whole = try model(chosen: 2000)
        let some = try model(chosen: 64)
        func rows(_ model: Model, read: Int, to end: Int, width: Int) throws -> [RowBits] {
            let text = try model.text(3, total: 700, read: read, cacheType: cacheType)
            return model.rows(text, to: end, width: width)
        }
        for (read, end) in [(0, 64), (17, 64), (50, 64), (60, 64), (540, 600)] {
            let reference = try rows(dense, read: read, to: end, width: 3)
            #expect(try rows(whole, read: read, to: end, width: 3) == reference, "\(read)..<\(end)")
            if end <= 64 { #expect(try rows(some, read: read, to: end, width: 3) == reference, "\(read)..<\(end)") }
        }
        // The rows of one window on both sides of the limit.
        let (found, reference) = (
            try rows(some, read: 56, to: 72, width: 16), try rows(dense, read: 56, to: 72, width: 16)
        )
        #expect(found[..<8] == reference[..<8])
        for row in 8..<16 { #expect(found[row] != reference[row], "row \(row) attends to less") }
    }

    // MARK: Chunks

    /// So many that naive attention with masks is the shorter way for a chunk.
    private static let many = 300

    /// All routes compute one function. Where two scores are as good as equal they may choose otherwise, and later rows see
    /// that; if a route chose wrongly, all rows behind the first that choose would be far off.
    @Test(arguments: patterns, [chosen, many]) func chunksAgreeWithWindows(pattern: String?, chosen: Int) throws {
        let model = try model(chosen: chosen, pattern: pattern)
        let chunked = try model.text(5, total: 600, read: 0)
        var logits: [[Float]] = []
        var step = Step()
        while chunked.position < 600 {
            step.readPrompt(chunked, to: 600)
            model.verifier.run(step)
            for start in stride(from: 0, to: step.rowCount, by: Step.windowRows) {
                let count = min(Step.windowRows, step.rowCount - start)
                model.verifier.computeLogits(first: start, count: count)
                logits += (0..<count).map { Array(model.verifier.logits(row: $0)) }
            }
        }
        let rows = model.rows(try model.text(5, total: 600, read: 0), to: 600, width: Step.windowRows)
        let far = zip(logits, rows).count { own, other in
            zip(own, other.logits).contains { abs($0 - Float(bitPattern: $1)) > 2e-3 }
        }
        #expect(far <= 100, "\(far) of 600 rows differ")
    }

    /// In a chunk, too, rows that see no more than may be chosen have the bits of attention to everything.
    @Test func masksLeaveAloneWhatIsChosen() throws {
        func logits(_ model: Model) throws -> [[UInt32]] {
            let text = try model.text(8, total: 512, read: 512)
            return stride(from: 0, to: text.position, by: Step.windowRows).flatMap { first in
                model.verifier.computeLogits(first: first, count: Step.windowRows)
                return (0..<Step.windowRows).map { model.verifier.logits(row: $0).map(\.bitPattern) }
            }
        }
        let (dense, sparse) = (try logits(model(isSparse: false)), try logits(model(chosen: 450)))
        #expect(sparse[..<450] == dense[..<450])
        for row in 450..<512 { #expect(sparse[row] != dense[row], "row \(row) attends to less") }
    }

    @Test(arguments: [chosen, many]) func chunksDoNotDependOnThreadsOrRests(chosen: Int) throws {
        let folder = try folder(chosen: chosen, pattern: "FSFS")
        func lastRows(_ model: Model, rest: (() -> Bool)?) throws -> [RowBits] {
            let text = try model.text(6, total: 512, read: 0)
            var step = Step()
            step.readPrompt(text, to: 512)
            try #require(step.kind == .chunk && model.verifier.run(step, rest: rest))
            model.verifier.computeLogits(first: 496, count: Step.windowRows)
            return (0..<Step.windowRows).map { model.bits(row: 496 + $0, logits: $0) }
        }
        let reference = try lastRows(try Model.load(folder.path, threads: 1), rest: nil)
        for threads in [2, 3] {
            #expect(try lastRows(try Model.load(folder.path, threads: threads), rest: nil) == reference)
        }
        // Windows of a text that chooses run whenever the chunk rests.
        let model = try Model.load(folder.path)
        let other = try model.text(7, total: 220, read: 200)
        let expected = model.window([(other, 9)])
        other.truncate(to: 200)
        var places = 0
        let found = try lastRows(model) {
            places += 1
            if places % 5 == 0 {
                #expect(model.window([(other, 9)]) == expected)
                other.truncate(to: 200)
            }
            return true
        }
        #expect(found == reference && places > 40)
    }

    // MARK: Memory

    @Test func indexKeysLieInThePages() throws {
        for (pattern, indexers) in [(nil, 4), ("FSFS", 2)] {
            let model = try model(pattern: pattern)
            let c = model.configuration
            let width = try #require(c.sparseAttention).headDimension
            let latents = 256 * (c.latentRank + c.ropeDimension)
            for (drafting, modules) in [(false, 0), (true, 1)] {
                let numbers = (4 + modules) * latents + (indexers + modules) * 256 * width
                #expect(model.pageBytes(cacheType: .f32, drafting: drafting) == 4 * numbers)
                #expect(model.pageBytes(cacheType: .bf16, drafting: drafting) == 2 * numbers)
            }
        }
    }

    /// Choosing takes memory of its own, which the fit check counts where the model's contexts can be long enough.
    @Test func roomToChooseIsCounted() throws {
        let long = try model().configuration
        var short = long
        short.maximumPositions = 30
        func bytes(_ c: ModelConfiguration) throws -> Int {
            try Model.workingBytes(c, modules: 1, contexts: [1000], cacheType: .f32, workers: 1)
        }
        let room = try bytes(long) - bytes(short)
        // Scores of 16 rows, lists, and copies of the chosen latents, of windows and of chunks.
        let scores = 2 * 16 * (2048 + MTPHead.maximumDrafts) * 4, lists = (16 + 512) * 40 * 4
        let copies = 2 * 16 * 256 * (long.latentRank + long.ropeDimension) * 4
        let expected = scores + lists + copies
        #expect(room >= expected && room < expected + expected / 50, "\(room), not \(expected)")
    }
}
