import ForetokenModel
import ForetokenSpeculation

/// Continues texts, several at once: each gets the tokens that it would get alone.
final class Continuer {
    /// Texts at once.
    let parallel: Int
    /// Most of them: with more, less would be there after an interruption.
    private static let mostParallel = 8
    private let engine: Engine

    /// - Parameters:
    ///   - count: texts that there will be; half of the free memory may bring fewer at once.
    ///   - context: tokens of the longest.
    /// - Throws: `HardwareError` without memory for one text.
    init(_ model: Model, texts count: Int, context: Int, cacheType: CacheType, drawable: Int) throws {
        let room = Engine.room(
            for: .init(repeating: context, count: max(1, count)), parallel: Self.mostParallel, model,
            cacheType: cacheType, drafting: true, available: Engine.spareBytes(model))
        parallel = room.parallel
        var settings = Engine.Settings(context: context)
        settings.parallel = room.parallel
        settings.pages = room.pages
        settings.cacheType = cacheType
        settings.drawable = drawable
        settings.chunkShare = 1
        engine = try Engine(model, settings)
    }

    /// - Parameters:
    ///   - recorder: records each text under its domain.
    ///   - proceed: asked at every event.
    /// - Returns: the tokens generated for each request; nil when `proceed` said no.
    /// - Throws: `GenerationError` for a text that the model cannot take, or logits that overflow.
    func run(
        _ requests: [(request: GenerationRequest, domain: String)], recorder: RoutingRecorder?, proceed: () -> Bool
    ) throws -> [[Int32]]? {
        var outcomes = [Engine.Outcome?](repeating: nil, count: requests.count)
        var goesOn = true
        engine.observer = recorder
        defer { engine.observer = nil }
        try withoutActuallyEscaping(proceed) { proceed in
            // Nothing is left in the engine, also when a request was refused.
            defer {
                engine.withdrawWaiting()
                engine.run()
            }
            for (i, (request, domain)) in requests.enumerated() {
                let number = try engine.submit(
                    request,
                    observe: { [engine] _ in
                        goesOn = goesOn && proceed()
                        if !goesOn { engine.withdrawWaiting() }
                        return goesOn ? .proceed : .cancel
                    }, completion: { outcomes[i] = $0 })
                try recorder?.begin(domain: domain, text: number)
            }
            engine.run()
        }
        guard goesOn else { return nil }
        return try outcomes.map { try $0?.get().tokens ?? [] }
    }
}
