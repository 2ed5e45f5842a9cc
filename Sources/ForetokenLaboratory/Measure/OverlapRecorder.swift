import ForetokenModel

#if canImport(Glibc)
    import Glibc
#endif

/// Counts how many distinct experts windows of consecutive tokens touch: the weights that a verify step has to read.
package final class OverlapRecorder: StepObserver {
    /// Widest window.
    static let widest = 8
    package let wantsValues = false
    private let experts: Int
    /// Those of the present text.
    private let choices: ExpertChoices
    /// By layer and window width: Σ distinct experts.
    private var distinct: [[Double]]
    private var windows = [Double](repeating: 0, count: OverlapRecorder.widest)

    package init(layers: Int, experts: Int) {
        self.experts = experts
        choices = ExpertChoices(layers: layers, experts: experts)
        distinct = .init(repeating: .init(repeating: 0, count: Self.widest), count: layers)
    }

    package func saw(_ site: StepSite, _ rows: StepRows) {}

    package func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        choices.routed(layer: layer, chosen: chosen, perRow: perRow, rows: rows)
    }

    /// Counts the windows inside `positions` of the text just run.
    package func finish(_ positions: Range<Int>) {
        for width in 1...Self.widest { windows[width - 1] += Double(max(0, positions.count - width + 1)) }
        for layer in choices.layers {
            for start in positions {
                let rows = min(Self.widest, positions.upperBound - start)
                for (i, count) in choices.distinct(layer: layer, start: start, rows: rows).enumerated() {
                    distinct[layer][i] += Double(count)
                }
            }
        }
    }

    /// Layers that routed anything.
    package var layers: [Measurement.LayerOverlap] {
        guard windows[0] > 0 else { return [] }
        let share = Double(choices.perRow) / Double(experts)
        let widths = (1...Self.widest).filter { windows[$0 - 1] > 0 }
        return choices.layers.map { layer in
            Measurement.LayerOverlap(
                layer: layer, experts: experts, distinct: widths.map { distinct[layer][$0 - 1] / windows[$0 - 1] },
                uniform: widths.map { Double(experts) * (1 - pow(1 - share, Double($0))) })
        }
    }
}
