import ForetokenModel
import ForetokenSpeculation

/// A sampling setting with its name.
struct ProofSampling {
    let name: String
    let options: SamplingOptions

    /// Settings that drafts are tried under. A quick proof takes the first two with the module's drafts, and the first and
    /// the last with planted ones: greedy, filtered and unfiltered noise take different ways. New settings belong here,
    /// before the last.
    static func all(seed: UInt64) -> [ProofSampling] {
        func setting(_ name: String, _ change: (inout SamplingOptions) -> Void) -> ProofSampling {
            var options = SamplingOptions()
            options.seed = seed
            change(&options)
            return ProofSampling(name: name, options: options)
        }
        return [
            setting("greedy") { _ in },
            setting("T 0.8, top-p 0.95") {
                $0.temperature = 0.8
                $0.topP = 0.95
            },
            setting("T 0.8, top-k 40") {
                $0.temperature = 0.8
                $0.topK = 40
            },
            setting("T 1.5, min-p 0.05") {
                $0.temperature = 1.5
                $0.minP = 0.05
            },
            setting("greedy, penalties") {
                $0.repetitionPenalty = 1.3
                $0.frequencyPenalty = 0.4
            },
            setting("T 0.8, top-k 40, penalties, bias") {
                $0.temperature = 0.8
                $0.topK = 40
                $0.repetitionPenalty = 1.1
                $0.presencePenalty = 0.5
                $0.logitBias = [1: -2, 2: 3]
            },
            setting("T 1.5") { $0.temperature = 1.5 },
        ]
    }
}

/// What decides the output, and therefore must be the same in all runs that are compared.
struct ProofSubject: Hashable {
    /// Index in the settings' prompts.
    var prompt = 0
    /// Tokens of the prompt to use.
    var promptCount: Int
    /// Index in `ProofSampling.all`.
    var sampling = 0
    /// Added to the settings' seed.
    var ownSeed: UInt64 = 0
    var cacheType: CacheType
    var instructionSet: String
    var tokens: Int
    var ending: Ending?

    /// An early end, and a second request behind it.
    struct Ending: Hashable {
        /// The generated token, counted from 1, after which the first answer ends.
        let after: Int
        /// Whether a stop token ends it, or the one who looks on.
        let isByToken: Bool
        /// Tokens of the second prompt.
        let nextCount: Int
        /// Tokens of the second answer.
        let nextTokens: Int
    }

    /// Positions that its first answer may come to.
    var positions: Int { promptCount + tokens }

    /// Most verifier steps of a run without forced widths.
    var steps: Int {
        (promptCount + Step.chunkRows - 1) / Step.chunkRows
            + (ending.map { min($0.after, tokens) + 1 + $0.nextTokens } ?? tokens)
    }
}

/// A way through a subject that must not matter.
struct ProofCourse {
    /// Where drafts come from.
    enum Drafts {
        /// From the MTP module.
        case own
        /// The reference's tokens, some of them made wrong.
        case planted
        /// The reference's tokens.
        case right
    }

    var name: String
    let threads: Int
    var draft = DraftMode.off
    var drafts = Drafts.own
    var sources = DraftSources.both
    /// Forces the reference's continuation through steps of these widths in turn, instead of generating.
    var widths: [Int]?
    /// Other texts beside the subject, and how they are served; nil leaves it alone.
    var company: (visitors: [ProofVisitor], rules: ProofCompany)?
    /// Spreads the model over made-up nodes; nil leaves it where it is.
    var placement: ProofPlacement?

    func steps(_ subject: ProofSubject) -> Int {
        guard let widths else {
            return (company?.visitors ?? []).reduce(subject.steps) { $0 + $1.subject.steps }
        }
        let rows = subject.tokens
        // Wrong tokens come first, and are forgotten.
        let window = min(Step.windowRows, subject.promptCount)
        let forgotten = (rows + window - 1) / window
        return forgotten + rows * widths.count / widths.reduce(0, +) + 1
    }
}

/// One row of the proof's table: what is varied, over which subjects.
struct ProofTrial {
    let title: String
    var cases: [(subject: ProofSubject, courses: [ProofCourse])]

    var runs: Int { cases.reduce(0) { $0 + $1.courses.count } }
}

/// Everything a proof will do.
struct ProofPlan {
    private(set) var trials: [ProofTrial] = []
    private(set) var omissions: [String] = []
    private let settings: ProofSettings
    private let hasModules: Bool

    /// - Parameter isShared: whether other hosts have a part of the model; what is changed here stays as it is on them.
    init(_ settings: ProofSettings, hasModules: Bool, triesPlacements: Bool, isShared: Bool = false) {
        self.settings = settings
        self.hasModules = hasModules
        addWidths()
        addLookup()
        if hasModules {
            addDrafts()
            addPlantedDrafts()
            addStops()
        } else {
            omissions.append(
                "the checkpoint has no MTP module: draft lengths and stops inside accepted drafts were left out")
        }
        if settings.prompts[settings.longestPrompt].tokens.count <= Step.chunkRows {
            omissions.append(
                "no prompt is longer than \(Step.chunkRows) tokens: prompts of several chunks, and attention over "
                    + "several blocks of context, were left out"
            )
        }
        addCompany()
        addThreads()
        if triesPlacements {
            addPlacements()
        } else {
            omissions.append("placements were left out: they need the weights a second time")
        }
        addCacheTypes()
        if isShared {
            omissions.append("other kernels were left out, and thread counts are this host's: other hosts keep theirs")
        } else {
            addInstructionSets()
        }
    }

    /// Runs, the references included.
    var runs: Int { trials.reduce(0) { $0 + $1.runs } + references.count }

    /// Steps that will be run at most; accepted drafts save some.
    var steps: Int {
        let compared = trials.flatMap(\.cases).reduce(0) { sum, item in
            item.courses.reduce(sum) { $0 + $1.steps(item.subject) }
        }
        return compared + references.reduce(0) { $0 + $1.steps }
    }

    private var references: Set<ProofSubject> {
        let cases = trials.flatMap(\.cases)
        let visitors = cases.flatMap(\.courses).flatMap { $0.company?.visitors ?? [] }
        return Set(cases.map(\.subject) + visitors.map(\.subject))
    }

    /// The prompts of most trials.
    private var prompts: Range<Int> { 0..<(settings.isQuick ? 1 : settings.prompts.count) }

    private func subject(_ prompt: Int) -> ProofSubject {
        ProofSubject(
            prompt: prompt, promptCount: settings.prompts[prompt].tokens.count, cacheType: settings.cacheType,
            instructionSet: settings.instructionSet, tokens: settings.maximumTokens)
    }

    private func course(_ draft: DraftMode, _ drafts: ProofCourse.Drafts = .own) -> ProofCourse {
        ProofCourse(name: "draft \(draft.name)", threads: settings.threads, draft: draft, drafts: drafts)
    }

    private func widths(_ widths: [Int], _ name: String) -> ProofCourse {
        ProofCourse(name: name, threads: settings.threads, widths: widths)
    }

    private func threads(_ count: Int, _ draft: DraftMode) -> ProofCourse {
        ProofCourse(name: "\(count) thread\(count == 1 ? "" : "s")", threads: count, draft: draft)
    }

    private static let mixed = [1, 16, 3, 9, 2, 5, 7, 4]

    private mutating func addWidths() {
        // One token has no row of its own: the row that gave it is the prompt's.
        guard settings.maximumTokens > 1 else { return }
        let courses =
            (1...Step.windowRows).map { widths([$0], "\($0) row\($0 == 1 ? "" : "s") a step") }
            + [widths(Self.mixed, "mixed widths")]
        // Only behind more than one block of context does attention fold any.
        let prompts = settings.isQuick ? settings.longestPrompt..<settings.longestPrompt + 1 : self.prompts
        trials.append(
            ProofTrial(
                title: "step widths 1…\(Step.windowRows) and mixed", cases: prompts.map { (subject($0), courses) }))
    }

    private mutating func addDrafts() {
        let lengths = settings.isQuick ? [1, 4, 8] : Array(1...MTPHead.maximumDrafts)
        let courses = lengths.map { course(.fixed($0)) } + [course(.auto)]
        let samplings = ProofSampling.all(seed: settings.seed)
        for (index, sampling) in samplings.enumerated().prefix(settings.isQuick ? 2 : samplings.count) {
            let cases = prompts.map { prompt in
                var subject = subject(prompt)
                subject.sampling = index
                return (subject, courses)
            }
            let range = settings.isQuick ? "1, 4, 8" : "1…\(MTPHead.maximumDrafts)"
            trials.append(ProofTrial(title: "drafts \(range), auto; \(sampling.name)", cases: cases))
        }
    }

    /// Looked up alone, and behind the modules' drafts.
    private mutating func addLookup() {
        let alone = (settings.isQuick ? [15] : [1, 4, 15]).map { length in
            var course = course(.fixed(length))
            (course.name, course.sources) = ("look-up \(length)", .lookup)
            return course
        }
        var planted = alone[alone.count - 1]
        (planted.name, planted.drafts) = ("look-up, some made wrong", .planted)
        let courses = alone + [planted] + (hasModules ? [course(.fixed(15)), course(.fixed(15), .planted)] : [])
        trials.append(ProofTrial(title: "drafts looked up in the text", cases: twoSamplings(courses)))
    }

    /// These courses of every prompt, greedily and with the last of the sampling settings.
    private func twoSamplings(_ courses: [ProofCourse]) -> [(ProofSubject, [ProofCourse])] {
        let last = ProofSampling.all(seed: settings.seed).count - 1
        return prompts.flatMap { prompt in
            [0, last].map { sampling in
                var subject = subject(prompt)
                subject.sampling = sampling
                return (subject, courses)
            }
        }
    }

    private mutating func addPlantedDrafts() {
        let lengths = settings.isQuick ? [3, 6] : Array(1...MTPHead.maximumDrafts)
        let courses = lengths.map { course(.fixed($0), .planted) }
        trials.append(ProofTrial(title: "planted drafts, right and wrong", cases: twoSamplings(courses)))
    }

    private mutating func addStops() {
        var cases: [(ProofSubject, [ProofCourse])] = []
        let courses =
            [course(.fixed(4), .right)]
            + (settings.isQuick ? [] : [course(.fixed(8), .right), course(.fixed(4)), course(.auto)])
        for after in settings.isQuick ? [3, 4] : Array(2...9) {
            var stopped = subject(0)
            // Short second prompts take the narrow route, long ones the wide.
            stopped.ending = ProofSubject.Ending(
                after: min(after, stopped.tokens), isByToken: after % 2 == 0,
                nextCount: after % 4 < 2 ? 5 : ProofSettings.nextPrompt, nextTokens: ProofSettings.nextAnswer)
            cases.append((stopped, courses))
        }
        trials.append(ProofTrial(title: "stops inside drafts, next turn", cases: cases))
    }

    /// Subjects that were alone before, the longest prompt among them: its chunks rest while the others' windows run. What
    /// the visitors draft alone comes first.
    private mutating func addCompany() {
        let companies = ProofCompany.all(isQuick: settings.isQuick).map { rules in
            (visitors: rules.visitors(settings, hasModules: hasModules), rules: rules)
        }
        if hasModules, let largest = companies.last { addVisitorsAlone(largest.visitors) }
        let samplings = ProofSampling.all(seed: settings.seed)
        let penalised = samplings.indices.filter { samplings[$0].options.isPenalised }
        let subjects = Set(prompts).union([settings.longestPrompt]).sorted()
        var ways = [course(.off)]
        if hasModules {
            ways = [course(.fixed(3)), course(.fixed(6), .planted), course(.auto), course(.off)]
        }
        let cases = subjects.enumerated().map { number, prompt in
            var subject = subject(prompt)
            subject.sampling = number == 0 ? 0 : penalised[number % penalised.count]
            // Every subject meets every company, and all ways of drafting in turn.
            let courses = companies.enumerated().map { index, company in
                var course = ways[(number + index) % ways.count]
                course.name = "\(company.rules.name), \(course.name)"
                course.company = company
                return course
            }
            return (subject, courses)
        }
        trials.append(ProofTrial(title: "company of other texts", cases: cases))
    }

    /// The texts of company by themselves: their drafts there have to be these.
    private mutating func addVisitorsAlone(_ visitors: [ProofVisitor]) {
        let cases = visitors.filter { $0.draft != .off }.map { visitor in
            (visitor.subject, [course(.fixed(MTPHead.maximumDrafts), visitor.drafts)])
        }
        trials.append(ProofTrial(title: "the texts of company, each alone", cases: cases))
    }

    private mutating func addThreads() {
        let counts = threadCounts
        let list = counts.map(String.init).joined(separator: ", ")
        let draft = hasModules ? DraftMode.fixed(3) : .off
        func courses(_ draft: DraftMode) -> [ProofCourse] {
            counts.map { threads($0, draft) }
        }
        trials.append(
            ProofTrial(
                title: "threads \(list)\(hasModules ? "; draft 3" : "")",
                cases: prompts.map { (subject($0), courses(draft)) }))
        var prompt = subject(settings.longestPrompt)
        prompt.tokens = 1
        trials.append(
            ProofTrial(
                title: "threads \(list); \(prompt.promptCount)-token prompt", cases: [(prompt, courses(.off))]))
    }

    /// Other thread counts than the settings' own. A few threads are slow on a large model, so a quick proof stays near
    /// the number in use.
    private var threadCounts: [Int] {
        let own = settings.threads
        var counts = Set([own / 2, own - 1])
        if !settings.isQuick { counts.formUnion([1, 2, 3]) }
        var count = own + 1
        counts = counts.filter { $0 >= 1 && $0 != own }
        while counts.count < 2 {
            counts.insert(count)
            count += 1
        }
        return counts.sorted()
    }

    private mutating func addPlacements() {
        let placements = settings.isQuick ? [.mixed] : ProofPlacement.allCases
        let courses = placements.flatMap { placement in
            var ways = [course(hasModules ? .fixed(3) : .off)]
            if settings.maximumTokens > 1 { ways.append(widths(Self.mixed, "mixed widths")) }
            return ways.map { way in
                ProofCourse(
                    name: "\(placement.rawValue), \(way.name)", threads: way.threads, draft: way.draft,
                    widths: way.widths, placement: placement)
            }
        }
        trials.append(
            ProofTrial(
                title: "experts \(placements.map(\.rawValue).joined(separator: ", ")) on made-up nodes",
                cases: prompts.map { (subject($0), courses) }))
    }

    private mutating func addCacheTypes() {
        for type in CacheType.allCases where type != settings.cacheType {
            let cases = prompts.map { prompt in
                var subject = subject(prompt)
                subject.cacheType = type
                return (subject, otherKindCourses)
            }
            trials.append(ProofTrial(title: "\(type.rawValue) cache, against itself", cases: cases))
        }
    }

    private mutating func addInstructionSets() {
        for name in InstructionSet.available where name != settings.instructionSet {
            var subject = subject(0)
            // Sets that are not the best here are slow.
            subject.instructionSet = name
            subject.promptCount = min(subject.promptCount, settings.isQuick ? 8 : 40)
            subject.tokens = min(subject.tokens, settings.isQuick ? 6 : 24)
            trials.append(
                ProofTrial(title: "\(name) kernels, against themselves", cases: [(subject, otherKindCourses)]))
        }
    }

    /// A few courses that touch everything, for what has its own reference.
    private var otherKindCourses: [ProofCourse] {
        var courses: [ProofCourse] = []
        if settings.maximumTokens > 1 { courses.append(widths(Self.mixed, "mixed widths")) }
        if hasModules { courses.append(course(.fixed(3))) }
        if hasModules && !settings.isQuick { courses.append(course(.fixed(6), .planted)) }
        courses.append(threads(threadCounts[0], .off))
        return courses
    }
}
