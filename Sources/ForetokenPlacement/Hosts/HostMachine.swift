/// A machine that can hold a part of a model, as planning sees it from outside. What lies on which of its memory nodes is a
/// matter of its own plan.
public struct HostMachine: Sendable, Equatable {
    /// What reports call it.
    public var name: String
    /// Bytes per second at which all its nodes together are read.
    public var readBandwidth: Double
    /// Bytes that a model may take there, a margin for the system already taken off.
    public var capacity: Int
    /// Multiply-adds a second that it reaches in prompts; nil where that is not known.
    public var multiplyAddsPerSecond: Double?

    /// A host; see the fields.
    public init(name: String, readBandwidth: Double, capacity: Int, multiplyAddsPerSecond: Double? = nil) {
        self.name = name
        self.readBandwidth = readBandwidth
        self.capacity = capacity
        self.multiplyAddsPerSecond = multiplyAddsPerSecond
    }
}

/// The network between hosts; every pair is alike.
public struct HostLink: Sendable, Equatable {
    /// Seconds from the call of one host to the answer of the other, for a message without content.
    public var latencySeconds: Double
    /// Bytes per second that one host receives.
    public var bytesPerSecond: Double
    /// Seconds that an exchange takes longer for each host beyond the second.
    public var peerSeconds: Double

    /// A link; see the fields.
    /// - Parameter peerSeconds: nil assumes a sixth of the latency, as 5 of 30 µs over TCP.
    public init(latencySeconds: Double, bytesPerSecond: Double, peerSeconds: Double? = nil) {
        self.latencySeconds = latencySeconds
        self.bytesPerSecond = bytesPerSecond
        self.peerSeconds = peerSeconds ?? latencySeconds / 6
    }

    /// Seconds until every host has all of `bytes`, of which each has made its part: latency, the further hosts' share of
    /// it, and the parts of the others at the link's rate. 0 on one host.
    public func exchangeSeconds(bytes: Int, hosts: Int) -> Double {
        guard hosts > 1 else { return 0 }
        let received = Double(bytes) * Double(hosts - 1) / Double(hosts)
        return latencySeconds + Double(hosts - 2) * peerSeconds + received / bytesPerSecond
    }

    /// Seconds until one host has what another sends.
    public func transferSeconds(bytes: Int) -> Double { latencySeconds + Double(bytes) / bytesPerSecond }
}
