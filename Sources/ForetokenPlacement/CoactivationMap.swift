/// How often a layer's most loaded experts are chosen by the same row, compared with chance.
public struct CoactivationMap: Sendable, Equatable, Encodable {
    /// The decoder layer.
    public let layer: Int
    /// Its most loaded experts, ascending.
    public let experts: [Int]
    /// [expert][expert]: rows that chose both over those expected of independent choices with the same loads; 0 on the
    /// diagonal.
    public let ratios: [[Double]]

    /// Counts the pairs of a layer's most loaded experts.
    /// - Parameters:
    ///   - trace: what is counted.
    ///   - layer: number of a layer of the trace.
    ///   - limit: most experts.
    /// - Returns: nil where the trace has no such layer, or no row that chose two of the experts.
    public init?(_ trace: RoutingTrace, layer: Int, limit: Int) {
        guard let index = trace.layers.firstIndex(of: layer) else { return nil }
        var load = [Int](repeating: 0, count: trace.expertCount)
        for row in 0..<trace.rowCount { for expert in trace.chosen(row: row, layer: index) { load[Int(expert)] += 1 } }
        let experts = load.indices.sorted { (load[$1], $0) < (load[$0], $1) }.prefix(limit).filter { load[$0] > 0 }
            .sorted()
        var places = [Int](repeating: -1, count: trace.expertCount)
        for (place, expert) in experts.enumerated() { places[expert] = place }
        var together = [[Double]](repeating: .init(repeating: 0, count: experts.count), count: experts.count)
        for row in 0..<trace.rowCount {
            let own = trace.chosen(row: row, layer: index).map { places[Int($0)] }.filter { $0 >= 0 }
            for one in own { for other in own where one != other { together[one][other] += 1 } }
        }
        let loads = experts.map { Double(load[$0]) }
        let sum = loads.reduce(0, +)
        let possible = loads.reduce(0) { $0 + $1 * (sum - $1) }
        let found = together.joined().reduce(0, +)
        guard found > 0, possible > 0 else { return nil }
        // Scaled so that the expected pairs are as many as there are.
        let scale = possible / found
        self.layer = layer
        self.experts = experts
        ratios = together.enumerated().map { one, row in
            row.enumerated().map { other, count in one == other ? 0 : count * scale / (loads[one] * loads[other]) }
        }
    }
}
