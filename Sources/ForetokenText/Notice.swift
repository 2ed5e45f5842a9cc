/// What whoever opens or runs a model should be told, though nothing has failed.
public struct Notice: Sendable, Equatable {
    /// How much it matters.
    public enum Kind: Sendable {
        /// Something is not as it should be.
        case warning
        /// A remark that explains what happens.
        case note
    }

    /// How much it matters.
    public let kind: Kind
    /// One sentence. It may quote files, and with them characters that steer a terminal.
    public let text: String

    /// Something that is not as it should be.
    public static func warning(_ text: String) -> Notice { Notice(kind: .warning, text: text) }

    /// A remark.
    public static func note(_ text: String) -> Notice { Notice(kind: .note, text: text) }
}
