import ForetokenHardware
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A thread for an engine, and a mailbox by which all other threads reach it. The thread sleeps while there is nothing to do.
///
/// Invariant that makes it sendable: everything that changes is inside `state` or atomic.
public final class EngineThread: @unchecked Sendable {
    /// Something for the engine's thread to do. Neither closure may block.
    private struct Job {
        let work: @Sendable (Engine) -> Void
        /// Called in its place when there is no engine any more.
        let refuse: @Sendable (any Error) -> Void
    }

    private struct State {
        var jobs: [Job] = []
        /// Whether the thread is to end when all work is done.
        var isEnding = false
        /// Why no engine will take jobs any more; nil while one may.
        var refusal: (any Error)?
        var hasEnded = false
    }

    private let condition = Condition<State>(State())
    /// Whether `state` has jobs: looked at without a lock.
    private let hasJobs = Atomic(false)
    /// When the engine last looked for jobs; 0 while it is idle.
    private let lastLook = Atomic<Int64>(0)

    /// Starts the thread.
    ///
    /// - Parameter body: runs on it. It makes the engine there, whose workers' first is the calling thread, and gives it to
    ///   `serve`. What it throws becomes the fate of all jobs.
    /// - Throws: `HardwareError` when no thread can be started.
    public init(_ body: @escaping @Sendable (EngineThread) throws -> Void) throws {
        try DetachedThread.start("the engine's thread") {
            do {
                try body(self)
                self.end(CancellationError())
            } catch {
                self.end(error)
            }
        }
    }

    // MARK: From any thread

    /// Lets the engine's thread do something as soon as the window or the phase of a prompt in progress is over.
    ///
    /// - Parameters:
    ///   - work: may submit requests; must not block.
    ///   - refuse: called in its place, by whichever thread, when there is no engine any more.
    public func post(
        _ work: @escaping @Sendable (Engine) -> Void, orElse refuse: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        let refusal = condition.withLock { state -> (any Error)? in
            guard state.refusal == nil else { return state.refusal }
            state.jobs.append(Job(work: work, refuse: refuse))
            hasJobs.store(true, ordering: .releasing)
            return nil
        }
        if let refusal { refuse(refusal) } else { condition.signal() }
    }

    /// Lets the thread end when all requests it has are done.
    public func finish() {
        condition.withLock { $0.isEnding = true }
        condition.signal()
    }

    /// Waits until the thread has ended, for so many nanoseconds at most.
    /// - Returns: whether it has.
    public func wait(nanoseconds: Int64) -> Bool {
        condition.wait(nanoseconds: nanoseconds) { $0.hasEnded }
    }

    /// Nanoseconds since the engine looked for jobs; nil while it has nothing to do.
    public var sinceLastLook: Int64? {
        let last = lastLook.load(ordering: .relaxed)
        return last == 0 ? nil : max(0, MonotonicClock.now - last)
    }

    // MARK: On the engine's thread

    /// Does jobs and runs the engine until `finish` is called. To be called once, from the thread's body.
    /// - Parameter between: called between windows, between phases of a prompt, and when nothing is left to do.
    public func serve(_ engine: Engine, between: @escaping () -> Void = {}) {
        engine.interlude = { [unowned self, unowned engine] in
            between()
            self.look(engine)
        }
        defer { engine.interlude = nil }
        while true {
            lastLook.store(0, ordering: .relaxed)
            let isOver = condition.wait { state in
                state.jobs.isEmpty ? state.isEnding ? true : nil : false
            }
            lastLook.store(MonotonicClock.now, ordering: .relaxed)
            if isOver { return }
            engine.run()
            // What ended last may have ended behind the last window.
            between()
        }
    }

    /// Does what has been posted.
    private func look(_ engine: Engine) {
        lastLook.store(MonotonicClock.now, ordering: .relaxed)
        guard hasJobs.load(ordering: .acquiring) else { return }
        let jobs = condition.withLock { state in
            hasJobs.store(false, ordering: .relaxed)
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { job.work(engine) }
    }

    private func end(_ error: any Error) {
        let jobs = condition.withLock { state in
            state.refusal = error
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { job.refuse(error) }
        condition.withLock { $0.hasEnded = true }
        condition.signal()
    }
}

/// A value behind a lock, with a bell for those who wait until it changes.
private final class Condition<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let bell = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var value: Value

    init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(bell, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(bell)
        pthread_mutex_destroy(mutex)
        bell.deallocate()
        mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    func signal() { pthread_cond_broadcast(bell) }

    /// Waits until `answer` has one.
    func wait<Result>(_ answer: (Value) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = answer(value) { return result }
            pthread_cond_wait(bell, mutex)
        }
    }

    /// Waits until something is so, at most for a time; returns whether it is.
    func wait(nanoseconds: Int64, _ isSo: (Value) -> Bool) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let sum = Int64(deadline.tv_nsec) + max(0, nanoseconds)
        let (seconds, rest) = sum.quotientAndRemainder(dividingBy: 1_000_000_000)
        deadline.tv_sec += Int(seconds)
        deadline.tv_nsec = Int(rest)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isSo(value) {
            if pthread_cond_timedwait(bell, mutex, &deadline) != 0 { return isSo(value) }
        }
        return true
    }
}
