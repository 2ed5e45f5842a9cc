import ForetokenModel
import ForetokenSpeculation

#if canImport(Glibc)
    import Glibc
#endif

/// Runs known texts through verifier and draft head, and drafts behind every token of them. The prompt goes the way it
/// goes while generating, everything after it has the same bits in any window: the drafts are those of real rounds.
final class ChainPass {
    let sequence: TokenSequence
    private let verifier: Verifier
    private let draftHead: MTPHead?
    private let depth: Int
    private let drawable: Int
    private let instructionSet: String
    private let texts: [TokenSequence]
    private var reader: PromptReader
    private var step = Step()
    private var verifierShares: [Double]
    private var draftShares: [Double]
    private var room: [DistributionAgreement.SharedToken] = []

    /// - Parameters:
    ///   - draftHead: makes the drafts; nil where there are none to be made.
    ///   - sequence: room for the texts, one after the other.
    ///   - depth: drafts of a chain.
    ///   - drawable: ids from here on are never drawn.
    init(_ model: Model, _ draftHead: MTPHead?, _ sequence: TokenSequence, depth: Int, drawable: Int) {
        verifier = model.verifier
        self.draftHead = draftHead
        self.sequence = sequence
        self.depth = depth
        self.drawable = drawable
        instructionSet = model.instructionSet
        texts = [sequence]
        reader = PromptReader(model, drafting: draftHead != nil)
        verifierShares = .init(repeating: 0, count: drawable)
        draftShares = .init(repeating: 0, count: drawable)
    }

    /// - Returns: chains from position `promptCount` on; nil when `proceed` said no.
    /// - Throws: `GenerationError` when the verifier's logits overflow.
    func run(
        _ tokens: [Int32], promptCount: Int, sampling: SamplingOptions, proceed: () -> Bool
    ) throws -> [Chain]? {
        let sampler = Sampler(sampling, limit: drawable, instructionSet: instructionSet)
        var chains: [Chain] = []
        guard readPrompt(tokens, promptCount, proceed: proceed) else { return nil }
        while sequence.position < tokens.count - 1 {
            guard proceed() else { return nil }
            let start = sequence.position
            let rows = min(Step.windowRows, tokens.count - 1 - start)
            step.clear()
            step.add(sequence, count: rows)
            verifier.run(step)
            verifier.observer?.ended(.prompt, text: sequence.number)
            verifier.computeLogits(first: 0, count: rows) { sampler.draw(position: start + $0 + 1) }
            for row in 0..<rows { chains.append(try chain(tokens, start + row, row, sampler)) }
        }
        return chains
    }

    /// Takes the whole text and reads its prompt as `Generator` does, unless `proceed` says no between two chunks of it.
    func readPrompt(_ tokens: [Int32], _ promptCount: Int, proceed: () -> Bool) -> Bool {
        guard proceed() else { return false }
        sequence.restart(tokens)
        sequence.count = promptCount
        return reader.read(sequence, to: promptCount, proceed: proceed)
    }

    /// Goes back to the prompt's end, where `readPrompt` had come to.
    func rewind(_ promptCount: Int) {
        sequence.count = promptCount
        sequence.truncate(to: promptCount - 1)
        sequence.jumpModules(to: promptCount - 1)
        reader.read(sequence, to: promptCount)
    }

    private func chain(_ text: [Int32], _ position: Int, _ row: Int, _ sampler: Sampler) throws -> Chain {
        var chain = Chain(position: position)
        let logits = verifier.logits(row: row)
        chain.choice =
            sampler.isUnfiltered ? verifier.drawn(row: row) : sampler.pick(logits, position: position + 1)
        guard logits[Int(chain.choice)].isFinite else { throw GenerationError.overflow(position: position + 1) }
        guard let draftHead else { return chain }
        sequence.count = position + 1
        draftHead.catchUp(texts)
        for d in 0..<depth {
            let target = position + 1 + d
            draftHead.drawDrafts(texts) { _ in sampler.draw(position: target) }
            var choice = draftHead.drawn(row: 0)
            if !sampler.isUnfiltered { choice = sampler.choose(draftHead.logits(row: 0), position: target) }
            if d == 0 {
                let draftLogits = draftHead.logits(row: 0)
                chain.confidence = confidence(of: choice.token, draftLogits, sampler.rule)
                if sampler.rule.inverseTemperature != 0 { chain.agreement = agreement(logits, draftLogits, sampler) }
            }
            chain.drafts[d] = choice.token
            chain.leads[d] = choice.lead
            sequence.tokens[target] = choice.token
            if d + 1 < depth { draftHead.advance(texts) }
        }
        // The text's own tokens again, where drafts lay.
        for target in position + 1..<min(position + 1 + depth, text.count) { sequence.tokens[target] = text[target] }
        draftHead.observe(
            sequence, verifier.hidden(row: row), stride: verifier.hiddenStride, count: 1, firstRow: position)
        return chain
    }

    /// The draft's probability before filters; 0 where the module overflows.
    private func confidence(
        of token: Int32, _ logits: UnsafeMutableBufferPointer<Float>, _ rule: DrawRule
    ) -> Float {
        let inverse = Double(rule.inverseTemperature == 0 ? 1 : rule.inverseTemperature)
        let own = Double(logits[Int(token)])
        let odds = logits.prefix(rule.limit).reduce(0) { $0 + exp((Double($1) - own) * inverse) }
        return odds.isFinite && odds > 0 ? Float(1 / odds) : 0
    }

    private func agreement(
        _ logits: UnsafeMutableBufferPointer<Float>, _ draftLogits: UnsafeMutableBufferPointer<Float>,
        _ sampler: Sampler
    ) -> DistributionAgreement {
        verifierShares.withUnsafeMutableBufferPointer { p in
            draftShares.withUnsafeMutableBufferPointer { q in
                sampler.distribution(logits, into: p)
                sampler.distribution(draftLogits, into: q)
                return DistributionAgreement(UnsafeBufferPointer(p), UnsafeBufferPointer(q), room: &room)
            }
        }
    }
}
