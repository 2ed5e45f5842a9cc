/// What is to be measured of a server.
package struct LoadPlan: Sendable {
    /// Each can be left out.
    package enum Trial: String, Sendable, CaseIterable {
        /// Speed and latency at each concurrency, and whether answers stay the same.
        case levels
        /// The first token of a prompt whose beginning is cached, others behind it.
        case prefix
        /// What others' long prompts do to a stream.
        case stall
        /// How soon a client that has gone costs nothing any more.
        case cancel
        /// More requests than the server takes.
        case overload
    }

    package var trials = Set(Trial.allCases)
    /// Requests at once, in turn. The first level is always 1: its answers are those that all others must equal.
    package var concurrency = [1, 2, 4, 8, 16]
    /// Different requests. Levels above half of them ask each more than once.
    package var requests = 16
    package var promptTokens = 64
    package var maximumTokens = 128
    package var temperature = 0.0
    /// Whether log-probabilities are compared, too; they take time of their own.
    package var showsLogProbabilities = false
    package var goal = Goal()
    /// Tokens that are cached, and those of prompts that others bring while a stream goes on.
    package var prefixTokens = 2048
    package var longPromptTokens = 3584
    /// Times that single figures are taken.
    package var repeats = 3
    package var overloadSeconds = 10.0
    /// Instead of all trials: so long, with clients that go at random.
    package var soakSeconds: Double?
    package var soakClients = 16
    /// The server's process, where it runs on this machine and does not tell its memory itself.
    package var process: Int32?
    /// Chooses what must not be the same in two runs.
    package var salt: UInt64

    /// When a request was served well.
    package struct Goal: Sendable, Encodable {
        package var firstTokenMilliseconds = 10_000.0
        package var perTokenMilliseconds = 200.0
    }

    package init(salt: UInt64) { self.salt = salt }

    /// Leaves as little as shows anything: about a minute with the embedded model.
    package mutating func hurry() {
        concurrency = [1, 4, 16]
        maximumTokens = 64
        repeats = 1
        overloadSeconds = 4
    }
}
