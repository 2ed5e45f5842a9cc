import CForetokenSystem

/// Ctrl-C and termination requests: the first asks politely, the second ends the process with status 130.
public enum Interrupts {
    /// Takes over SIGINT and SIGTERM for the whole process; a signal the process was started to ignore stays ignored.
    ///
    /// Blocking reads, of a terminal for instance, end with EINTR when a signal arrives.
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func install() throws {
        let error = foretoken_interrupts_install()
        if error != 0 { throw HardwareError.system("handling SIGINT and SIGTERM", errno: error) }
    }

    /// Whether a request came since `install` or the last `reset`; cheap enough to ask once a round or a layer.
    public static var requested: Bool { foretoken_interrupts_requested() }

    /// Forgets the request, so that the next one is polite again.
    public static func reset() { foretoken_interrupts_reset() }

    /// Makes writing to a closed pipe an error (EPIPE) instead of the end of the process.
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func ignoreBrokenPipes() throws {
        let error = foretoken_ignore_broken_pipes()
        if error != 0 { throw HardwareError.system("ignoring SIGPIPE", errno: error) }
    }
}
