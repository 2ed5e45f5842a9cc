/// Hits among trials; for means, a sum over so many.
package struct Counts: Equatable {
    package var hits = 0.0
    package var trials = 0.0

    package init(hits: Double = 0, trials: Double = 0) {
        self.hits = hits
        self.trials = trials
    }

    mutating func add(_ hit: Bool) {
        hits += hit ? 1 : 0
        trials += 1
    }

    mutating func add(_ value: Double) {
        hits += value
        trials += 1
    }

    static func + (a: Counts, b: Counts) -> Counts { Counts(hits: a.hits + b.hits, trials: a.trials + b.trials) }
    static func * (a: Counts, factor: Double) -> Counts { Counts(hits: a.hits * factor, trials: a.trials * factor) }
}
