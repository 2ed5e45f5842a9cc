import ForetokenModel

/// Two observers that look on together.
final class ObserverPair: StepObserver {
    private let first: any StepObserver
    private let second: (any StepObserver)?

    /// - Parameter second: nil leaves the first alone.
    init(_ first: any StepObserver, _ second: (any StepObserver)?) {
        self.first = first
        self.second = second
    }

    var wantsValues: Bool { first.wantsValues || second?.wantsValues == true }

    func saw(_ site: StepSite, _ rows: StepRows) {
        if first.wantsValues { first.saw(site, rows) }
        if let second, second.wantsValues { second.saw(site, rows) }
    }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        first.routed(layer: layer, chosen: chosen, perRow: perRow, rows: rows)
        second?.routed(layer: layer, chosen: chosen, perRow: perRow, rows: rows)
    }

    func ended(_ outcome: StepOutcome, text: Int) {
        first.ended(outcome, text: text)
        second?.ended(outcome, text: text)
    }

    func left(text: Int) {
        first.left(text: text)
        second?.left(text: text)
    }
}
