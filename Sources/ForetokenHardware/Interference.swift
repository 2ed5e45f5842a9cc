/// What others took of some CPUs while something was measured on them: fractions of the CPUs' time, 0…1.
public struct Interference: Sendable, Equatable {
    /// The process's own threads waited for a CPU.
    public let waiting: Double
    /// Other programs ran.
    public let others: Double
    /// The hypervisor ran something else.
    public let stolen: Double

    /// More than this disturbs a measurement.
    public static let most = 0.05

    /// What happened between two moments.
    ///
    /// The kernel counts busy and stolen time in ticks of 10 ms: two of them on each CPU may be due to rounding.
    /// - Parameter cpus: number of CPUs that the loads are of, 1 or more.
    public init(from start: MachineLoad, to end: MachineLoad, cpus: Int) {
        let time = max(1e-9, Double(end.time - start.time) / 1e9) * Double(cpus)
        func fraction(_ seconds: Double?, less slack: Double) -> Double {
            min(1, max(0, (seconds ?? 0) - slack) / time)
        }
        let rounding = 0.02 * Double(cpus)
        func difference(_ part: (MachineLoad) -> Double?) -> Double? {
            part(end).flatMap { last in part(start).map { last - $0 } }
        }
        let own = end.own - start.own
        waiting = fraction(difference(\.waited), less: 0)
        others = fraction(difference(\.busy).map { $0 - own }, less: rounding)
        stolen = fraction(difference(\.stolen), less: rounding)
    }

    /// Whether what was measured meanwhile cannot be relied on.
    public var isDisturbing: Bool { max(waiting, others, stolen) > Self.most }

    /// The largest of the three, in words: "other programs took 34 % of the CPUs' time".
    public var text: String {
        let largest = max(waiting, others, stolen)
        let percent = "\(Int((largest * 100).rounded())) % of the CPUs' time"
        if largest == others { return "other programs took \(percent)" }
        if largest == stolen { return "the hypervisor took \(percent)" }
        return "its own threads waited for \(percent) while other programs ran"
    }
}
