import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Runs recorded rounds again, window by window, and takes their time: the same work under every placement.
final class StepReplay {
    private let model: Model
    private let verifier: Verifier
    private let sequence: TokenSequence
    private let texts: [TuneRecording.Text]
    private let clock: StepClock

    init(_ model: Model, _ sequence: TokenSequence, _ recording: TuneRecording) {
        self.model = model
        self.sequence = sequence
        verifier = model.verifier
        texts = recording.texts.filter { !$0.windows.isEmpty }
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
        var (total, experts, steps): (Int64, Double, Int) = (0, 0, 0)
        var drawn: [Int32] = []
        model.pool.startSpinning()
        defer {
            model.pool.stopSpinning()
            verifier.observer = nil
        }
        var reader = PromptReader(model, drafting: false)
        var step = Step()
        for text in texts {
            guard goesOn() else { return nil }
            verifier.observer = nil
            sequence.restart(text.tokens)
            reader.read(sequence, to: text.promptCount)
            verifier.observer = clock
            for window in text.windows {
                // Drafts that were rejected have no place in the text; what stands there is as good.
                let rows = min(window.rows, text.tokens.count - window.position)
                sequence.jump(to: window.position)
                step.clear()
                step.add(sequence, count: rows)
                clock.start()
                let start = MonotonicClock.now
                verifier.run(step)
                verifier.computeLogits(first: 0, count: rows)
                total += MonotonicClock.now - start
                experts += clock.nanoseconds(.expertsUp, in: .moe) + clock.nanoseconds(.expertsDown, in: .moe)
                steps += 1
                for row in 0..<rows { drawn.append(verifier.drawn(row: row)) }
            }
        }
        let scale = 1e-9 / Double(max(1, steps))
        return Pass(seconds: StepSeconds(step: Double(total) * scale, experts: experts * scale), tokens: drawn)
    }
}
