/// Counts the distinct experts among those of one layer.
struct DistinctExperts {
    /// Distinct ones since `begin`.
    private(set) var count = 0
    /// By expert: the count that it was last seen in.
    private var stamps: [Int]
    private var stamp = 1

    /// - Parameter experts: routed experts there are.
    init(experts: Int) { stamps = .init(repeating: 0, count: experts) }

    /// Begins to count anew.
    mutating func begin() {
        stamp += 1
        count = 0
    }

    /// Counts an expert, unless it has been.
    mutating func add(_ expert: Int32) {
        guard stamps[Int(expert)] != stamp else { return }
        stamps[Int(expert)] = stamp
        count += 1
    }
}
