import CForetokenSystem

/// Stacks of threads that libraries make.
public enum ThreadStacks {
    /// Gives threads that are made from now on a stack of that size, unless their makers say otherwise. Without this they
    /// would have as much as `ulimit -s` said when the process began.
    ///
    /// - Throws: `HardwareError` when the system refuses.
    public static func set(bytes: Int) throws {
        let error = foretoken_set_new_stacks(bytes)
        if error != 0 { throw HardwareError.system("setting the size of threads' stacks", errno: error) }
    }
}
