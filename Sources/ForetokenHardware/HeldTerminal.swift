import CForetokenSystem
import Glibc

/// Standard input as a terminal that hands on every key at once and shows none itself. Its usual state comes back with the end
/// of the process, whatever ends it but SIGKILL, and while it is stopped.
public enum HeldTerminal {
    /// Takes the terminal, or changes who gets the keys; what has been typed is kept.
    /// - Parameter takesAllKeys: whether Ctrl-C and Ctrl-Z are keys like others; else they are signals. From the first time on
    ///   what is pasted is marked.
    /// - Throws: `HardwareError` for what is no terminal.
    public static func hold(takesAllKeys: Bool) throws {
        let error = foretoken_terminal_hold(STDIN_FILENO, STDERR_FILENO, takesAllKeys)
        if error != 0 { throw HardwareError.system("setting the terminal's state", errno: error) }
    }

    /// Puts the usual state back.
    public static func release() { foretoken_terminal_release() }
}
