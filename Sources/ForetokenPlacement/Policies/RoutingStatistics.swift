/// What policies know of the training windows: by layer, how much each expert is read and which are read together.
public struct RoutingStatistics: Sendable {
    /// The windows themselves.
    public let windows: VerifyWindows
    /// By layer and expert: rows that chose it.
    public let rows: [[Double]]
    /// By layer and expert: time of reading it in all windows, in units of one expert read for one row.
    public let loads: [[Double]]
    /// By layer: [expert][expert] sums over windows of the products of both experts' times; on the diagonal, of squares.
    let coactivation: [[Float]]

    /// Counts the training windows; `machine` tells what more rows cost.
    public init(_ windows: VerifyWindows, machine: PlacementMachine) {
        self.windows = windows
        let count = windows.expertCount
        let costs = (0...machine.rowCost.count).map { machine.rowFactor(UInt16(clamping: max($0, 1))) }
        rows = windows.layers.map { layer in
            layer.uses.reduce(into: [Double](repeating: 0, count: count)) { $0[Int($1.expert)] += Double($1.rows) }
        }
        loads = windows.layers.map { layer in
            layer.uses.reduce(into: [Double](repeating: 0, count: count)) {
                $0[Int($1.expert)] += costs[min(Int($1.rows), costs.count - 1)]
            }
        }
        coactivation = windows.layers.map { Self.coactivation(in: $0, expertCount: count, costs: costs) }
    }

    private static func coactivation(in layer: VerifyWindows.Layer, expertCount: Int, costs: [Double]) -> [Float] {
        let costs = costs.map(Float.init)
        return [Float](unsafeUninitializedCapacity: expertCount * expertCount) { sums, initialized in
            sums.initialize(repeating: 0)
            initialized = expertCount * expertCount
            layer.uses.withUnsafeBufferPointer { uses in
                for window in 0..<layer.starts.count - 1 {
                    let range = Int(layer.starts[window])..<Int(layer.starts[window + 1])
                    for first in range {
                        let row = Int(uses[first].expert) * expertCount
                        let cost = costs[min(Int(uses[first].rows), costs.count - 1)]
                        for second in range {
                            let other = costs[min(Int(uses[second].rows), costs.count - 1)]
                            sums[row + Int(uses[second].expert)] += cost * other
                        }
                    }
                }
            }
        }
    }

    /// A layer's experts, the most read first; ties by id.
    func hottest(_ layer: Int) -> [Int] {
        let loads = loads[layer]
        return loads.indices.sorted { (loads[$0], $1) > (loads[$1], $0) }
    }
}
