import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Pages of latents: where they lie, and what they held before, is never seen.
@Suite(.serialized)
struct PageTests {
    private let model: Model
    private static let page = LatentPool.pagePositions

    init() throws { model = try Model.tiny { $0.positions = 1024 } }

    @Test(arguments: CacheType.allCases) func windowsCrossPages(cacheType: CacheType) throws {
        let (first, end) = (Self.page - 20, 2 * Self.page + 20)
        func rows(_ width: Int) throws -> [RowBits] {
            let text = try model.text(1, total: end, read: first, cacheType: cacheType)
            return model.rows(text, to: end, width: width)
        }
        let reference = try rows(1)
        for width in [7, 16] { #expect(try rows(width) == reference, "width \(width)") }
    }

    @Test func aTextGrowsAnewAcrossAPage() throws {
        let (first, end) = (Self.page - 6, Self.page + 30)
        let reference = model.rows(try model.text(1, total: end, read: first), to: end)
        let text = try model.text(1, total: end, read: first)
        for count in [16, 5, 16] { model.spoil(text, count: count) }
        #expect(model.rows(text, to: end, width: 9) == reference)
        // From the middle of the next page back into the one before.
        text.truncate(to: Self.page - 2)
        model.spoil(text, count: 12)
        #expect(model.rows(text, to: end, width: 4) == Array(reference.dropFirst(4)))
    }

    @Test func pagesLieAnywhere() throws {
        let end = 2 * Self.page + 10
        let reference = model.rows(try model.text(1, total: end, read: 40), to: end, width: 16)
        let pool = try model.makePool(pages: 6)
        // Pages are given back out of order, so that those of the next text are neither neighbours nor ascending.
        var others = try (0..<3).map { _ in try Optional(model.makeSequence(context: Self.page + 10, in: pool)) }
        #expect(pool.freePageCount == 0)
        for i in [2, 0, 1] { others[i] = nil }
        let text = try model.text(1, total: end, read: 40, in: pool)
        #expect(pool.freePageCount == 3)
        #expect(model.rows(text, to: end, width: 16) == reference)
    }

    @Test func pagesComeBackWithoutTheirOldText() throws {
        let end = Self.page + 40
        let pool = try model.makePool(pages: 2)
        func rows(_ number: Int, in pool: LatentPool?) throws -> [RowBits] {
            model.rows(try model.text(number, total: end, read: 20, in: pool), to: end, width: 16)
        }
        for number in 1...3 {
            #expect(try rows(number, in: pool) == rows(number, in: nil), "text \(number)")
            #expect(pool.freePageCount == 2)
        }
    }

    @Test func aClearedTextIsNew() throws {
        let end = Self.page + 10
        let reference = model.rows(try model.text(2, total: end, read: 30), to: end, width: 16)
        let text = try model.text(1, total: end, read: end)
        text.restart(model.tokens(end, text: 2))
        model.readPrompt(text, to: 30)
        #expect(model.rows(text, to: end, width: 16) == reference)
    }

    @Test func textsTakeWhatTheyNeedFromOnePool() throws {
        let pool = try model.makePool(pages: 7)
        #expect(pool.pageCount == 7 && pool.freePageCount == 7)
        #expect(pool.byteCount == 7 * model.pageBytes(cacheType: .f32, drafting: true))
        var texts: [TokenSequence] = []
        // A text has drafts behind its last position.
        let room = Self.page - MTPHead.maximumDrafts
        for (context, pages) in [(1, 1), (room, 1), (room + 1, 2), (2 * Self.page, 3)] {
            #expect(LatentPool.pages(forPositions: context) == pages)
            let free = pool.freePageCount
            texts.append(try model.makeSequence(context: context, in: pool))
            #expect(free - pool.freePageCount == pages)
        }
        #expect(pool.freePageCount == 0)
        texts.removeFirst(2)
        #expect(pool.freePageCount == 2)
        texts = []
        #expect(pool.freePageCount == 7)
    }

    @Test func aPageHasRoomForEveryLayer() {
        let c = model.configuration
        let perLayer = Self.page * (c.latentRank + c.ropeDimension) * 4
        #expect(model.pageBytes(cacheType: .f32, drafting: false) == c.layerCount * perLayer)
        #expect(model.pageBytes(cacheType: .f32, drafting: true) == (c.layerCount + 1) * perLayer)
        #expect(model.pageBytes(cacheType: .bf16, drafting: true) == (c.layerCount + 1) * perLayer / 2)
    }

    /// The pages of both are taken alternately, and both grow across their first.
    @Test(arguments: CacheType.allCases) func textsOfOnePoolNeverMix(cacheType: CacheType) throws {
        let (first, end) = (Self.page - 30, Self.page + 30)
        let alone = try (1...3).map { number in
            model.rows(try model.text(number, total: end, read: first, cacheType: cacheType), to: end)
        }
        let pool = try model.makePool(pages: 6, cacheType: cacheType)
        let texts = try (1...3).map { try model.text($0, total: end, read: first, in: pool) }
        var found = [[RowBits]](repeating: [], count: 3)
        var turn = 0
        while texts.contains(where: { $0.position < end }) {
            let text = turn % 3
            let count = min([5, 1, 16, 3][turn % 4], end - texts[text].position)
            if count > 0 { found[text] += model.window([(texts[text], count)])[0] }
            turn += 1
        }
        #expect(found == alone)
    }
}
