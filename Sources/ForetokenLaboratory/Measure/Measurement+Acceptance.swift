import ForetokenModel
import ForetokenSpeculation

extension Measurement.DomainAcceptance {
    /// What the records of one domain come to.
    ///
    /// - Parameters:
    ///   - records: one for each prompt, all given texts or all generated ones.
    ///   - plan: says what is to be reported.
    ///   - isSummary: whether they are those of all domains.
    /// - Throws: `HardwareError` without memory.
    init(_ domain: String, _ records: [TextRecord], _ plan: MeasuringPlan, isSummary: Bool = false) throws {
        let depth = min(plan.depth, records.map(\.depth).min() ?? 0)
        let bootstrap = Bootstrap(prompts: records.count)
        let chains = records.map { $0.chainCounts(depth: depth) }
        let isGiven = records.first?.isGiven ?? false
        self.domain = domain
        self.isSummary = isSummary
        isMadeToSay = records.contains { $0.isMadeToSay }
        prompts = records.count
        positions = records.reduce(0) { $0 + $1.chains.count }
        conditional = (0..<depth).compactMap { d in bootstrap.ratio(chains.map { $0[d] }) }
        cumulative = (0..<depth).compactMap { d in bootstrap.product(chains.map { Array($0.prefix(d + 1)) }) }
        lookup = plan.sources.looksUp ? try Measurement.LookupAcceptance(records, bootstrap) : nil
        rounds =
            isGiven
            ? []
            : try plan.lengths.compactMap {
                try Measurement.RoundAcceptance(records, length: $0, plan.sources, bootstrap)
            }
        reliability = depth > 0 ? Self.reliability(records, bootstrap) : []
        agreement = Measurement.SamplingAgreement(records, bootstrap)
        textAgreement = isGiven ? Measurement.TextAgreement(records, hasDrafts: depth > 0, bootstrap) : nil
    }

    private static let binCount = 10

    private static func reliability(
        _ records: [TextRecord], _ bootstrap: Bootstrap
    ) -> [Measurement.ReliabilityBin] {
        func bin(_ chain: Chain) -> Int { min(binCount - 1, Int(chain.confidence * Float(binCount))) }
        var counts = [[Counts]](repeating: .init(repeating: Counts(), count: records.count), count: binCount)
        var confidences = [Counts](repeating: Counts(), count: binCount)
        for (prompt, record) in records.enumerated() {
            for chain in record.chains {
                counts[bin(chain)][prompt].add(chain.drafts[0] == chain.choice)
                confidences[bin(chain)].add(Double(chain.confidence))
            }
        }
        return (0..<binCount).compactMap { bin in
            guard let accepted = bootstrap.ratio(counts[bin]) else { return nil }
            return Measurement.ReliabilityBin(
                lowest: Double(bin) / Double(binCount), highest: Double(bin + 1) / Double(binCount),
                confidence: confidences[bin].hits / confidences[bin].trials, accepted: accepted)
        }
    }
}

extension TextRecord {
    /// By draft position: drafts whose predecessors were right, and how many of them held.
    fileprivate func chainCounts(depth: Int) -> [Counts] {
        var counts = [Counts](repeating: Counts(), count: depth)
        for chain in chains {
            for d in 0..<depth {
                guard let held = held(chain, draft: d + 1) else { break }
                counts[d].add(held)
            }
        }
        return counts
    }

    /// A figure of every chain, summed.
    fileprivate func counts(_ figure: (Chain) -> Double?) -> Counts {
        chains.reduce(into: Counts()) { counts, chain in
            if let value = figure(chain) { counts.add(value) }
        }
    }
}

extension Measurement.RoundAcceptance {
    fileprivate init?(
        _ records: [TextRecord], length: Int, _ sources: DraftSources, _ bootstrap: Bootstrap
    ) throws {
        let outcomes = try records.map { try $0.rounds(length: length, sources) }
        let accepted = outcomes.map { Double($0.telemetry.accepted.reduce(0, +)) }
        guard
            let rate = bootstrap.ratio(
                zip(outcomes, accepted).map {
                    Counts(hits: $1, trials: Double($0.telemetry.drafted.reduce(0, +)))
                }),
            let tokens = bootstrap.tokensPerRound(
                outcomes.map {
                    Counts(hits: Double($0.telemetry.extraTokens), trials: Double($0.telemetry.rounds))
                }, length: length)
        else { return nil }
        draftLength = length
        rounds = outcomes.reduce(0) { $0 + $1.telemetry.rounds }
        self.rate = rate
        tokensPerRound = tokens
        conditional = (0..<length).compactMap { d in
            bootstrap.ratio(
                outcomes.map { outcome in
                    let accepted = outcome.telemetry.accepted
                    return Counts(hits: d < accepted.count ? Double(accepted[d]) : 0, trials: Double(outcome.tried[d]))
                })
        }
    }
}

extension Measurement.SamplingAgreement {
    fileprivate init?(_ records: [TextRecord], _ bootstrap: Bootstrap) {
        func mean(_ figure: (DistributionAgreement) -> Double) -> Estimate? {
            bootstrap.ratio(
                records.map { $0.counts { $0.agreement.map(figure) } }, isProportion: false)
        }
        guard let overlap = mean({ $0.overlap }), let keyed = mean({ $0.keyed }),
            let argmaxDraft = mean({ $0.argmaxDraft }), let independentDraft = mean({ $0.independentDraft }),
            let observed = bootstrap.ratio(
                records.map { $0.counts { $0.agreement == nil ? nil : $0.drafts[0] == $0.choice ? 1 : 0 } })
        else { return nil }
        self.init(
            overlap: overlap, keyed: keyed, observed: observed, argmaxDraft: argmaxDraft,
            independentDraft: independentDraft)
    }
}

extension Measurement.TextAgreement {
    fileprivate init?(_ records: [TextRecord], hasDrafts: Bool, _ bootstrap: Bootstrap) {
        func share(_ token: @escaping (Chain) -> Int32) -> Estimate? {
            bootstrap.ratio(
                records.map { record in
                    record.counts { token($0) == record.tokens[$0.position + 1] ? 1 : 0 }
                })
        }
        guard let verifier = share({ $0.choice }) else { return nil }
        self.init(draft: hasDrafts ? share { $0.drafts[0] } : nil, verifier: verifier)
    }
}
