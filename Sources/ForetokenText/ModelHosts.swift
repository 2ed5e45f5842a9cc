import ForetokenModel
import ForetokenWeights

/// The hosts that share a model, as far as loading it goes. Every host makes the same calls in the same order.
package protocol ModelHosts: AnyObject, Sendable {
    /// What the model's steps will talk over.
    var channel: any HostChannel { get }
    /// Tells the other hosts what to load; for host 0.
    func beginLoading(_ wanted: SharedLoading)
    /// Sees whether all hosts have the same model and compute alike, and divides it.
    /// - Throws: on all hosts, where they do not agree or where no division fits.
    func divide(_ open: OpenModel, _ wanted: SharedLoading, _ crew: Crew) throws -> HostShare
    /// Ends a phase on all hosts in the same way.
    /// - Throws: on all hosts, when it failed on any.
    func settle(_ outcome: Result<Void, any Error>, phase: String) throws
    /// Tells the others how far this host has come.
    /// - Throws: when another host has failed.
    func report(fraction: Double) throws
}

extension ModelHosts {
    /// Loads on all hosts. What cannot be done on one is done on none.
    /// - Parameter load: calls `ready` when it is known that everything fits.
    func loadTogether<Result>(_ load: (_ ready: () throws -> Void) throws -> Result) throws -> Result {
        var phase = "the check of memory"
        var isSettled = false
        func settleOnce(_ outcome: Swift.Result<Void, any Error>) throws {
            isSettled = true
            try settle(outcome, phase: phase)
            isSettled = false
        }
        do {
            let result = try load {
                try settleOnce(.success(()))
                phase = "loading"
            }
            try settleOnce(.success(()))
            return result
        } catch {
            if !isSettled { try settleOnce(.failure(error)) }
            throw error
        }
    }
}
