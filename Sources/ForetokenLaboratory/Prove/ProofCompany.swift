import ForetokenModel
import ForetokenSpeculation

/// Texts that are served beside a subject. All of them are compared with what they are alone.
struct ProofCompany: Hashable {
    /// Texts beside the subject.
    let others: Int
    /// Most texts at once, the subject among them.
    let parallel: Int
    /// Share of time that a prompt is read in; the smaller, the more windows run between its phases.
    let chunkShare: Double
    /// Pages besides those of the largest text, where that is too few for all; nil has enough for `parallel` texts.
    var sparePages: Int?
    /// Whether what prompts begin with is kept for others that begin alike.
    var isCached = false

    /// The companies of a proof; the last is the largest.
    static func all(isQuick: Bool) -> [ProofCompany] {
        isQuick
            ? [
                ProofCompany(others: 5, parallel: 6, chunkShare: 0.5, sparePages: 2),
                ProofCompany(others: 7, parallel: 8, chunkShare: 0.05, isCached: true),
            ]
            : [
                ProofCompany(others: 1, parallel: 2, chunkShare: 0.5),
                ProofCompany(others: 3, parallel: 4, chunkShare: 0.05),
                ProofCompany(others: 7, parallel: 3, chunkShare: 0.2, isCached: true),
                ProofCompany(others: 9, parallel: 10, chunkShare: 0.05, sparePages: 2),
                ProofCompany(others: 15, parallel: 16, chunkShare: 0.7, isCached: true),
                ProofCompany(others: 20, parallel: 21, chunkShare: 0.05),
            ]
    }

    var name: String {
        let queue = parallel <= others ? ", \(parallel) at a time" : ""
        let pages = sparePages == nil ? "" : ", pages for few"
        let cache = isCached ? ", beginnings cached" : ""
        return "beside \(others) other text\(others == 1 ? "" : "s")\(queue)\(pages)\(cache)"
    }

    /// Whole prompts, the longest once, and short ones that take the narrow route; each with settings of its own.
    func visitors(_ settings: ProofSettings, hasModules: Bool) -> [ProofVisitor] {
        let samplings = ProofSampling.all(seed: settings.seed).count
        let prompts = settings.prompts.indices
        return (0..<others).map { i in
            let isLongest = i == 2
            let prompt = isLongest ? settings.longestPrompt : (i % 4 == 1 ? i / 4 : i) % prompts.count
            let count = settings.prompts[prompt].tokens.count
            let isWhole = isLongest || i % 4 == 1
            var subject = ProofSubject(
                prompt: prompt, promptCount: isWhole ? count : min(count, 1 + i * 7 % 23),
                cacheType: settings.cacheType, instructionSet: settings.instructionSet,
                tokens: settings.maximumTokens)
            subject.sampling = i % samplings
            subject.ownSeed = isWhole ? 0 : UInt64(i)
            let (draft, drafts) = hasModules ? Self.drafts[i % Self.drafts.count] : (.off, .own)
            return ProofVisitor(
                subject: subject, draft: draft, drafts: drafts, arrival: i < (others + 1) / 2 ? 0 : 1 + i % 7,
                leaving: leaving(i, settings.maximumTokens))
        }
    }

    /// Right drafts end where a stop is; their number and the ways of leaving have no common factor, so that all meet.
    private static let drafts: [(DraftMode, ProofCourse.Drafts)] = [
        (.auto, .own), (.fixed(4), .right), (.fixed(3), .own), (.fixed(8), .planted), (.fixed(8), .own), (.off, .own),
        (.fixed(6), .right),
    ]

    private func leaving(_ i: Int, _ most: Int) -> ProofVisitor.Leaving {
        switch i % 4 {
        case 1: .stopToken(after: min(most, 3 + i))
        case 2: .cancelled(after: min(most, 2 + i))
        case 3: .stopped(after: min(most, 9 + i))
        default: .complete
        }
    }

    /// What it is served by.
    ///
    /// - Parameter sizes: positions that each text may come to.
    func engineSettings(_ settings: ProofSettings, cacheType: CacheType, sizes: [Int]) -> Engine.Settings {
        var result = Engine.Settings(context: settings.positions)
        result.parallel = parallel
        result.cacheType = cacheType
        result.drawable = settings.drawable
        result.chunkShare = chunkShare
        let pages = sizes.map { LatentPool.pages(forPositions: $0) }.sorted(by: >)
        // Where not all can be there at once, pages are too few for it as well.
        let enough = pages.prefix(parallel).reduce(0, +)
        result.cachePages = isCached ? pages[0] : 0
        // Of the cache's pages too few are there, so that some have to go.
        result.pages = (sparePages.map { min(enough, pages[0] + $0) } ?? enough) + result.cachePages / 2
        return result
    }
}

/// One of the texts beside a subject, and how it comes and goes.
struct ProofVisitor {
    /// How it leaves.
    enum Leaving {
        /// With its last token.
        case complete
        /// Given up after so many tokens.
        case cancelled(after: Int)
        /// Ended by who looks on after so many tokens.
        case stopped(after: Int)
        /// Ended by a stop token: the one that stands there in its whole answer.
        case stopToken(after: Int)
    }

    let subject: ProofSubject
    let draft: DraftMode
    let drafts: ProofCourse.Drafts
    /// Comes with that token of the main subject; 0 is there before it.
    let arrival: Int
    let leaving: Leaving

    /// The token that is to end it, given its whole answer.
    func stopToken(_ answer: ArraySlice<Int32>) -> Int32? {
        guard case .stopToken(let after) = leaving else { return nil }
        return answer.prefix(after).last
    }

    /// What who looks on wants after that many tokens.
    func wish(after tokens: Int) -> Continuation {
        switch leaving {
        case .cancelled(let after) where tokens >= after: .cancel
        case .stopped(let after) where tokens >= after: .stop
        default: .proceed
        }
    }

    /// Tokens that it is to have, given its whole answer.
    func tokenCount(_ answer: ArraySlice<Int32>) -> Int {
        switch leaving {
        case .complete: answer.count
        case .cancelled(let after), .stopped(let after): min(after, answer.count)
        case .stopToken:
            answer.firstIndex(of: stopToken(answer) ?? -1).map { $0 + 1 - answer.startIndex } ?? answer.count
        }
    }
}

extension ProofSettings {
    /// Tokens of the texts that there are pages for at once: those of the largest company, and two texts that stay while
    /// widths are tried.
    public var texts: [Int] {
        let company = ProofCompany.all(isQuick: isQuick).last?.visitors(self, hasModules: true) ?? []
        return [positions, positions] + company.map(\.subject.positions)
    }

    var longestPrompt: Int { prompts.indices.max { prompts[$0].tokens.count < prompts[$1].tokens.count } ?? 0 }
}
