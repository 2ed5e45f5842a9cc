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
    /// - Parameter text: nil for the only one of its domain.
    mutating func add(
        _ kinds: [RowKind], domain: String = "code", position: Int, text: Int? = nil, joins: Bool = false,
        _ experts: [[[UInt16]]]
    ) {
        if !domains.contains(domain) { domains.append(domain) }
        let index = domains.firstIndex(of: domain)!
        windows.append(
            Window(
                rows: rowCount..<rowCount + kinds.count, domain: index, position: position, text: text ?? index,
                joinsPrevious: joins))
        self.kinds += kinds
        self.experts += experts.joined().joined()
    }

    /// The bytes of the trace as a file of version 1, which has neither texts nor shared steps. Written anew here, by that
    /// version's description.
    func versionOne() throws -> [UInt8] {
        func little(_ number: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
        func checksum(_ bytes: [UInt8]) -> [UInt8] {
            var hash = FNV1a()
            bytes.withUnsafeBytes { hash.add($0) }
            return little(Int(truncatingIfNeeded: hash.value ^ hash.value >> 32), 4)
        }
        func packed(_ numbers: some Sequence<Int>, bits: Int) -> [UInt8] {
            let all = numbers.flatMap { number in (0..<bits).map { number >> $0 & 1 } }
            return stride(from: 0, to: all.count, by: 8).map { start in
                all[start..<min(start + 8, all.count)].enumerated().reduce(0) { $0 | UInt8($1.element << $1.offset) }
            }
        }
        var bytes = try header().bytes
        bytes[8] = 1
        bytes.replaceSubrange((bytes.count - 4)..., with: checksum(Array(bytes.dropLast(4))))
        func add(_ kind: Character, _ content: [UInt8]) {
            let frame = [kind.asciiValue!] + little(content.count, 4)
            bytes += frame + checksum(frame + content) + content
        }
        for label in domains { add("D", Array(label.utf8)) }
        let ids = layers.count * expertsPerToken
        let bits = (1...16).first { expertCount <= 1 << $0 }!
        for window in windows {
            let experts = experts[window.rows.lowerBound * ids..<window.rows.upperBound * ids]
            add(
                "W",
                little(window.position, 4) + little(window.domain, 2) + little(window.rows.count, 2)
                    + packed(kinds[window.rows].map { Int($0.rawValue) }, bits: 2)
                    + packed(experts.map { Int($0) }, bits: bits))
        }
        return bytes
    }

    /// A trace of random rows: prompts, and windows with accepted and rejected drafts, of several domains in turn. Two of
    /// three windows share a step.
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
            trace.add(
                kinds, domain: domains[index % domains.count], position: index * 100, text: index % (2 * domains.count),
                joins: index % 3 == 2, chosen)
        }
        return trace
    }
}
