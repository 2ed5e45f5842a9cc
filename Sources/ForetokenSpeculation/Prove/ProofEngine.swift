import ForetokenHardware
import ForetokenModel
import ForetokenWeights

/// A model on a number of threads, with the caches that runs need; kept for as long as runs agree on it.
final class ProofEngine {
    let threads: Int
    let placement: ProofPlacement?
    let model: Model
    private let capacity: Int
    private let drawable: Int?
    private var verifier: (subject: ProofSubject, value: Verifier)?

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

    /// A verifier that has seen the text up to `promptCount`, cut like a generator cuts it, and has forgotten other tokens
    /// that stood where the rest of the text belongs.
    func prefilled(_ subject: ProofSubject, _ text: [Int32], observer: StepTrace) throws -> Verifier {
        let count = subject.promptCount
        return try text.withUnsafeBufferPointer { tokens in
            let verifier: Verifier
            if let made = self.verifier, made.subject == subject {
                verifier = made.value
                verifier.truncate(to: count)
                verifier.observer = observer
            } else {
                self.verifier = nil
                verifier = try model.makeVerifier(context: capacity, cacheType: subject.cacheType)
                verifier.observer = observer
                self.verifier = (subject, verifier)
                while verifier.position < count {
                    let rows = verifier.nextChunk(to: count)
                    verifier.forward(tokens.baseAddress! + verifier.position, count: rows)
                }
            }
            // The prompt's tokens, again from the first.
            while verifier.position < text.count {
                let rows = min(Verifier.windowRows, text.count - verifier.position, count)
                verifier.forward(tokens.baseAddress!, count: rows)
            }
            verifier.truncate(to: count)
            return verifier
        }
    }
}

/// What a run computed and said.
struct ProofOutcome {
    /// Prompts and answers.
    var context: [Int32]
    /// Positions compared: those the run computed itself.
    var positions: Range<Int>
    let trace: StepTrace
    /// Tokens generated.
    var generated = 0
    var telemetry = Telemetry()
    /// Whether logits overflowed at the end.
    var hasFailed = false
}
