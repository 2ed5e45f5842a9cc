import Dispatch
import ForetokenAPI

/// Threads for what takes long to compute: those that write streams never wait for it. Long requests wait behind each other, and
/// no short one behind them.
struct Workbench: Sendable {
    /// Bytes up to which a request is short.
    private static let shortBytes = 1 << 16

    private let short = DispatchQueue(label: "short requests")
    private let long = DispatchQueue(label: "long requests")

    /// What `work` makes of a request's body.
    func compute<Result: Sendable>(
        _ body: [UInt8], _ work: @escaping @Sendable ([UInt8]) throws(APIError) -> Result
    ) async throws(APIError) -> Result {
        let queue = body.count > Self.shortBytes ? long : short
        let result = await withCheckedContinuation { continuation in
            queue.async {
                let result: Swift.Result<Result, APIError>
                do throws(APIError) { result = .success(try work(body)) } catch { result = .failure(error) }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }
}
