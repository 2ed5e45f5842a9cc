extension TraceStudy {
    /// Figures of the texts with one label. They take time for its rows alone, not for experts that none of them chose:
    /// a trace may have many labels and very many experts.
    func domain(_ index: Int) -> TraceStatistics.Domain {
        let windows = windows[index]
        var rows = TraceStatistics.RowCounts()
        for window in windows { for row in window.rows { rows.add(trace.kinds[row]) } }
        var skews: [TraceStatistics.Skew] = []
        var distances: [Double] = []
        var own = SparseLoads(experts: trace.expertCount)
        for layer in trace.layers.indices where !windows.isEmpty {
            own.clear()
            for window in windows {
                for row in window.rows { for expert in trace.chosen(row: row, layer: layer) { own.add(Int(expert)) } }
            }
            if let skew = TraceStatistics.Skew(own.loads, of: trace.expertCount) { skews.append(skew) }
            distances.append(
                own.variation(from: loads[layer].counts, total: trace.rowCount * trace.expertsPerToken))
        }
        return TraceStatistics.Domain(
            domain: trace.domains[index], rows: rows, windows: windows.count, skew: TraceStatistics.Skew.mean(skews),
            distance: distances.isEmpty ? nil : distances.mean,
            distanceByChance: distances.isEmpty ? nil : distanceByChance(rows.all))
    }

    /// The rows of a domain are among those it is compared with, which brings them nearer: against the other rows chance
    /// makes a difference d, against all of them d times the others' share.
    private func distanceByChance(_ rows: Int) -> Double {
        let others = trace.rowCount - rows
        guard others > 0 else { return 0 }
        let share = Double(others) / Double(trace.rowCount)
        return share * unitVariation * (1 / Double(rows) + 1 / Double(others)).squareRoot()
    }
}

/// Loads of few among many experts, quickly emptied.
private struct SparseLoads {
    private var counts: [Int]
    private var loaded: [Int] = []

    init(experts: Int) { counts = .init(repeating: 0, count: experts) }

    mutating func clear() {
        for expert in loaded { counts[expert] = 0 }
        loaded.removeAll(keepingCapacity: true)
    }

    mutating func add(_ expert: Int) {
        if counts[expert] == 0 { loaded.append(expert) }
        counts[expert] += 1
    }

    /// Those that are not 0, in the experts' order.
    var loads: [Int] { loaded.sorted().map { counts[$0] } }

    /// Half the sum of the differences of shares from loads that sum to `total`: what experts without load here have there,
    /// and the differences of the others.
    func variation(from others: [Int], total: Int) -> Double {
        let own = Double(loaded.reduce(0) { $0 + counts[$1] })
        let sum = loaded.sorted().reduce(1.0) { sum, expert in
            let share = Double(others[expert]) / Double(total)
            return sum - share + abs(Double(counts[expert]) / own - share)
        }
        return max(0, sum / 2)
    }
}
