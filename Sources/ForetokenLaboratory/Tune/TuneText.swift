/// A text to tune placements on.
public struct TuneText: Sendable {
    /// What kind of text it is.
    public let domain: String
    /// Tokens to begin with, at least 1.
    public let prompt: [Int32]

    /// A text; see the fields.
    public init(domain: String, prompt: [Int32]) {
        self.domain = domain
        self.prompt = prompt
    }
}
