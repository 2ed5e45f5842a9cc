import ForetokenHardware
import ForetokenModel
import ForetokenWeights

/// Generates one text: drafts, verifies with the main model, keeps what the main model itself would have said. Tokens are
/// the same at every draft length. The context stays between requests, so a conversation goes on where it ended.
public final class Generator {
    /// Tokens the context can hold.
    public var capacity: Int { sequence.capacity }
    private let model: Model
    private let sequence: TokenSequence
    private let drawable: Int
    private let drafting: Bool
    private let round: Round
    /// What drafting has learnt, from all texts.
    package let experience = DraftExperience()
    private var reader: PromptReader
    private var sessions: [Session] = []
    /// Of the context's tokens; nil until drafts are to be looked up.
    private var lookup: TextLookup?

    /// Number of tokens in the context so far.
    public var contextCount: Int { sequence.count }

    /// Looks on at every step of the verifier.
    public var observer: (any StepObserver)?

    /// Where drafts come from.
    package var source: (any DraftSource)? {
        get { round.source }
        set { round.source = newValue }
    }

    /// - Parameters:
    ///   - capacity: context size in tokens.
    ///   - drafting: whether the MTP modules may be used; false saves their part of the pages.
    ///   - drawable: ids from here on have no token and are never drawn; nil when all may be.
    /// - Throws: `HardwareError` when the pages' memory cannot be had.
    public init(
        model: Model, capacity: Int, cacheType: CacheType = .f32, drafting: Bool = true, drawable: Int? = nil
    ) throws {
        self.model = model
        self.drafting = drafting && model.draftHead != nil
        self.drawable = min(drawable ?? .max, model.configuration.vocabularySize)
        sequence = try model.makeSequence(context: capacity, cacheType: cacheType, drafting: drafting)
        round = Round(
            ModelVerifier(model.verifier), experience, source: Round.source(model, drafting: drafting))
        reader = PromptReader(model, drafting: false)
    }

    /// Forgets the whole context.
    public func clear() {
        sequence.clear()
        lookup?.clear()
    }

    /// Appends the prompt to the context and continues it.
    ///
    /// - Parameter observe: sees every event in order and may end the generation.
    /// - Throws: `GenerationError` when the prompt is empty, holds unknown ids or does not fit (nothing has been run then),
    ///   or when the model's logits overflow.
    public func generate(
        _ request: GenerationRequest, observe: (GenerationEvent) -> Continuation = { _ in .proceed }
    ) throws -> GenerationResult {
        try request.check(model.configuration, drawable: drawable, before: sequence.count, capacity: capacity)
        let policy = DraftPolicy(request, hasModules: drafting, experience)
        if policy.looksUp && lookup == nil { lookup = TextLookup(sequence.tokens, capacity: capacity + 1) }
        sequence.append(request.prompt)
        let sampler = Sampler(
            request.sampling, limit: drawable, instructionSet: model.instructionSet, mask: request.mask)
        return try withoutActuallyEscaping(observe) { observe in
            try run(
                Session(
                    request, on: sequence, sampler, policy, lookup: policy.looksUp ? lookup : nil, observe: observe))
        }
    }

    private func run(_ session: Session) throws -> GenerationResult {
        sessions = [session]
        defer { sessions = [] }
        model.verifier.observer = observer
        model.pool.startSpinning()
        defer {
            model.pool.stopSpinning()
            model.verifier.observer = nil
        }
        reader = PromptReader(model, drafting: session.policy.keepsRows)
        session.readPrompt(&reader, model.verifier)
        let traffic = model.traffic
        while session.reason == nil {
            round.run(sessions)
            session.heedCancellation()
        }
        if let failure = session.failure { throw failure }
        return session.result(traffic: zip(model.traffic, traffic).map { $0 - $1 })
    }
}
