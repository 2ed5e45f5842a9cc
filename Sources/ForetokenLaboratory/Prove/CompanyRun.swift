import ForetokenModel
import ForetokenSpeculation

/// A company at work: submits its texts when their time has come, and notes what each of them computes and says.
final class CompanyRun: StepObserver {
    /// One text's part.
    struct Part {
        let request: GenerationRequest
        /// How it comes and goes; nil for the main subject.
        let visitor: ProofVisitor?
        var trace: StepTrace
        let watch: DraftWatch
        var tokens: [Int32] = []
        /// nil until it is known.
        var outcome: Engine.Outcome?
    }

    /// The main subject first.
    private(set) var parts: [Part]
    /// By number of the request: its part.
    private var numbers: [Int] = []
    private let engine: Engine
    private let goesOn: () -> Bool
    private var isGivenUp = false
    private var failure: (any Error)?

    let wantsValues = true

    /// - Parameter goesOn: asked at every event; ends everything by returning false.
    init(_ parts: [Part], on engine: Engine, goesOn: @escaping () -> Bool) {
        self.parts = parts
        self.engine = engine
        self.goesOn = goesOn
        if let source = engine.source {
            engine.source = DraftWatch.source(source) { [unowned self] in self.parts[self.numbers[$0]].watch }
        }
    }

    /// Serves them all.
    /// - Throws: `CancellationError` when it was given up, and what the engine throws.
    func run() throws {
        engine.observer = self
        defer { engine.observer = nil }
        try submit(arrivingWith: 0)
        try submit(0)
        engine.run()
        if let failure { throw failure }
        if isGivenUp { throw CancellationError() }
        if let lost = numbers.first(where: { parts[$0].outcome == nil }) {
            throw GenerationError(description: "text \(lost + 1) of a company was never answered", kind: .system)
        }
    }

    private func submit(arrivingWith arrival: Int) throws {
        for index in parts.indices where parts[index].visitor?.arrival == arrival { try submit(index) }
    }

    private func submit(_ index: Int) throws {
        numbers.append(index)
        try engine.submit(
            parts[index].request, observe: { [unowned self] in self.saw($0, index) },
            completion: { [unowned self] in self.parts[index].outcome = $0 })
    }

    private func saw(_ event: GenerationEvent, _ index: Int) -> Continuation {
        if !isGivenUp && !goesOn() {
            isGivenUp = true
            engine.withdrawWaiting()
        }
        guard !isGivenUp, failure == nil else { return .cancel }
        guard case .token(let token, _, _) = event else { return .proceed }
        parts[index].tokens.append(token)
        guard let visitor = parts[index].visitor else {
            do { try submit(arrivingWith: parts[index].tokens.count) } catch { failure = error }
            return .proceed
        }
        return visitor.wish(after: parts[index].tokens.count)
    }

    // MARK: StepObserver

    func saw(_ site: StepSite, _ rows: StepRows) { parts[numbers[rows.text]].trace.saw(site, rows) }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
}
