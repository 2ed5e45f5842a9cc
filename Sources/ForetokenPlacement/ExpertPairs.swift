/// Counts which experts rows chose together, layer after layer, in one table of all pairs. Only what was counted is looked
/// at and cleared, so that many layers with few rows cost no more than their rows.
final class ExpertPairs {
    /// [i][j] with i < j: rows that chose both.
    private var counts: [Int32] = []
    /// Places in `counts` that are not 0.
    private var touched: [Int] = []
    private var width = 0

    /// Counts the pairs of `count` things in some rows, each a list of distinct ones in ascending order.
    func count(_ count: Int, _ rows: some Sequence<[Int]>) {
        for place in touched { counts[place] = 0 }
        touched.removeAll(keepingCapacity: true)
        width = count
        if counts.count < count * count { counts = .init(repeating: 0, count: count * count) }
        for row in rows {
            for a in row.indices {
                let base = row[a] * width
                for b in a + 1..<max(a + 1, row.count) {
                    let place = base + row[b]
                    if counts[place] == 0 { touched.append(place) }
                    counts[place] += 1
                }
            }
        }
    }

    /// How many pairs were counted in all.
    var total: Int { touched.reduce(0) { $0 + Int(counts[$1]) } }

    /// Visits every pair that was counted.
    func forEach(_ body: (_ i: Int, _ j: Int, _ count: Int) -> Void) {
        for place in touched { body(place / width, place % width, Int(counts[place])) }
    }
}
