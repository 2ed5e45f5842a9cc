/// Where drafts may come from.
public enum DraftSources: String, Sendable, CaseIterable {
    /// The checkpoint's MTP modules.
    case mtp
    /// What followed where the text has ended before as it ends now.
    case lookup
    /// Either, draft by draft.
    case both

    /// Whether MTP modules may be used.
    public var usesModules: Bool { self != .lookup }
    /// Whether the text may be looked through.
    public var looksUp: Bool { self != .mtp }
}
