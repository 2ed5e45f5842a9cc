import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenWeights

/// Runs recorded rounds again, step by step, and takes their time: the same work under every placement.
final class StepReplay {
    /// Rows of one text in a step.
    private struct Window {
        let text: Int
        let position: Int
        let rows: Int
    }

    private let model: Model
    private let verifier: Verifier
    private let texts: [TuneRecording.Text]
    /// Windows that each step runs together.
    private let steps: [[Window]]
    /// By text: its last step.
    private let ends: [Int: Int]
    private let clock: StepClock
    /// Those that no text has.
    private var free: [TokenSequence]
    /// By text that has begun and not ended.
    private var running: [Int: TokenSequence] = [:]

    /// - Parameters:
    ///   - sequences: as many as texts share a step.
    ///   - shared: the recorded trace, its texts put together as they are to be run.
    init(_ model: Model, _ sequences: [TokenSequence], _ recording: TuneRecording, shared: RoutingTrace) {
        self.model = model
        verifier = model.verifier
        texts = recording.texts
        free = sequences
        steps = shared.steps.compactMap { step in
            let windows = shared.windows[step].filter {
                recording.texts.indices.contains($0.text) && shared.kinds[$0.rows.lowerBound] == .newest
            }
            return windows.isEmpty
                ? nil : windows.map { Window(text: $0.text, position: $0.position, rows: $0.rows.count) }
        }
        ends = steps.enumerated().reduce(into: [:]) { ends, step in
            for window in step.element { ends[window.text] = step.offset }
        }
        clock = StepClock(denseLayers: model.configuration.denseLayerCount)
    }

    /// What one pass over all texts gave.
    struct Pass {
        let seconds: StepSeconds
        /// The verifier's token for every row.
        let tokens: [Int32]
    }

    /// One pass over all texts; nil when interrupted.
    func run(goesOn: () -> Bool) -> Pass? {
        var (total, experts): (Int64, Double) = (0, 0)
        var drawn: [Int32] = []
        model.pool.startSpinning()
        defer {
            model.pool.stopSpinning()
            verifier.observer = nil
            free += running.values
            running = [:]
        }
        var step = Step()
        for (index, windows) in steps.enumerated() {
            for window in windows where running[window.text] == nil {
                guard goesOn() else { return nil }
                begin(window.text)
            }
            verifier.observer = clock
            step.clear()
            for window in windows { add(window, to: &step) }
            clock.start()
            let start = MonotonicClock.now
            verifier.run(step)
            verifier.computeLogits(first: 0, count: step.rowCount)
            total += MonotonicClock.now - start
            experts += clock.nanoseconds(.expertsUp, in: .moe) + clock.nanoseconds(.expertsDown, in: .moe)
            for row in 0..<step.rowCount { drawn.append(verifier.drawn(row: row)) }
            for window in windows where ends[window.text] == index {
                if let sequence = running.removeValue(forKey: window.text) { free.append(sequence) }
            }
        }
        let scale = 1e-9 / Double(max(1, steps.count))
        return Pass(seconds: StepSeconds(step: Double(total) * scale, experts: experts * scale), tokens: drawn)
    }

    private func begin(_ text: Int) {
        verifier.observer = nil
        let sequence = free.removeLast()
        sequence.restart(texts[text].tokens)
        var reader = PromptReader(model, drafting: false)
        reader.read(sequence, to: texts[text].promptCount)
        running[text] = sequence
    }

    private func add(_ window: Window, to step: inout Step) {
        guard let sequence = running[window.text] else { return }
        // Drafts that were rejected have no place in the text; what stands there is as good.
        let rows = min(window.rows, texts[window.text].tokens.count - window.position)
        sequence.jump(to: window.position)
        step.add(sequence, count: rows)
    }
}
