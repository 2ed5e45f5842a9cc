import ForetokenWeights

/// What one host has of a model and has waited for others so far.
package struct HostFigures: Sendable, Equatable, BitwiseCopyable {
    /// Bytes of its weights.
    package var weightBytes = 0
    /// Those that a step of one row reads.
    package var bytesPerStep = 0
    /// Exchanges and gathers.
    package var meetings = 0
    /// Bytes that came from others in them.
    package var receivedBytes = 0
    /// Time that they took.
    package var waitedNanoseconds: UInt64 = 0

    init(_ weights: ModelWeights, _ waiting: HostWaiting) {
        (weightBytes, bytesPerStep) = (weights.byteCount, weights.bytesPerStep)
        (meetings, receivedBytes, waitedNanoseconds) = (waiting.meetings, waiting.bytes, waiting.nanoseconds)
    }

    /// What has happened since an earlier reading.
    package func since(_ earlier: HostFigures) -> HostFigures {
        var change = self
        change.meetings -= earlier.meetings
        change.receivedBytes -= earlier.receivedBytes
        change.waitedNanoseconds -= earlier.waitedNanoseconds
        return change
    }

    /// Two changes together.
    package func adding(_ other: HostFigures) -> HostFigures {
        var sum = self
        sum.meetings += other.meetings
        sum.receivedBytes += other.receivedBytes
        sum.waitedNanoseconds += other.waitedNanoseconds
        return sum
    }
}

extension Model {
    /// By host, where several share the model and this one leads: what it has and has waited. What it takes to ask is counted
    /// with the next reading.
    package var hostFigures: [HostFigures] {
        guard let others else { return [] }
        others.send(.figures)
        return others.gatherFigures(of: weights)
    }
}

extension OtherHosts {
    /// Gives the leader every host's figures; nothing to the others.
    @discardableResult
    func gatherFigures(of weights: ModelWeights) -> [HostFigures] {
        var own = HostFigures(weights, channel.waiting)
        let all = gather(&own, count: 1)
        return leads ? (0..<share.count).map { all[$0] } : []
    }
}
