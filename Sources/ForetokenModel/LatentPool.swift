import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Element type of latents.
public enum CacheType: String, Sendable, CaseIterable {
    /// Latents as computed.
    case f32
    /// Latents rounded to BF16 before any row reads them; half the memory.
    case bf16

    var format: Int32 {
        switch self {
        case .f32: Int32(FORETOKEN_F32.rawValue)
        case .bf16: Int32(FORETOKEN_BF16.rawValue)
        }
    }

    /// Bytes of one element.
    public var elementBytes: Int { self == .f32 ? 4 : 2 }
}

/// What a page of latents holds: for `pagePositions` positions one latent and one rotated key in each layer, nothing per
/// head. MTP modules are layers behind the main model's. Behind all of these lie the index keys, one in each layer that may
/// have an indexer.
struct PageShape: Equatable, Sendable {
    let type: CacheType
    let rank: Int
    let rope: Int
    /// Main layers of the model, and those of them that are kept here: where hosts divide the layers, this host's.
    let mainCount: Int
    let mainLayers: Range<Int>
    /// MTP modules that will draft.
    let modules: Int
    /// Width of an index key, and the layers that have them, counted from the model's first; none without sparse attention.
    let indexWidth: Int
    private let mainIndexers, moduleIndexers: Range<Int>

    /// - Parameters:
    ///   - modules: MTP modules that will draft.
    ///   - host: what this host has of the model.
    init(_ configuration: ModelConfiguration, modules: Int, type: CacheType, host: HostShare = .whole) {
        self.type = type
        rank = configuration.latentRank
        rope = configuration.ropeDimension
        mainCount = configuration.layerCount
        mainLayers = host.mainLayers(of: mainCount)
        self.modules = host.rank == 0 || host.cutsRows ? modules : 0
        let sparse = configuration.sparseAttention
        indexWidth = sparse?.headDimension ?? 0
        func indexers(_ layers: Range<Int>) -> Range<Int> {
            guard let sparse else { return 0..<0 }
            return sparse.indexerCount(layers: layers.lowerBound)..<sparse.indexerCount(layers: layers.upperBound)
        }
        mainIndexers = indexers(mainLayers)
        moduleIndexers = indexers(mainCount..<mainCount + self.modules)
    }

    private var layers: Int { mainLayers.count + modules }
    private var indexLayers: Int { mainIndexers.count + moduleIndexers.count }

    /// Whole cache lines, since a page's positions are a multiple of a line's elements.
    var layerBytes: Int { LatentPool.pagePositions * (rank + rope) * type.elementBytes }
    private var indexLayerBytes: Int { LatentPool.pagePositions * indexWidth * type.elementBytes }
    /// A host without layers has pages all the same, of one cache line.
    var pageBytes: Int { max(MemoryArena.alignment, layers * layerBytes + indexLayers * indexLayerBytes) }

    /// A layer's place in a page. Modules are behind the main layers.
    private func place(_ layer: Int) -> Int {
        layer < mainCount ? layer - mainLayers.lowerBound : mainLayers.count + layer - mainCount
    }

    /// One layer of a text whose pages are given.
    func layer(_ index: Int, of pages: UnsafePointer<UnsafeMutableRawPointer?>) -> foretoken_latents {
        foretoken_latents(
            pages: pages, offset: place(index) * layerBytes, format: type.format, rank: Int32(rank), rope: Int32(rope))
    }

    /// The index keys of one layer of such a text, which lie as latents do.
    /// - Parameter index: among the layers of the model that have some.
    func indexKeys(_ index: Int, of pages: UnsafePointer<UnsafeMutableRawPointer?>) -> foretoken_latents {
        let place =
            index < moduleIndexers.lowerBound
            ? index - mainIndexers.lowerBound : mainIndexers.count + index - moduleIndexers.lowerBound
        return foretoken_latents(
            pages: pages, offset: layers * layerBytes + place * indexLayerBytes, format: type.format,
            rank: Int32(indexWidth), rope: 0)
    }
}

/// The latents' memory: pages that texts take, share and give back. Every head reads every entry, so that no node is nearer to
/// them than another.
public final class LatentPool {
    /// Positions of a page: one block of attention's context.
    public static let pagePositions = Int(FORETOKEN_CONTEXT_BLOCK)

    /// Pages in all.
    public let pageCount: Int
    /// Pages that nobody has.
    public private(set) var freePageCount: Int
    /// Pages that nobody has but the cache of prefixes.
    private(set) var idlePageCount = 0
    let shape: PageShape
    /// Names the pool between hosts; other hosts have one of the same shape, whose pages have the same numbers.
    let number: Int32
    private let others: OtherHosts?
    private let arena: MemoryArena
    private let free: ScratchBuffer<UnsafeMutableRawPointer>
    private let base: UnsafeMutableRawPointer
    /// By page: how many have it, and whether the cache of prefixes is among them.
    private let owners: ScratchBuffer<Int32>
    private let isKept: ScratchBuffer<Bool>

    /// - Parameter others: the other hosts, which get one like it.
    /// - Throws: `HardwareError` when the memory cannot be had.
    init(_ shape: PageShape, pages: Int, home: MemoryHome, others: OtherHosts? = nil) throws {
        precondition(pages > 0 && shape.pageBytes % MemoryArena.alignment == 0)
        self.shape = shape
        pageCount = pages
        freePageCount = pages
        arena = try MemoryArena(byteCount: pages * shape.pageBytes, home: home)
        free = try ScratchBuffer(count: pages)
        owners = try ScratchBuffer(count: pages)
        isKept = try ScratchBuffer(count: pages)
        base = arena.allocate(byteCount: pages * shape.pageBytes)
        // Taken from the end, so that the first text has the first pages.
        for page in 0..<pages {
            (free.pointer + pages - 1 - page).initialize(to: base + page * shape.pageBytes)
        }
        self.others = others
        number = try others?.makePool(shape, pages: pages) ?? 0
    }

    deinit { others?.dropPool(number) }

    /// Bytes of all pages.
    public var byteCount: Int { pageCount * shape.pageBytes }

    /// Pages that a text of so many positions takes, its drafts included.
    public static func pages(forPositions count: Int) -> Int {
        (count + MTPHead.maximumDrafts + pagePositions - 1) / pagePositions
    }

    func take() -> UnsafeMutableRawPointer {
        precondition(freePageCount > 0, "a text takes pages that are there")
        freePageCount -= 1
        let page = free.pointer[freePageCount]
        owners.pointer[index(page)] = 1
        return page
    }

    /// The page's number.
    func index(_ page: UnsafeMutableRawPointer) -> Int { (page - base) / shape.pageBytes }

    /// The page of a number.
    func page(_ index: Int) -> UnsafeMutableRawPointer {
        precondition(index >= 0 && index < pageCount, "a page of the pool")
        return base + index * shape.pageBytes
    }

    /// Lets another text have a page, too. Nobody writes to it any more.
    func share(_ page: UnsafeMutableRawPointer) {
        let index = index(page)
        if isIdle(page) { idlePageCount -= 1 }
        owners.pointer[index] += 1
    }

    func giveBack(_ page: UnsafeMutableRawPointer) {
        let index = index(page)
        owners.pointer[index] -= 1
        if isIdle(page) { idlePageCount += 1 }
        guard owners.pointer[index] == 0 else { return }
        free.pointer[freePageCount] = page
        freePageCount += 1
    }

    // MARK: The cache of prefixes

    /// Pages that a text can have, if the cache gives up what nobody else has.
    package var availablePageCount: Int { freePageCount + idlePageCount }

    /// Whether nobody has a page but the cache.
    func isIdle(_ page: UnsafeMutableRawPointer) -> Bool {
        isKept.pointer[index(page)] && owners.pointer[index(page)] == 1
    }

    /// Lets the cache have a text's page, too.
    func keep(_ page: UnsafeMutableRawPointer) {
        owners.pointer[index(page)] += 1
        isKept.pointer[index(page)] = true
    }

    /// Takes a page from the cache.
    func drop(_ page: UnsafeMutableRawPointer) {
        if isIdle(page) { idlePageCount -= 1 }
        isKept.pointer[index(page)] = false
        giveBack(page)
    }
}
