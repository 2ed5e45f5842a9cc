import ForetokenModel

/// Shows one text's rows to a trace.
final class OneTextTrace: StepObserver {
    private let trace: StepTrace
    private let number: Int
    let wantsValues = true

    init(_ trace: StepTrace, number: Int) {
        self.trace = trace
        self.number = number
    }

    func saw(_ site: StepSite, _ rows: StepRows) {
        if rows.text == number { trace.saw(site, rows) }
    }

    func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
}
