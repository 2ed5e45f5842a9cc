#if canImport(Glibc)
    import Glibc
#endif

/// A thread of its own for one piece of work, which nobody waits for.
package enum DetachedThread {
    private final class Start {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts one.
    /// - Parameters:
    ///   - name: what it is, for the error.
    ///   - isModest: whether it gives way to everything else that wants its processor.
    ///   - body: what it does.
    /// - Throws: `HardwareError` when there can be no further thread.
    package static func start(
        _ name: String, isModest: Bool = false, _ body: @escaping @Sendable () -> Void
    ) throws {
        let start = Unmanaged.passRetained(
            Start {
                // Linux has a priority for each thread; where it may not be lowered, the work is done all the same.
                if isModest { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19) }
                body()
            })
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // As much as a main thread mostly has, whatever `ulimit -s` says.
        pthread_attr_setstacksize(&attributes, 8 << 20)
        var thread = pthread_t()
        let error = pthread_create(
            &thread, &attributes,
            { argument in
                Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        guard error == 0 else {
            start.release()
            throw HardwareError.system("starting \(name)", errno: error)
        }
        pthread_detach(thread)
    }
}
