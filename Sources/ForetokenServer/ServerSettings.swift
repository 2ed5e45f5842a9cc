/// Where a server listens, whom it answers, and how much it takes.
package struct ServerSettings: Sendable {
    /// Name or address to listen at.
    package var host = "127.0.0.1"
    /// 0 for any that is free.
    package var port = 8080
    /// Keys of which a request must bring one; none when everybody may ask.
    package var keys: [String] = []
    /// Names in `Host` headers that are answered besides localhost and addresses.
    package var hosts: [String] = []
    /// Origins of web pages that may ask besides the server's own; "*" for all.
    package var origins: [String] = []
    /// Most texts that wait for room.
    package var mostWaiting = 64
    /// Most prompt tokens of texts that wait.
    package var mostWaitingTokens = 1 << 20
    /// Seconds that requests may go on after the server was told to end.
    package var drainSeconds = 30.0
    package var limits = Limits()

    /// What one client may take of everybody's time and memory.
    package struct Limits: Sendable {
        package var bodyBytes = 16 << 20
        package var headBytes = 32 << 10
        package var headSeconds = 10.0
        package var bodySeconds = 60.0
        package var idleSeconds = 60.0
        /// Seconds that a client may go on sending a request that is answered already.
        package var lingerSeconds = 5.0
        /// Seconds that a client with no room for its answer may read nothing.
        package var stallSeconds = 60.0
        package var connections = 256
        /// Seconds after which a stream without news gets a comment.
        package var pingSeconds = 8.0
        /// Most tokens that wait for a client to read them.
        package var unreadTokens = 4096

        package init() {}
    }

    package init() {}

    /// Whether only this machine can reach it.
    package var isLocal: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) || host.hasPrefix("127.") }
}
