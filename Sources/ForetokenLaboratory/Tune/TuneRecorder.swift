import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation

/// Generates texts and keeps their tokens, rounds and routing.
struct TuneRecorder {
    let generator: Generator
    let header: RoutingTraceHeader
    let draft: DraftMode
    let sources: DraftSources
    let tokensPerText: Int

    /// - Parameter progress: told the texts done and their number; ends the recording by returning false.
    /// - Returns: what was recorded until then.
    /// - Throws: when a prompt does not fit, or the model's logits overflow.
    func record(_ texts: [TuneText], progress: (Int, Int) -> Bool) throws -> TuneRecording {
        let memory = TraceMemory(header)
        let recorder = RoutingRecorder(header, sink: memory)
        generator.observer = recorder
        defer { generator.observer = nil }
        var made: [TuneRecording.Text] = []
        for (index, text) in texts.enumerated() where progress(index, texts.count) {
            generator.clear()
            try recorder.begin(domain: text.domain)
            var request = GenerationRequest(prompt: text.prompt)
            request.maximumTokens = tokensPerText
            request.draft = draft
            request.sources = sources
            var goesOn = true
            let result = try generator.generate(request) { _ in
                goesOn = goesOn && progress(index, texts.count)
                return goesOn ? .proceed : .cancel
            }
            guard goesOn else { break }
            made.append(.init(tokens: text.prompt + result.tokens, promptCount: text.prompt.count))
        }
        recorder.finish()
        return TuneRecording(texts: made, trace: try RoutingTraceFile(memory.bytes).trace, file: memory.bytes)
    }
}

/// Texts as they were generated, with the rounds that made them and the experts these used.
struct TuneRecording {
    /// One text.
    struct Text {
        /// Prompt and answer.
        var tokens: [Int32]
        var promptCount: Int
    }

    /// By the trace's numbers of texts.
    let texts: [Text]
    let trace: RoutingTrace
    /// The trace as a file.
    let file: [UInt8]
}
