/// How often each token has appeared, which is what penalties go by. Pushing and popping cost the same however long the
/// history is, so drafts can be tried and taken back.
public final class TokenHistory {
    private let limit: Int
    /// Appearances [limit] in the whole context, and in the output alone.
    private let contextCounts: UnsafeMutablePointer<Int32>
    private let outputCounts: UnsafeMutablePointer<Int32>
    /// Tokens [limit] in order of their first appearance.
    private let distinct: UnsafeMutablePointer<Int32>
    /// Number of different tokens that have appeared.
    private(set) var distinctCount = 0

    /// - Parameter limit: ids from here on are not counted.
    init(limit: Int) {
        self.limit = limit
        contextCounts = .allocate(capacity: limit)
        outputCounts = .allocate(capacity: limit)
        distinct = .allocate(capacity: limit)
        contextCounts.initialize(repeating: 0, count: limit)
        outputCounts.initialize(repeating: 0, count: limit)
    }

    deinit {
        contextCounts.deallocate()
        outputCounts.deallocate()
        distinct.deallocate()
    }

    /// Forgets everything and starts anew behind `context`, none of which counts as output.
    public func begin(_ context: UnsafeBufferPointer<Int32>) {
        for i in 0..<distinctCount {
            contextCounts[Int(distinct[i])] = 0
            outputCounts[Int(distinct[i])] = 0
        }
        distinctCount = 0
        for token in context where isCounted(token) { count(token) }
    }

    /// Appends a token of the output.
    public func push(_ token: Int32) {
        guard isCounted(token) else { return }
        count(token)
        outputCounts[Int(token)] += 1
    }

    /// Takes back the newest push, which was of `token`.
    public func pop(_ token: Int32) {
        guard isCounted(token) else { return }
        contextCounts[Int(token)] -= 1
        outputCounts[Int(token)] -= 1
        // A token that vanishes had its first appearance after all others.
        if contextCounts[Int(token)] == 0 { distinctCount -= 1 }
    }

    /// The different tokens that have appeared, by first appearance; `inOutput` is 0 for those of the prompt alone.
    subscript(index: Int) -> (token: Int, inOutput: Int) {
        let token = Int(distinct[index])
        return (token, Int(outputCounts[token]))
    }

    private func isCounted(_ token: Int32) -> Bool { token >= 0 && Int(token) < limit }

    private func count(_ token: Int32) {
        if contextCounts[Int(token)] == 0 {
            distinct[distinctCount] = token
            distinctCount += 1
        }
        contextCounts[Int(token)] += 1
    }
}
