import CForetokenSystem

/// Ctrl-C and termination requests: the first asks politely, the second ends the process with status 130.
public enum Interrupts {
    /// Lets even the first request end the process with status 130, until `install` is called: while files are opened and
    /// read there is nothing to finish. A signal the process was started to ignore stays ignored.
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func endAtOnce() throws {
        let error = foretoken_interrupts_end_at_once()
        if error != 0 { throw HardwareError.system("handling SIGINT and SIGTERM", errno: error) }
    }

    /// Takes over SIGINT and SIGTERM for the whole process; a signal the process was started to ignore stays ignored.
    ///
    /// Blocking reads, of a terminal for instance, end with EINTR when a signal arrives at their thread; see
    /// `waitForInput`.
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func install() throws {
        let error = foretoken_interrupts_install()
        if error != 0 { throw HardwareError.system("handling SIGINT and SIGTERM", errno: error) }
    }

    /// Whether a request came since `install` or the last `reset`; cheap enough to ask once a round or a layer.
    public static var requested: Bool { foretoken_interrupts_requested() }

    /// Forgets the request, so that the next one is polite again; SIGTERM asks for the end of the process and is not
    /// forgotten.
    public static func reset() { foretoken_interrupts_reset() }

    /// Waits until reading from a descriptor would not block.
    /// - Returns: 0, or an `errno` value; EINTR when a request came, to whichever thread.
    public static func waitForInput(_ descriptor: Int32) -> Int32 { foretoken_wait_readable(descriptor) }

    /// Makes writing to a closed pipe an error (EPIPE) instead of the end of the process, and so writing beyond the limit
    /// of file sizes (EFBIG).
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func ignoreWriteSignals() throws {
        let error = foretoken_ignore_write_signals()
        if error != 0 { throw HardwareError.system("ignoring SIGPIPE and SIGXFSZ", errno: error) }
    }
}
