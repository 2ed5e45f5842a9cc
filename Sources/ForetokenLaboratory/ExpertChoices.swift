import ForetokenModel

/// Remembers which experts the rows of a text chose, from one position on; of a row that is run again, the newest ones.
final class ExpertChoices: StepObserver {
    let wantsValues = false
    /// Experts of a row; 0 before any was seen.
    private(set) var perRow = 0
    private let first: Int
    /// By layer: experts [row][perRow].
    private var choices: [[Int32]]
    private var counter: DistinctExperts

    /// - Parameters:
    ///   - experts: routed experts of a layer.
    ///   - first: no earlier row will be run.
    init(layers: Int, experts: Int, first: Int = 0) {
        self.first = first
        choices = .init(repeating: [], count: layers)
        counter = DistinctExperts(experts: experts)
    }

    func saw(_ site: StepSite, _ rows: StepRows) {}

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        self.perRow = perRow
        let begin = (rows.firstPosition - first) * perRow
        let end = begin + rows.count * perRow
        if choices[layer].count < end { choices[layer] += .init(repeating: 0, count: end - choices[layer].count) }
        for i in begin..<end { choices[layer][i] = chosen[i - begin] }
    }

    /// Layers that chose any.
    var layers: [Int] { choices.indices.filter { !choices[$0].isEmpty } }

    /// How many distinct experts of a layer the windows of 1, 2 … `rows` rows from position `start` on chose.
    func distinct(layer: Int, start: Int, rows: Int) -> [Int] {
        counter.begin()
        return (start - first..<start - first + rows).map { row in
            for i in row * perRow..<(row + 1) * perRow { counter.add(choices[layer][i]) }
            return counter.count
        }
    }
}
