/// How a token is drawn from logits. Penalties and bias change the raw logits; then come temperature, top-k, top-p and
/// min-p, in this order.
public struct SamplingOptions: Sendable, Equatable {
    /// Divides the logits; below 1e-6 the largest is taken.
    public var temperature: Float = 0
    /// Keeps the k most likely tokens; 0 keeps all.
    public var topK = 0
    /// Keeps the smallest set of most likely tokens whose probability reaches this; the token that crosses it stays.
    public var topP: Float = 1
    /// Keeps tokens at least this fraction as likely as the likeliest.
    public var minP: Float = 0
    /// Decides the noise together with the output position.
    public var seed: UInt64 = 0
    /// Divides positive logits, and multiplies others, of every token in the context, prompt and earlier turns included
    /// (CTRL, arXiv 1909.05858, section 4.1); 1 changes nothing.
    public var repetitionPenalty: Float = 1
    /// Taken once from the logit of every token in the request's own output.
    public var presencePenalty: Float = 0
    /// Taken from the logit of a token for each of its appearances in the request's own output.
    public var frequencyPenalty: Float = 0
    /// Added to the logits of these token ids after the penalties, each within ±100; -100 bans the token altogether.
    public var logitBias: [Int: Float] = [:]

    /// Greedy.
    public init() {}

    /// Largest magnitude of presence and frequency penalties and of a bias.
    public static let penaltyLimit: Float = 100

    /// The first value that means nothing, with the range it must be in; nil when all are good.
    public var problem: String? {
        let limit = Self.penaltyLimit
        let range = "-\(Int(limit))...\(Int(limit))"
        if !temperature.isFinite || temperature < 0 { return "the temperature must be 0 or more, not \(temperature)" }
        if topK < 0 { return "top-k must be 0 or more, not \(topK)" }
        if !(topP > 0 && topP <= 1) { return "top-p must be above 0 and at most 1, not \(topP)" }
        if !(minP >= 0 && minP <= 1) { return "min-p must be 0...1, not \(minP)" }
        if !(repetitionPenalty > 0 && repetitionPenalty.isFinite) {
            return "the repetition penalty must be above 0 (1 changes nothing), not \(repetitionPenalty)"
        }
        if !(abs(presencePenalty) <= limit) { return "the presence penalty must be \(range), not \(presencePenalty)" }
        if !(abs(frequencyPenalty) <= limit) {
            return "the frequency penalty must be \(range), not \(frequencyPenalty)"
        }
        if let (token, value) = logitBias.filter({ !(abs($0.value) <= limit) }).min(by: { $0.key < $1.key }) {
            return "the logit bias of token \(token) must be \(range), not \(value)"
        }
        return nil
    }

    /// Below a millionth only exact ties are left to chance, and scaled logits would soon overflow.
    var isGreedy: Bool { temperature < 1e-6 }

    var isFiltered: Bool { topK > 0 || topP < 1 || minP > 0 }

    /// Whether the choice depends on the tokens before it by more than their logits.
    package var isPenalised: Bool { repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0 }
}
