import Synchronization

/// A wish to give up a request, which any thread may express at any time. It is looked at before every window and in every
/// slice of a prompt's chunk.
public final class Cancellation: Sendable {
    private let flag = Atomic(false)

    /// Nothing is given up yet.
    public init() {}

    /// Whether the request is to be given up.
    public var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// Gives the request up; for good.
    public func request() { flag.store(true, ordering: .relaxed) }
}
