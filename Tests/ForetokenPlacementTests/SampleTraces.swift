import ForetokenPlacement

/// A generator of random numbers that always gives the same ones.
struct Lehmer: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 2 + 1 }

    mutating func next() -> UInt64 {
        state = state &* 0xD134_2543_DE82_EF95 &+ 1
        return state ^ state >> 29
    }
}

extension RoutingTrace {
    /// Adds a window of rows whose experts are given [row][layer][expert].
    mutating func add(_ kinds: [RowKind], domain: String = "code", position: Int, _ experts: [[[UInt16]]]) {
        if !domains.contains(domain) { domains.append(domain) }
        windows.append(
            Window(rows: rowCount..<rowCount + kinds.count, domain: domains.firstIndex(of: domain)!, position: position)
        )
        self.kinds += kinds
        self.experts += experts.joined().joined()
    }

    /// A trace of random rows: prompts, and windows with accepted and rejected drafts, of several domains in turn.
    static func random(
        seed: UInt64, windows: Int = 12, layers: [Int] = [1, 2, 5], experts: Int = 11, perToken: Int = 3,
        domains: [String] = ["code", "prose – äöü"]
    ) -> RoutingTrace {
        var random = Lehmer(seed: seed)
        var trace = RoutingTrace(
            model: "0123456789abcdef", layers: layers, expertCount: experts, expertsPerToken: perToken)
        for index in 0..<windows {
            let rows = Int.random(in: 1...9, using: &random)
            let accepted = Int.random(in: 0..<rows, using: &random)
            let kinds: [RowKind] =
                index % 3 == 0
                ? .init(repeating: .prompt, count: rows)
                : (0..<rows).map { $0 == 0 ? .newest : $0 <= accepted ? .accepted : .rejected }
            let chosen = (0..<rows).map { _ in
                layers.map { _ in
                    (0..<experts).shuffled(using: &random).prefix(perToken).sorted().map { UInt16($0) }
                }
            }
            trace.add(kinds, domain: domains[index % domains.count], position: index * 100, chosen)
        }
        return trace
    }
}
