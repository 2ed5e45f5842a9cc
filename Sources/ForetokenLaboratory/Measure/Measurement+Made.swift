// Memberwise initialisers are visible in their module only. These make the same values for other rooms' tests.

extension Measurement.DomainAcceptance {
    package static func made(
        domain: String, prompts: Int, positions: Int, conditional: [Estimate], cumulative: [Estimate],
        rounds: [Measurement.RoundAcceptance], reliability: [Measurement.ReliabilityBin],
        agreement: Measurement.SamplingAgreement?
    ) -> Self {
        Self(
            domain: domain, prompts: prompts, positions: positions, conditional: conditional, cumulative: cumulative,
            rounds: rounds, reliability: reliability, agreement: agreement, textAgreement: nil)
    }
}

extension Measurement.RoundAcceptance {
    package static func made(
        draftLength: Int, rounds: Int, rate: Estimate, conditional: [Estimate], tokensPerRound: Estimate
    ) -> Self {
        Self(
            draftLength: draftLength, rounds: rounds, rate: rate, conditional: conditional,
            tokensPerRound: tokensPerRound)
    }
}

extension Measurement.ReliabilityBin {
    package static func made(lowest: Double, highest: Double, confidence: Double, accepted: Estimate) -> Self {
        Self(lowest: lowest, highest: highest, confidence: confidence, accepted: accepted)
    }
}

extension Measurement.SamplingAgreement {
    package static func made(
        overlap: Estimate, keyed: Estimate, observed: Estimate, argmaxDraft: Estimate, independentDraft: Estimate
    ) -> Self {
        Self(
            overlap: overlap, keyed: keyed, observed: observed, argmaxDraft: argmaxDraft,
            independentDraft: independentDraft)
    }
}

extension Measurement.TextAgreement {
    package static func made(draft: Estimate?, verifier: Estimate) -> Self { Self(draft: draft, verifier: verifier) }
}

extension Measurement.LayerOverlap {
    package static func made(layer: Int, experts: Int, distinct: [Double], uniform: [Double]) -> Self {
        Self(layer: layer, experts: experts, distinct: distinct, uniform: uniform)
    }
}

extension Measurement.StepCosts {
    package static func made(
        verify: [Double], firstDraft: [Double], laterDraft: Double, meanContext: Int, bytesPerStep: Double,
        bandwidth: Double
    ) -> Self {
        Self(
            verify: verify, verifyPerPosition: [], firstDraft: firstDraft, laterDraft: laterDraft, draftPerPosition: 0,
            drawing: 0, meanContext: meanContext, bytesPerStep: bytesPerStep, bandwidth: bandwidth)
    }
}

extension Measurement.SpeedComparison {
    package static func made(
        draft: String, sources: String = "both", temperature: Float, predicted: Double?, measured: Estimate,
        tokensPerSecond: Double, tokensPerRound: Double, prompts: Int
    ) -> Self {
        Self(
            draft: draft, sources: sources, temperature: temperature, predicted: predicted, measured: measured,
            tokensPerSecond: tokensPerSecond, tokensPerRound: tokensPerRound, prompts: prompts)
    }
}

extension Measurement.RoundCost {
    package static func made(checking: Double, drafting: Double) -> Self {
        Self(checking: checking, drafting: drafting)
    }
}

extension Measurement.DomainSpeed {
    package static func made(
        domain: String, temperature: Float, prompts: Int, auto: Estimate, predicted: Double?, best: String,
        bestSpeed: Estimate, copyLimit: Double?, copyRows: Int?
    ) -> Self {
        Self(
            domain: domain, temperature: temperature, prompts: prompts, auto: auto, predicted: predicted, best: best,
            bestSpeed: bestSpeed, copyLimit: copyLimit, copyRows: copyRows)
    }
}

extension Measurement.LookupAcceptance {
    package static func made(
        found: Estimate, all: Measurement.LookupKind?, byLength: [Measurement.LookupKind]
    ) -> Self { Self(found: found, all: all, byLength: byLength) }
}

extension Measurement.LookupKind {
    package static func made(
        length: Int, held: Estimate, agreed: Estimate?, disagreed: Estimate?
    ) -> Self { Self(length: length, held: held, agreed: agreed, disagreed: disagreed) }
}

extension Measurement.AdaptiveChoice {
    package static func made(shares: [Double]) -> Self { Self(shares: shares) }
}
