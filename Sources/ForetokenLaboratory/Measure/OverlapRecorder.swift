import ForetokenModel
#if canImport(Glibc)
    import Glibc
#endif

/// Collects which experts a text's tokens chose, and counts how many distinct ones windows of consecutive tokens touch:
/// the weights that a verify step has to read.
package final class OverlapRecorder: StepObserver {
    /// Widest window.
    static let widest = 8
    package let wantsValues = false
    private let experts: Int
    private var perRow = 0
    /// By layer: experts [position][perRow] of the present text.
    private var chosen: [[Int32]]
    /// By layer and window width: Σ distinct experts.
    private var distinct: [[Double]]
    private var windows = [Double](repeating: 0, count: OverlapRecorder.widest)
    /// By expert: the last window it was seen in.
    private var stamps: [Int]
    private var stamp = 0

    package init(layers: Int, experts: Int) {
        self.experts = experts
        chosen = .init(repeating: [], count: layers)
        distinct = .init(repeating: .init(repeating: 0, count: Self.widest), count: layers)
        stamps = .init(repeating: 0, count: experts)
    }

    package func saw(_ site: StepSite, _ rows: StepRows) {}

    package func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        let (count, firstPosition) = (rows.count, rows.firstPosition)
        self.perRow = perRow
        let end = (firstPosition + count) * perRow
        if chosen[layer].count < end { chosen[layer] += .init(repeating: 0, count: end - chosen[layer].count) }
        for i in 0..<count * perRow { chosen[layer][firstPosition * perRow + i] = experts[i] }
    }

    /// Counts the windows inside `positions` of the text just run.
    package func finish(_ positions: Range<Int>) {
        for width in 1...Self.widest { windows[width - 1] += Double(max(0, positions.count - width + 1)) }
        for layer in chosen.indices where !chosen[layer].isEmpty {
            for start in positions { count(layer, from: start, to: min(start + Self.widest, positions.upperBound)) }
        }
    }

    private func count(_ layer: Int, from start: Int, to end: Int) {
        stamp += 1
        var seen = 0.0
        for position in start..<end {
            for i in position * perRow..<(position + 1) * perRow {
                let expert = Int(chosen[layer][i])
                if stamps[expert] != stamp {
                    stamps[expert] = stamp
                    seen += 1
                }
            }
            distinct[layer][position - start] += seen
        }
    }

    /// Layers that routed anything.
    package var layers: [Measurement.LayerOverlap] {
        guard windows[0] > 0 else { return [] }
        return chosen.indices.filter { !chosen[$0].isEmpty }.map { layer in
            let widths = (1...Self.widest).filter { windows[$0 - 1] > 0 }
            return Measurement.LayerOverlap(
                layer: layer, experts: experts, distinct: widths.map { distinct[layer][$0 - 1] / windows[$0 - 1] },
                uniform: widths.map {
                    let untouched = pow(1 - Double(perRow) / Double(experts), Double($0))
                    return Double(experts) * (1 - untouched)
                })
        }
    }
}
