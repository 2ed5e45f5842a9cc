/// Work that all threads do together: plain data, copied to nobody, read by every worker through one pointer. Swift
/// closures would cost an allocation and shared reference counts in the token loop.
@usableFromInline package protocol Phase {
    /// A C function that finds the phase behind its context and calls its work.
    static var entry: WorkerPool.Entry { get }
}

// Inlinable, so that other rooms' phases are known by their type here, too.
extension WorkerPool {
    /// Runs the phase on every worker and returns when all have finished.
    @inlinable @inline(__always)
    package func run<P: Phase>(_ phase: P) {
        withUnsafePointer(to: phase) { run(P.entry, UnsafeMutableRawPointer(mutating: $0)) }
    }
}

extension UnsafeMutableRawPointer? {
    /// The phase a worker was called for.
    @inlinable @inline(__always)
    package func phase<P: Phase>(_: P.Type) -> P { self!.assumingMemoryBound(to: P.self).pointee }
}
