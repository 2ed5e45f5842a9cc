/// A trace, counted once for all its statistics.
struct TraceStudy {
    let trace: RoutingTrace
    /// By layer.
    let loads: [ExpertLoads]
    /// Verify steps.
    private let verifySteps: [Range<Int>]
    /// By verify step: its distinct experts, summed over all layers.
    private let stepExperts: [Int]
    /// Rows of verify steps: how many steps there are of that width.
    let verifyWidths: [Int: Int]
    /// Rows that follow each other in a text, rejected drafts left out.
    let texts: [[Int]]
    /// By domain: its windows.
    let windows: [[RoutingTrace.Window]]
    /// Mean over the layers of `variationByChance` of two samples the inverses of whose sizes sum to 1.
    let unitVariation: Double
    private let pairTable = ExpertPairs()

    init(_ trace: RoutingTrace) {
        self.trace = trace
        loads = Self.loads(trace, 0..<trace.rowCount)
        verifySteps = trace.steps.filter { trace.isVerified($0) }
        stepExperts = Self.distinct(trace, verifySteps.map { trace.rows(ofStep: $0) })
        verifyWidths = verifySteps.reduce(into: [:]) { widths, step in
            widths[trace.rows(ofStep: step).count, default: 0] += 1
        }
        texts = Self.texts(trace)
        windows = trace.windows.reduce(into: .init(repeating: [], count: trace.domains.count)) { domains, window in
            domains[window.domain].append(window)
        }
        unitVariation = loads.map { $0.variationByChance(2, 2, perToken: trace.expertsPerToken) }.mean
    }

    /// Loads of some rows, by layer.
    private static func loads(_ trace: RoutingTrace, _ rows: some Sequence<Int>) -> [ExpertLoads] {
        var loads = trace.layers.map { _ in ExpertLoads(counts: .init(repeating: 0, count: trace.expertCount)) }
        for row in rows {
            for layer in loads.indices {
                loads[layer].rows += 1
                for expert in trace.chosen(row: row, layer: layer) { loads[layer].counts[Int(expert)] += 1 }
            }
        }
        return loads
    }

    /// A window goes on where the one before it, of the same text and domain, ended with its last accepted row.
    private static func texts(_ trace: RoutingTrace) -> [[Int]] {
        struct End {
            let place: Int
            let domain: Int
            let next: Int
        }
        var texts: [[Int]] = []
        /// By text.
        var ends: [Int: End] = [:]
        for window in trace.windows {
            let kept = window.rows.filter { trace.kinds[$0] != .rejected }
            var place = texts.count
            if let end = ends[window.text], end.domain == window.domain, end.next == window.position {
                place = end.place
                texts[place] += kept
            } else {
                texts.append(kept)
            }
            ends[window.text] = End(place: place, domain: window.domain, next: window.position + kept.count)
        }
        return texts
    }

    // MARK: Layers

    func layer(_ index: Int) -> TraceStatistics.Layer {
        let half = trace.rowCount / 2
        return TraceStatistics.Layer(
            layer: trace.layers[index], load: loads[index].counts,
            skew: TraceStatistics.Skew(loads[index].counts),
            drift: half > 0 ? drift(index, half) : nil, pairs: pairs(index), reuse: reuse(index))
    }

    private func drift(_ layer: Int, _ half: Int) -> TraceStatistics.Drift {
        let (first, second) = (load(layer, 0..<half), load(layer, half..<trace.rowCount))
        return TraceStatistics.Drift(
            variation: first.variation(from: second),
            variationByChance: loads[layer].variationByChance(
                first.rows, second.rows, perToken: trace.expertsPerToken),
            rankCorrelation: first.rankCorrelation(with: second))
    }

    private func load(_ layer: Int, _ rows: Range<Int>) -> ExpertLoads {
        var load = ExpertLoads(counts: .init(repeating: 0, count: trace.expertCount), rows: rows.count)
        for row in rows { for expert in trace.chosen(row: row, layer: layer) { load.counts[Int(expert)] += 1 } }
        return load
    }

    // MARK: Pairs

    /// Pairs are looked for among this many of the most loaded experts: a table of all pairs must stay small.
    private static let pairedExperts = 1024
    private static let pairsPerLayer = 5

    private func pairs(_ layer: Int) -> [TraceStatistics.Pair] {
        let load = loads[layer].counts
        let experts = load.indices.filter { load[$0] > 0 }.sorted { (load[$1], $0) < (load[$0], $1) }
            .prefix(Self.pairedExperts).sorted()
        pairTable.count(experts.count, chosen(layer, among: experts))
        let total = pairTable.total
        guard total > 0 else { return [] }
        // Products of all pairs' loads; scaled so that the expected pairs are as many as there are.
        let loads = experts.map { Double(load[$0]) }
        let (sum, squares) = loads.reduce((0, 0)) { ($0.0 + $1, $0.1 + $1 * $1) }
        let scale = Double(total) / ((sum * sum - squares) / 2)
        var strongest: [TraceStatistics.Pair] = []
        pairTable.forEach { i, j, count in
            let pair = TraceStatistics.Pair(
                layer: trace.layers[layer], first: experts[i], second: experts[j], together: count,
                expected: loads[i] * loads[j] * scale)
            if strongest.count == Self.pairsPerLayer && !pair.isMoreStriking(than: strongest.last!) { return }
            let place = strongest.firstIndex { pair.isMoreStriking(than: $0) } ?? strongest.count
            strongest.insert(pair, at: place)
            if strongest.count > Self.pairsPerLayer { strongest.removeLast() }
        }
        return strongest.filter { $0.deviation > 0 }
    }

    /// By row, the places in `experts`, which ascend, of those it chose.
    private func chosen(_ layer: Int, among experts: [Int]) -> some Sequence<[Int]> {
        var places = [Int](repeating: -1, count: trace.expertCount)
        for (place, expert) in experts.enumerated() { places[expert] = place }
        return (0..<trace.rowCount).lazy.map { row in
            trace.chosen(row: row, layer: layer).compactMap { places[Int($0)] >= 0 ? places[Int($0)] : nil }
        }
    }

    // MARK: Overlap

    /// By range of rows: their distinct experts, summed over all layers.
    private static func distinct(_ trace: RoutingTrace, _ ranges: [Range<Int>]) -> [Int] {
        var counts = [Int](repeating: 0, count: ranges.count)
        for layer in trace.layers.indices {
            var seen = SeenExperts(trace.expertCount)
            for (index, rows) in ranges.enumerated() {
                seen.clear()
                for row in rows { seen.insert(trace.chosen(row: row, layer: layer)) }
                counts[index] += seen.count
            }
        }
        return counts
    }

    /// Verify steps, rejected drafts included: all their rows are read for.
    func windowOverlap() -> [TraceStatistics.Overlap] {
        var distinct: [Int: Int] = [:]
        for (step, count) in zip(verifySteps, stepExperts) {
            distinct[trace.rows(ofStep: step).count, default: 0] += count
        }
        return distinct.keys.sorted().map { overlap(rows: $0, count: verifyWidths[$0]!, distinct: distinct[$0]!) }
    }

    /// Verify steps by the number of their texts.
    func company() -> [TraceStatistics.Company] {
        struct Sum {
            var (steps, rows, tokens, distinct, apart) = (0, 0, 0, 0, 0)
        }
        var sums: [Int: Sum] = [:]
        let apart = Self.distinct(trace, verifySteps.joined().map { trace.windows[$0].rows })
        var first = 0
        for (step, distinct) in zip(verifySteps, stepExperts) {
            let rows = trace.rows(ofStep: step)
            var sum = sums[step.count] ?? Sum()
            sum.steps += 1
            sum.rows += rows.count
            sum.tokens += step.count + rows.reduce(0) { $0 + (trace.kinds[$1] == .accepted ? 1 : 0) }
            sum.distinct += distinct
            sum.apart += apart[first..<first + step.count].reduce(0, +)
            sums[step.count] = sum
            first += step.count
        }
        return sums.sorted { $0.key < $1.key }.map { texts, sum in
            let (steps, all) = (Double(sum.steps), Double(sum.steps * trace.layers.count))
            return TraceStatistics.Company(
                texts: texts, steps: sum.steps, rows: Double(sum.rows) / steps, tokens: Double(sum.tokens) / steps,
                distinct: Double(sum.distinct) / all, apart: Double(sum.apart) / all)
        }
    }

    /// By width, up to `widest` and as far as there are windows of it.
    func textOverlap(widest: Int = TraceStatistics.widestText) -> [TraceStatistics.Overlap] {
        var distinct = [Int](repeating: 0, count: widest)
        for layer in trace.layers.indices {
            var seen = SeenExperts(trace.expertCount)
            for text in texts {
                for start in text.indices {
                    seen.clear()
                    for (width, row) in text[start...].prefix(widest).enumerated() {
                        seen.insert(trace.chosen(row: row, layer: layer))
                        distinct[width] += seen.count
                    }
                }
            }
        }
        return (1...widest).compactMap { width in
            let count = texts.reduce(0) { $0 + max(0, $1.count - width + 1) }
            return count > 0 ? overlap(rows: width, count: count, distinct: distinct[width - 1]) : nil
        }
    }

    /// - Parameter distinct: summed over all layers and windows.
    private func overlap(rows: Int, count: Int, distinct: Int) -> TraceStatistics.Overlap {
        TraceStatistics.Overlap(
            rows: rows, count: count, distinct: Double(distinct) / Double(count * trace.layers.count),
            withoutOverlap: Double(min(rows * trace.expertsPerToken, trace.expertCount)),
            independent: loads.map { $0.distinct(width: rows) }.mean)
    }

    func reuse() -> TraceStatistics.Reuse? {
        let count = texts.reduce(0) { $0 + max(0, $1.count - 1) }
        guard count > 0 else { return nil }
        let independent = loads.map { load in
            load.counts.reduce(0) { $0 + Double($1) * Double($1) } / Double(load.rows) / Double(load.rows)
        }
        return TraceStatistics.Reuse(
            count: count, share: trace.layers.indices.compactMap { reuse($0) }.mean,
            independent: independent.mean / Double(trace.expertsPerToken))
    }

    private func reuse(_ layer: Int) -> Double? {
        var (shared, count) = (0, 0)
        var seen = SeenExperts(trace.expertCount)
        for text in texts {
            for (row, next) in zip(text, text.dropFirst()) {
                seen.clear()
                seen.insert(trace.chosen(row: row, layer: layer))
                seen.insert(trace.chosen(row: next, layer: layer))
                shared += 2 * trace.expertsPerToken - seen.count
                count += 1
            }
        }
        return count > 0 ? Double(shared) / Double(count * trace.expertsPerToken) : nil
    }
}

/// A set of experts that is quickly emptied.
private struct SeenExperts {
    private var stamps: [Int]
    private var stamp = 1
    private(set) var count = 0

    init(_ experts: Int) { stamps = .init(repeating: 0, count: experts) }

    mutating func clear() {
        stamp += 1
        count = 0
    }

    mutating func insert(_ experts: ArraySlice<UInt16>) {
        for expert in experts where stamps[Int(expert)] != stamp {
            stamps[Int(expert)] = stamp
            count += 1
        }
    }
}
