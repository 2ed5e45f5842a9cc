// What is told of each source of drafts, and of each domain.

extension Measurement {
    /// Drafts by where they came from.
    public struct SourceDrafts: Sendable, Encodable {
        /// Of the MTP modules: drafts that met a verdict.
        public var modules = 0
        /// Those that held.
        public var modulesHeld = 0
        /// Looked up: drafts that met a verdict.
        public var lookup = 0
        /// Those that held.
        public var lookupHeld = 0

        /// None.
        public init() {}
    }

    /// A round's time, in undrafted steps.
    public struct RoundCost: Sendable, Encodable {
        /// The verifier's step, and its tokens.
        public var checking: Double
        /// Making drafts.
        public var drafting: Double
    }

    /// How often tokens held that were looked up for a place of the text, drafted or not.
    public struct LookupAcceptance: Sendable, Encodable {
        /// Share of places for which something was found.
        public var found: Estimate
        /// All finds; nil without any.
        public var all: LookupKind?
        /// By length of the match, ascending; lengths that never came up are left out.
        public var byLength: [LookupKind]
    }

    /// Finds with matches from some length on, up to the next kind's.
    public struct LookupKind: Sendable, Encodable {
        /// Tokens that the two places have in common, at least.
        public var length: Int
        /// Share that held.
        public var held: Estimate
        /// Of those whose token the module's first draft is too; nil where that never came up.
        public var agreed: Estimate?
        /// Of those where it is another; nil where that never came up.
        public var disagreed: Estimate?
    }

    /// What `auto` gains in one domain.
    public struct DomainSpeed: Sendable, Encodable {
        /// The suite's name for it.
        public var domain: String
        /// 0 is greedy.
        public var temperature: Float
        /// Prompts that were run in every mode.
        public var prompts: Int
        /// Speed of `auto` over no drafts.
        public var auto: Estimate
        /// The same foretold, as in `SpeedComparison`.
        public var predicted: Double?
        /// The fastest setting that is fixed: `off` or a number of drafts. Being the best of several, it profits from chance.
        public var best: String
        /// Its speed over no drafts.
        public var bestSpeed: Estimate
        /// The most that copied text can gain, where all drafts hold and cost nothing: the largest n / T(n).
        public var copyLimit: Double?
        /// Its n: the rows of a step.
        public var copyRows: Int?
    }
}

extension Measurement.StepCosts {
    /// Nanoseconds of a verify step of `rows` rows behind `context` cached positions.
    func step(rows: Int, context: Double) -> Double {
        let more = rows <= verifyPerPosition.count ? verifyPerPosition[rows - 1] : 0
        return max(0, verify[rows - 1] + more * (context - Double(meanContext)))
    }

    /// What a draft costs more than with `meanContext` cached positions.
    func draftSurplus(context: Double) -> Double { draftPerPosition * (context - Double(meanContext)) }

    /// The rows n that make n / T(n) largest behind `context` positions, and that.
    func copyLimit(context: Double) -> (rows: Int, speedup: Double)? {
        guard let plain = verify.isEmpty ? nil : step(rows: 1, context: context), plain > 0 else { return nil }
        return (1...verify.count).map { rows in
            (rows, Double(rows) * plain / step(rows: rows, context: context))
        }.filter { $0.1.isFinite }.max { $0.1 < $1.1 }
    }
}
