import ForetokenModel
import ForetokenSpeculation

/// Compares runs with their references, and what the modules proposed with all runs before.
struct ProofComparison {
    private let settings: ProofSettings
    private let samplings: [ProofSampling]
    /// By text: what was proposed when it was first asked for.
    private var proposals: [ProofSubject: [DraftTrace.Place: DraftProposal]] = [:]

    /// What was found.
    struct Result {
        /// What differs, if anything does.
        var divergence: Divergence?
        /// Positions that were compared.
        let rows: Range<Int>
        /// Drafts that were.
        var drafts = 0
    }

    init(_ settings: ProofSettings, _ samplings: [ProofSampling]) {
        self.settings = settings
        self.samplings = samplings
    }

    /// - Parameters:
    ///   - reference: of the run's subject.
    ///   - way, name: what the run is called.
    mutating func compare(_ run: ProofRun, with reference: ProofOutcome, way: String, name: String) -> Result {
        let reference = run.tokenCount.map { reference.ended(after: $0, run.subject) } ?? reference
        let outcome = run.outcome
        let common = zip(reference.context, outcome.context).prefix { $0 == $1 }.count
        // Up to there both have run the same tokens, the first that differs not included.
        let end = min(common, reference.positions.upperBound, outcome.positions.upperBound)
        let rows = min(end, max(reference.positions.lowerBound, outcome.positions.lowerBound))..<end
        var result = Result(rows: rows)
        func divergence(_ kind: Divergence.Kind, at position: Int) -> Divergence {
            var divergence = Divergence(
                kind: kind, way: way, run: name, prompt: settings.prompts[run.subject.prompt].name,
                sampling: samplings[run.subject.sampling].name, position: position)
            divergence.text = run.text
            return divergence
        }
        var token: TokenDifference?
        if common < max(reference.context.count, outcome.context.count) {
            token = TokenDifference(
                position: common, expected: common < reference.context.count ? reference.context[common] : nil,
                found: common < outcome.context.count ? outcome.context[common] : nil)
        }
        if let first = reference.trace.firstDifference(to: outcome.trace, positions: rows) {
            var found = divergence(first.expected == first.found ? .values : .order, at: first.position)
            (found.expectedSite, found.foundSite) = (first.expected, first.found)
            (found.expectedPlace, found.foundPlace) = (first.expectedPlace, first.foundPlace)
            result.divergence = found
        } else if let token {
            result.divergence = divergence(.token, at: token.position)
        }
        result.divergence?.token = token
        // What differs in the text makes other drafts.
        guard result.divergence == nil else { return result }
        if let (place, difference) = remember(run, &result.drafts) {
            result.divergence = divergence(.draft, at: place.newest)
            result.divergence?.draft = difference
        }
        return result
    }

    /// Takes in a run's proposals.
    /// - Returns: the first that is not what was proposed there before.
    private mutating func remember(
        _ run: ProofRun, _ compared: inout Int
    ) -> (place: DraftTrace.Place, difference: DraftDifference)? {
        var text = run.subject
        // Where the answer ends decides none of its drafts.
        (text.ending, text.tokens) = (nil, 0)
        if let ending = run.subject.ending { run.outcome.drafts.keep(before: text.promptCount + ending.after) }
        var first: (place: DraftTrace.Place, difference: DraftDifference)?
        for (place, found) in run.outcome.drafts.proposals {
            guard let expected = proposals[text, default: [:]][place] else {
                proposals[text, default: [:]][place] = found
                continue
            }
            compared += 1
            guard expected != found else { continue }
            if let known = first?.place, (known.newest, known.made) <= (place.newest, place.made) { continue }
            first = (place, DraftDifference(made: place.made, expected: expected, found: found))
        }
        return first
    }
}

extension ProofWay {
    mutating func add(_ outcome: ProofOutcome, _ result: ProofComparison.Result) {
        tokens += outcome.generated
        rows += result.rows.count
        values += outcome.trace.valueCount(result.rows)
        draftsVerified += outcome.telemetry.drafted.reduce(0, +)
        draftsAccepted += outcome.telemetry.accepted.reduce(0, +)
        draftsCompared += result.drafts
    }
}
