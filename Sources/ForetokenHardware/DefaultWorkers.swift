/// How many workers there are unless the user says.
public struct DefaultWorkers: Sendable, Equatable {
    /// Workers, 1 or more.
    public let count: Int
    /// Why it is not one for each physical core, as "1 thread: …"; nil where it is.
    public let reason: String?
}

extension Topology {
    /// One worker for each fast physical core that the process may use, but no more than its control groups grant time for.
    ///
    /// A quota is rounded down: workers wait for each other many times in a step, and one more than the quota grants stops
    /// all of them together, in the middle of a step, until the next period (100 ms by default) begins. With less than one
    /// CPU granted, one worker is the least there can be.
    ///
    /// - Parameter quota: CPUs' worth of time that is granted; nil without a limit.
    public func defaultWorkers(quota: Double?) -> DefaultWorkers {
        let fast = cores.count { $0.isFast }
        var count = fast
        var reasons: [String] = []
        if fast < cores.count {
            let verb = fast == 1 ? "is" : "are"
            reasons.append("\(fast) of \(cores.count) cores \(verb) fast, and the others would keep them waiting")
        }
        if let quota, quota < Double(fast) {
            count = max(1, Int(quota))
            reasons.append(
                "the control group grants \(FigureText.decimal(quota)) CPUs' worth of time to \(cores.count) cores")
        }
        guard !reasons.isEmpty else { return DefaultWorkers(count: count, reason: nil) }
        let workers = "\(count) thread\(count == 1 ? "" : "s")"
        return DefaultWorkers(count: count, reason: "\(workers): \(reasons.joined(separator: "; "))")
    }
}
