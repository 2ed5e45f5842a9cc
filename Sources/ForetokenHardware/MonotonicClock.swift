import CForetokenSystem

/// The clock that never jumps, for durations.
public enum MonotonicClock {
    /// Nanoseconds since an arbitrary moment.
    public static var now: Int64 { foretoken_monotonic_nanoseconds() }
}
