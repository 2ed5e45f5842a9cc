import ForetokenHardware
import ForetokenModel
import ForetokenWeights

/// A model on a number of threads, with the caches that runs need; kept for as long as runs agree on it.
final class ProofEngine {
    let threads: Int
    let model: Model
    private let capacity: Int
    private let drawable: Int?
    private var generator: (cacheType: CacheType, value: Generator)?
    private var verifier: (subject: ProofSubject, value: Verifier)?

    init(model: Model, capacity: Int, drawable: Int?) {
        self.model = model
        threads = model.pool.workerCount
        self.capacity = capacity
        self.drawable = drawable
    }

    /// A generator with an empty context.
    func cleared(_ cacheType: CacheType) throws -> Generator {
        if let generator, generator.cacheType == cacheType {
            generator.value.clear()
            return generator.value
        }
        generator = nil
        let made = try Generator(model: model, capacity: capacity, cacheType: cacheType, drawable: drawable)
        generator = (cacheType, made)
        return made
    }

    /// A verifier that has seen the subject's prompt, cut like a generator cuts it, and nothing else.
    func prefilled(_ subject: ProofSubject, _ prompt: [Int32], observer: StepTrace) throws -> Verifier {
        if let verifier, verifier.subject == subject {
            verifier.value.truncate(to: prompt.count)
            verifier.value.observer = observer
            return verifier.value
        }
        verifier = nil
        let made = try model.makeVerifier(context: capacity, cacheType: subject.cacheType)
        made.observer = observer
        prompt.withUnsafeBufferPointer { tokens in
            for start in stride(from: 0, to: prompt.count, by: Verifier.chunkRows) {
                made.forward(
                    tokens.baseAddress! + start, count: min(Verifier.chunkRows, prompt.count - start))
            }
        }
        verifier = (subject, made)
        return made
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
}
