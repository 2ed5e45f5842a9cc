import ForetokenHardware

/// Keeps whole chunks of prompts that have been read, for later prompts that begin with the same tokens. A chunk's latents,
/// the modules' among them, are what reading those tokens again would give, bit for bit: it is found by all tokens before it,
/// its own, and the few behind it that the modules' last rows go by. It belongs to one pool, whose pages it shares.
package final class PrefixCache {
    /// What is kept of one prompt's beginning.
    package struct Path {
        fileprivate let salt: String
        /// By chunk: its entry.
        fileprivate var entries: [Int] = []

        /// Positions that need not be run.
        package var positions: Int { entries.count * Workspace.chunkRows }
        /// Pages that they lie in.
        package var pages: Int { entries.count * PrefixCache.chunkPages }
    }

    /// By what a chunk is found.
    private struct Key: Hashable {
        /// Number of the entry of the chunk before it; -1 for the first.
        let parent: Int
        /// Of a first chunk.
        let salt: String
        /// Its own, and those behind it that decide its modules' rows.
        let tokens: [Int32]
    }

    /// A chunk. Entries are in a list by when they were used last; one is always newer than those behind it in a text, so
    /// that the oldest has none behind it.
    private struct Entry {
        let key: Key
        let pages: [UnsafeMutableRawPointer]
        var newer = -1
        var older = -1
    }

    /// Counts what it did so far.
    package private(set) var counts = PrefixCacheCounts()

    private static let chunkPages = Workspace.chunkRows / LatentPool.pagePositions

    private let pool: LatentPool
    private let mostPages: Int
    /// Tokens behind a chunk that its modules' rows go by.
    private let ahead: Int
    private var places: [Key: Int] = [:]
    /// By number; none is ever used again.
    private var entries: [Int: Entry] = [:]
    private var newest = -1
    private var oldest = -1

    /// - Parameters:
    ///   - pool: what texts have their pages from.
    ///   - pages: most pages to keep.
    ///   - modules: MTP modules that read every prompt.
    package init(_ pool: LatentPool, pages: Int, modules: Int) {
        self.pool = pool
        mostPages = pages
        ahead = modules
    }

    /// Chunks of so many tokens that can be kept, or found. At least one token has to be run behind them, and the modules'
    /// rows have to be those of whole chunks.
    private func chunks(of count: Int) -> Int { max(0, count - max(1, ahead)) / Workspace.chunkRows }

    private func key(_ tokens: UnsafePointer<Int32>, _ path: Path) -> Key {
        let own = UnsafeBufferPointer(start: tokens + path.positions, count: Workspace.chunkRows + ahead)
        return Key(parent: path.entries.last ?? -1, salt: path.entries.isEmpty ? path.salt : "", tokens: Array(own))
    }

    // MARK: Finding

    /// What is kept of a prompt's beginning.
    /// - Parameter salt: only prompts with the same one share anything.
    package func find(_ prompt: [Int32], salt: String) -> Path {
        var path = Path(salt: salt)
        prompt.withUnsafeBufferPointer { tokens in
            for _ in 0..<chunks(of: tokens.count) {
                guard let place = places[key(tokens.baseAddress!, path)] else { break }
                path.entries.append(place)
            }
        }
        return path
    }

    /// Drops what nobody has used for longest until so many pages are free; nothing where that is not enough.
    /// - Parameter path: what is to stay.
    /// - Returns: whether they are free.
    package func makeRoom(pages: Int, beside path: Path) -> Bool {
        touch(path)
        let idle = path.entries.count { isIdle($0) } * Self.chunkPages
        guard pages <= pool.freePageCount + pool.idlePageCount - idle else { return false }
        while pages > pool.freePageCount {
            guard dropOldest(beside: path) else { return false }
        }
        return true
    }

    /// A text that begins with `prompt`, of which what was found has been run.
    /// - Parameter capacity: positions that it may come to; there are free pages for those that were not found.
    /// - Throws: `HardwareError` when memory for its rows cannot be had.
    package func begin(_ model: Model, _ prompt: [Int32], capacity: Int, _ path: Path) throws -> TokenSequence {
        let sequence = try TokenSequence(
            model.configuration, pool: pool, capacity: capacity, shared: path.entries.flatMap { entries[$0]!.pages })
        sequence.append(prompt)
        sequence.jump(to: path.positions)
        sequence.jumpModules(to: path.positions)
        counts.soughtTokens += prompt.count
        counts.foundTokens += path.positions
        return sequence
    }

    // MARK: Keeping

    /// Keeps the chunks of a prompt that have been read since the last call, as far as there is room.
    ///
    /// - Parameters:
    ///   - sequence: has all of the prompt's tokens, and none behind them; verifier and modules have just finished a step.
    ///   - path: what is kept of it already.
    package func keep(_ sequence: TokenSequence, _ path: inout Path) {
        guard sequence.modulesHaveRead(to: sequence.position) else { return }
        let chunks = min(sequence.position / Workspace.chunkRows, chunks(of: sequence.count))
        while path.entries.count < chunks {
            let key = key(sequence.tokens, path)
            guard let place = places[key] ?? add(key, sequence, path) else { break }
            path.entries.append(place)
        }
        touch(path)
    }

    private func add(_ key: Key, _ sequence: TokenSequence, _ path: Path) -> Int? {
        while counts.pages + Self.chunkPages > mostPages {
            guard dropOldest(beside: path) else { return nil }
        }
        let first = path.pages
        let pages = (first..<first + Self.chunkPages).map { sequence.pages[$0]! }
        for page in pages { pool.keep(page) }
        let place = counts.keptChunks
        entries[place] = Entry(key: key, pages: pages)
        places[key] = place
        link(place)
        counts.pages += Self.chunkPages
        counts.keptChunks += 1
        return place
    }

    // MARK: Order of use

    /// Makes a text's entries the newest, the first one most of all.
    private func touch(_ path: Path) {
        for place in path.entries.reversed() {
            unlink(place)
            link(place)
        }
    }

    private func link(_ place: Int) {
        entries[place]!.older = newest
        entries[place]!.newer = -1
        if newest >= 0 { entries[newest]!.newer = place } else { oldest = place }
        newest = place
    }

    private func unlink(_ place: Int) {
        let (newer, older) = (entries[place]!.newer, entries[place]!.older)
        if newer >= 0 { entries[newer]!.older = older } else { newest = older }
        if older >= 0 { entries[older]!.newer = newer } else { oldest = newer }
    }

    private func isIdle(_ place: Int) -> Bool { entries[place]!.pages.allSatisfy(pool.isIdle) }

    /// Drops the oldest entry that no text has. One behind it in its text would be older, and idle, too.
    private func dropOldest(beside path: Path) -> Bool {
        var place = oldest
        while place >= 0 && (!isIdle(place) || path.entries.contains(place)) { place = entries[place]!.newer }
        guard place >= 0 else { return false }
        unlink(place)
        for page in entries[place]!.pages { pool.drop(page) }
        places[entries[place]!.key] = nil
        entries[place] = nil
        counts.pages -= Self.chunkPages
        counts.droppedChunks += 1
        return true
    }
}

/// What a cache of prefixes holds, and has done so far.
public struct PrefixCacheCounts: Sendable, Equatable {
    /// Pages that it has, those that texts have as well among them.
    public internal(set) var pages = 0
    /// Tokens of prompts that were looked for.
    public internal(set) var soughtTokens = 0
    /// Those of them that were found.
    public internal(set) var foundTokens = 0
    /// Chunks that were taken in.
    public internal(set) var keptChunks = 0
    /// Those of them that had to go.
    public internal(set) var droppedChunks = 0

    /// Nothing, yet.
    public init() {}
}
