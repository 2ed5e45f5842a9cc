import ForetokenModel
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights

/// A checkpoint whose files are open and checked, before any weight is read. Threads may share it.
public struct OpenModel: Sendable {
    /// The files.
    public let checkpoint: Checkpoint
    /// Their tensors.
    public let layout: WeightLayout
    /// nil when the folder has no tokenizer; ids still work then.
    public let tokenizer: Tokenizer?
    /// What generation_config.json says; nil without one.
    public let defaults: GenerationDefaults?
    /// How the model runs.
    public let settings: ModelSettings
    let foundChatFormat = FoundChatFormat()
    let tell: @Sendable (Notice) -> Void

    /// Opens the files and checks everything that can be checked without reading weights.
    ///
    /// - Parameters:
    ///   - checkpoint: nil for the one that the settings name.
    ///   - tell: is given what should be known about the model, now and later.
    /// - Throws: `CheckpointError`, `TokenizerError`, `InputError` for files that cannot be used.
    public init(
        _ settings: ModelSettings, checkpoint: Checkpoint? = nil, tell: @escaping @Sendable (Notice) -> Void
    ) throws {
        self.settings = settings
        self.tell = tell
        self.checkpoint =
            try checkpoint ?? settings.directory.map { try Checkpoint(directory: $0) } ?? .demo()
        layout = try WeightLayout(self.checkpoint)
        tokenizer = try Tokenizer(self.checkpoint)
        defaults = try self.checkpoint.generationDefaults()
        for warning in layout.warnings { tell(.warning(warning)) }
        for remark in layout.remarks { tell(.note(remark)) }
        // Before a prompt can be blamed for it.
        if settings.chat != nil { _ = try chatFormat() }
    }

    /// The model's shape.
    public var configuration: ModelConfiguration { checkpoint.configuration }

    /// The tokenizer, for work that cannot do without.
    /// - Throws: `InputError` where there is none.
    public func requiredTokenizer() throws -> Tokenizer {
        guard let tokenizer else {
            throw InputError(
                "\(checkpoint.label) has no \(Tokenizer.files.joined(separator: " or ")), so text cannot be read; add the file or give token ids "
                    + "(--prompt-tokens, --tokens)")
        }
        return tokenizer
    }

    /// Tokens that end an answer: those of config.json and generation_config.json, or else the tokenizer's.
    public var endTokens: [Int32] {
        let ids = configuration.endTokens(defaults)
        return ids.isEmpty ? tokenizer?.eos.map { [$0] } ?? [] : ids
    }

    /// Tokens that end an answer in a conversation, whether or not they are among `endTokens`: those by which the chat format ends
    /// the model's turn.
    /// - Throws: as `chatFormat()` does.
    public func turnEnds() throws -> [Int32] {
        try chatFormat().turnEnds.filter { $0 < configuration.vocabularySize }
    }

    /// Refuses a wish that no source of drafts can fulfil, and tells what will be done without MTP.
    /// - Throws: `InputError`.
    public func check(_ draft: DraftMode, _ sources: DraftSources) throws {
        if case .fixed(let count) = draft, count > MTPHead.maximumDrafts, !sources.looksUp {
            throw InputError(
                "MTP modules make at most \(MTPHead.maximumDrafts) drafts a round, so --draft \(count) with "
                    + "--draft-source mtp is impossible; use a smaller number, or --draft-source both")
        }
        guard layout.mtp.isEmpty, draft != .off, sources.usesModules else { return }
        if sources.looksUp {
            tell(.note("drafts are looked up in the text: \(checkpoint.label) has no MTP module"))
        } else if case .fixed(let count) = draft {
            throw InputError(
                "\(checkpoint.label) has no MTP module, so --draft \(count) with --draft-source mtp is impossible; "
                    + "use --draft-source lookup, or --draft off")
        } else {
            tell(.note("drafting is off: \(checkpoint.label) has no MTP module"))
        }
    }

    /// Most tokens that a context may hold.
    public var contextLimit: Int { min(settings.context ?? .max, configuration.maximumPositions) }

    /// The context to make for `tokens` tokens and perhaps `more`: no larger than the model allows.
    /// - Throws: `InputError` when the settings' context exceeds what the model was made for.
    public func context(for tokens: Int, and more: Int = 0) throws -> Int {
        if let context = settings.context, context > configuration.maximumPositions {
            throw InputError(
                "--context \(context) exceeds the \(configuration.maximumPositions) positions of \(checkpoint.label)")
        }
        let (sum, isBeyondAll) = tokens.addingReportingOverflow(more)
        return settings.context
            ?? (isBeyondAll ? configuration.maximumPositions : min(sum, configuration.maximumPositions))
    }
}
