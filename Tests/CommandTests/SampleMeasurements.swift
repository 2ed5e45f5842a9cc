import ForetokenLaboratory

/// Measurements as they might come out, for tests of what is made of them. The figures are invented.
enum SampleMeasurement {
    /// Three domains, four drafts, two temperatures; drafting pays.
    static func full(layers: Int = 6, temperatures: [Float] = [0, 0.8]) -> Measurement {
        var result = Measurement()
        result.subject = subject()
        let domains: [(String, [Double])] = [
            ("code", [0.812, 0.74, 0.69, 0.66]), ("tests", [0.853, 0.79, 0.75, 0.71]),
            ("prose", [0.708, 0.61, 0.52, 0.45]), ("all", [0.791, 0.72, 0.66, 0.61]),
        ]
        result.conditions = temperatures.map { temperature in
            let factor = 1 - 0.22 * Double(temperature)
            return Measurement.Condition(
                temperature: temperature,
                domains: domains.enumerated().map { index, entry in
                    domain(entry.0, entry.1.map { $0 * factor }, prompts: index == 3 ? 45 : 15, temperature)
                })
        }
        result.costs = costs(perRow: 0.17)
        result.speeds = temperatures.flatMap { temperature in
            speeds(temperature, measured: [1.312, 1.388, 1.341, 1.262].map { $0 - Double(temperature) * 0.21 })
        }
        result.domainSpeeds = temperatures.flatMap(domainSpeeds)
        result.adaptive = Measurement.AdaptiveChoice.made(shares: [0.04, 0.21, 0.52, 0.17, 0.06])
        result.overlap = overlap(layers: layers)
        return result
    }

    /// A machine on which checking costs as much as it saves.
    static var losing: Measurement {
        var result = full(temperatures: [0])
        result.costs = costs(perRow: 0.78)
        result.speeds = speeds(0, measured: [0.977, 0.861, 0.742, 0.655])
        result.speeds[5] = comparison("auto", 0, nil, 0.998, tokens: 1.02)
        result.speeds.removeLast(2)
        return result
    }

    /// A given text: one domain, acceptance and agreement with the text, nothing else.
    static var text: Measurement {
        var result = Measurement()
        result.subject = subject()
        result.subject.source = "essay.txt"
        result.subject.format = "text"
        result.subject.prompts = 1
        result.subject.maximumTokens = 0
        var domain = domain("essay.txt", [0.661, 0.55, 0.47, 0.41], prompts: 1, 0)
        domain.rounds = []
        domain.textAgreement = Measurement.TextAgreement.made(
            draft: estimate(0.482, 0.02, 4096), verifier: estimate(0.573, 0.02, 4096))
        result.conditions = [Measurement.Condition(temperature: 0, domains: [domain])]
        return result
    }

    /// Cut short before speeds were compared.
    static var partial: Measurement {
        var result = full(temperatures: [0])
        result.speeds = []
        result.adaptive = nil
        result.overlap = []
        result.isPartial = true
        return result
    }

    /// Ten domains with unpleasant names and numbers that are none.
    static var hostile: Measurement {
        var result = full(layers: 61, temperatures: [0, 0.3, 0.6, 1, 1.5])
        let names = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a`b", "\u{202E}gnp.exe\u{0}"]
        result.subject.model = "</title><script>alert(2)</script>"
        result.subject.source = String(repeating: "very-long-name-without-a-space-", count: 12)
        result.subject.processor = "&amp; ' \" < >"
        for index in result.conditions.indices {
            let rates: [Double] = [0.8, .nan, .infinity, -.infinity, 1e300, 0.4, 0.4, 0.4]
            result.conditions[index].domains = (0..<10).map { number in
                domain(
                    names[number % names.count] + "\(number)",
                    number < 5 ? rates : [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
                    prompts: 3, result.conditions[index].temperature)
            }
        }
        result.costs?.verify[3] = .nan
        result.costs?.bandwidth = .infinity
        result.overlap[2].distinct[3] = .nan
        result.overlap[3].distinct[3] = .infinity
        return result
    }

    static func estimate(_ value: Double, _ half: Double, _ count: Int) -> Estimate {
        Estimate(value: value, low: value - half, high: value + half, count: count)
    }

    static func comparison(
        _ draft: String, _ temperature: Float, _ predicted: Double?, _ measured: Double, tokens: Double,
        prompts: Int = 45
    ) -> Measurement.SpeedComparison {
        Measurement.SpeedComparison.made(
            draft: draft, temperature: temperature, predicted: predicted,
            measured: estimate(measured, draft == "off" ? 0 : 0.021, 45), tokensPerSecond: 131.4 * measured,
            tokensPerRound: tokens, prompts: prompts)
    }

    private static func subject() -> Measurement.Subject {
        var subject = Measurement.Subject()
        subject.model = "foretoken-demo"
        subject.source = "built-in suite"
        subject.threads = 2
        subject.instructionSet = "avx2"
        subject.cacheType = "f32"
        subject.processor = "AMD EPYC 9B14"
        subject.depth = 4
        subject.maximumTokens = 96
        subject.prompts = 45
        subject.seed = 7
        subject.sources = "both"
        return subject
    }

    private static func domain(
        _ name: String, _ rates: [Double], prompts: Int, _ temperature: Float
    ) -> Measurement.DomainAcceptance {
        var cumulative = 1.0
        let products = rates.map { rate in
            cumulative *= rate
            return cumulative
        }
        let rounds = rates.indices.map { index in
            let accepted = products[...index].reduce(0, +)
            return Measurement.RoundAcceptance.made(
                draftLength: index + 1, rounds: 2400 / (index + 2),
                rate: estimate(accepted / Double(index + 1), 0.018, 2400),
                conditional: rates[...index].map { estimate($0 * 0.99, 0.02, 900) },
                tokensPerRound: estimate(1 + accepted, 0.03 + 0.02 * Double(index), 900))
        }
        let bins = (1..<10).map { tenth -> Measurement.ReliabilityBin in
            let low = Double(tenth) / 10
            let accepted = 0.12 + 0.83 * low - 0.03 * Double(temperature)
            return Measurement.ReliabilityBin.made(
                lowest: low, highest: low + 0.1, confidence: low + 0.052,
                accepted: estimate(accepted, 0.11 - 0.09 * low, 40 + 9 * tenth * tenth))
        }
        let agreement = Measurement.SamplingAgreement.made(
            overlap: estimate(rates[0] * 1.06, 0.014, 4200), keyed: estimate(rates[0] * 1.004, 0.015, 4200),
            observed: estimate(rates[0], 0.017, 4200), argmaxDraft: estimate(rates[0] * 0.71, 0.02, 4200),
            independentDraft: estimate(rates[0] * 0.56, 0.018, 4200))
        var domain = Measurement.DomainAcceptance.made(
            domain: name, prompts: prompts, positions: prompts * 94,
            conditional: rates.enumerated().map { estimate($1, 0.013 + 0.008 * Double($0), prompts * 94) },
            cumulative: products.map { estimate($0, 0.02, prompts * 94) }, rounds: rounds, reliability: bins,
            agreement: temperature > 0 ? agreement : nil)
        domain.lookup = lookup(rates[0])
        return domain
    }

    private static func lookup(_ rate: Double) -> Measurement.LookupAcceptance {
        func kind(_ length: Int, _ held: Double) -> Measurement.LookupKind {
            .made(
                length: length, held: estimate(held, 0.021, 700), agreed: estimate(held * 1.05, 0.019, 500),
                disagreed: length > 16 ? nil : estimate(held * 0.61, 0.06, 200))
        }
        return .made(
            found: estimate(rate * 0.83, 0.05, 4230), all: kind(3, rate * 1.11),
            byLength: [3, 5, 8, 16, 32].enumerated().map { kind($1, rate * (0.8 + 0.05 * Double($0))) })
    }

    private static func domainSpeeds(_ temperature: Float) -> [Measurement.DomainSpeed] {
        ["code", "tests", "prose", "edit"].enumerated().map { index, name in
            let gain = 1.123 + 0.151 * Double(index) - 0.2 * Double(temperature)
            return .made(
                domain: name, temperature: temperature, prompts: 15, auto: estimate(gain, 0.031, 15),
                predicted: gain * 1.013, best: "2", bestSpeed: estimate(gain * 0.987, 0.044, 15),
                copyLimit: 2.871 + 0.01 * Double(index), copyRows: 8)
        }
    }

    private static func costs(perRow: Double) -> Measurement.StepCosts {
        Measurement.StepCosts.made(
            verify: (0..<9).map { 7_610_000 * (1 + perRow * Double($0) + 0.004 * Double($0 * $0)) },
            firstDraft: [412_000, 455_000, 498_000, 541_000, 584_000], laterDraft: 390_000, meanContext: 143,
            bytesPerStep: 176_000_000, bandwidth: 25_600_000_000)
    }

    private static func speeds(_ temperature: Float, measured: [Double]) -> [Measurement.SpeedComparison] {
        let tokens = [1.79, 2.36, 2.74, 2.97]
        let predicted = [1.335, 1.402, 1.322, 1.281]
        return [comparison("off", temperature, 1, 1, tokens: 1)]
            + measured.indices.map { index in
                let shift = measured[index] / [1.312, 1.388, 1.341, 1.262][index]
                return comparison(
                    "\(index + 1)", temperature, predicted[index] * shift, measured[index],
                    tokens: tokens[index] * (1 - 0.15 * Double(temperature)))
            }
            + zip(["both", "mtp", "lookup"], [0.955, 0.913, 0.872]).map { sources, share in
                let speed = measured[1] * share
                var auto = comparison("auto", temperature, speed * 1.021, speed, tokens: 2.18)
                auto.sources = sources
                (auto.drafts.modules, auto.drafts.modulesHeld) = sources == "lookup" ? (0, 0) : (1307, 1103)
                (auto.drafts.lookup, auto.drafts.lookupHeld) = sources == "mtp" ? (0, 0) : (811, 767)
                return auto
            }
    }

    private static func overlap(layers: Int) -> [Measurement.LayerOverlap] {
        (0..<layers).map { layer in
            let uniform = (1...8).map { window -> Double in
                var untouched = 1.0
                for _ in 0..<window { untouched *= 1 - 4.0 / 32 }
                return 32 * (1 - untouched)
            }
            let sharing = 0.1 + 0.25 * Double((layer * 7) % 11) / 11
            return Measurement.LayerOverlap.made(
                layer: layer + 1, experts: 32,
                distinct: uniform.enumerated().map { $1 * (1 - sharing * Double($0) / 7) }, uniform: uniform)
        }
    }
}
