/// How often a draft from distribution q becomes the token drawn from p, by the rule that couples the two. Both are
/// normalised over the same tokens.
package struct DistributionAgreement {
    /// Σ min(p, q): the most that any rule without loss can reach.
    package var overlap = 0.0
    /// Shared Gumbel noise: P(argmax(log p + g) = argmax(log q + g)) = Σ_i 1 / Σ_j max(p_j / p_i, q_j / q_i)
    /// (arXiv 2408.07978).
    package var keyed = 0.0
    /// p of q's likeliest token.
    package var argmaxDraft = 0.0
    /// Σ p q: noise of its own.
    package var independentDraft = 0.0

    /// - Parameters:
    ///   - p: the verifier's probabilities.
    ///   - q: the draft's.
    package init(_ p: UnsafeBufferPointer<Double>, _ q: UnsafeBufferPointer<Double>, room: inout [SharedToken]) {
        var likeliest = 0
        // Tokens that only p (or only q) can draw: they weigh in every sum's p (or q) part.
        var onlyP = 0.0
        var allQ = 0.0
        room.removeAll(keepingCapacity: true)
        for i in 0..<min(p.count, q.count) {
            // Logits that overflowed have no shares.
            let (a, b) = (p[i].isNaN ? 0 : p[i], q[i].isNaN ? 0 : q[i])
            overlap += min(a, b)
            independentDraft += a * b
            if q[i] > q[likeliest] { likeliest = i }
            allQ += b
            if a > 0 && b > 0 { room.append(SharedToken(p: a, q: b)) } else { onlyP += a }
        }
        argmaxDraft = p.isEmpty ? 0 : p[likeliest]
        // max(p_j / p_i, q_j / q_i) is p_j / p_i for tokens j with q_j / p_j ≤ q_i / p_i, and q_j / q_i for the others: in
        // ascending order of q / p both parts are running sums.
        room.sort { $0.q * $1.p < $1.q * $0.p }
        var below = onlyP
        var above = allQ
        for token in room {
            below += token.p
            above -= token.q
            keyed += 1 / (below / token.p + max(0, above) / token.q)
        }
    }

    /// A token that both can draw.
    package struct SharedToken {
        let p: Double
        let q: Double
    }
}
