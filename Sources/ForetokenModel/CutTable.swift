import ForetokenHardware

/// How a number of things that every step needs is divided over the teams that weights are cut for.
struct CutTable: BitwiseCopyable {
    /// [teams + 1]: each team's first thing, and the end.
    let bounds: UnsafePointer<Int32>
    let teams: Int

    /// Calls `body` with the share of one worker for every team it serves, never an empty one. Shares begin at multiples
    /// of `unit` things; a unit belongs to the team in which it begins.
    @inline(__always)
    func forEachShare(of seat: WorkerSeat, unit: Int, _ slice: Slice = .whole, _ body: (Range<Int>) -> Void) {
        let end = Int(bounds[teams])
        for team in 0..<teams where seat.serves(team) {
            let first = (Int(bounds[team]) + unit - 1) / unit
            let units = (Int(bounds[team + 1]) + unit - 1) / unit - first
            let share = slice.of(seat.share(of: max(0, units)))
            if share.isEmpty { continue }
            body((first + share.lowerBound) * unit..<min(end, (first + share.upperBound) * unit))
        }
    }
}

/// One of several equal portions of what each worker does in a phase. A chunk may rest between them; what is computed does
/// not depend on it, since no output element is divided.
struct Slice: BitwiseCopyable {
    /// From 0.
    let index: Int
    let count: Int

    /// All of a phase.
    static let whole = Slice(index: 0, count: 1)

    /// What the slice is of a worker's share.
    @inline(__always)
    func of(_ share: Range<Int>) -> Range<Int> {
        let first = share.lowerBound
        return first + share.count * index / count..<first + share.count * (index + 1) / count
    }
}
