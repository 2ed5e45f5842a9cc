import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// A model on a number of threads, with the caches that runs need; kept for as long as runs agree on it.
final class ProofEngine {
    let threads: Int
    let placement: ProofPlacement?
    let model: Model
    private let capacity: Int
    private let drawable: Int?
    private var sequence: (subject: ProofSubject, value: TokenSequence)?

    init(model: Model, placement: ProofPlacement?, capacity: Int, drawable: Int?) {
        self.model = model
        self.placement = placement
        threads = model.pool.workerCount
        self.capacity = capacity
        self.drawable = drawable
    }

    /// A generator whose caches have never held anything: what an earlier run left there could hide that something was
    /// not written.
    func makeGenerator(_ cacheType: CacheType) throws -> Generator {
        try Generator(model: model, capacity: capacity, cacheType: cacheType, drawable: drawable)
    }

    /// An engine whose pages have never held anything.
    func makeEngine(_ settings: Engine.Settings) throws -> Engine { try Engine(model, settings) }

    /// The text as it is after its first `promptCount` tokens, read like a generator reads them, and after other tokens that
    /// stood where the rest of the text belongs were forgotten.
    func prefilled(_ subject: ProofSubject, _ text: [Int32], observer: StepTrace) throws -> TokenSequence {
        let count = subject.promptCount
        model.verifier.observer = observer
        let sequence: TokenSequence
        if let made = self.sequence, made.subject == subject {
            sequence = made.value
            sequence.truncate(to: count)
        } else {
            self.sequence = nil
            sequence = try model.makeSequence(context: capacity, cacheType: subject.cacheType, drafting: false)
            self.sequence = (subject, sequence)
            sequence.restart(text)
            var reader = PromptReader(model, drafting: false)
            reader.read(sequence, to: count)
        }
        // The prompt's tokens, again from the first.
        var step = Step()
        while sequence.position < text.count {
            let rows = min(Step.windowRows, text.count - sequence.position, count)
            for i in 0..<rows { sequence.tokens[sequence.position + i] = text[i] }
            step.clear()
            step.add(sequence, count: rows)
            model.verifier.run(step)
        }
        for (i, token) in text.enumerated() { sequence.tokens[i] = token }
        sequence.truncate(to: count)
        return sequence
    }
}
