/// Weights that are read faster than this machine reads its memory.
package enum ReadRoof {
    /// Caches help where weights are up to so many times their size.
    private static let helpful = 2

    /// Why a share of the read roof is above all of it; nil where it is not.
    /// - Parameters:
    ///   - bytes: what is read again and again.
    ///   - cache: bytes of all last-level caches; 0 where that is not known.
    package static func excuse(_ share: Double?, bytes: Double, cache: Int) -> String? {
        guard isAbove(share) else { return nil }
        guard cache > 0 else { return "not from memory alone" }
        if bytes <= Double(cache) { return "fits the cache" }
        return bytes <= Double(helpful * cache) ? "in part from the cache" : "disturbed: measure again"
    }

    /// Whether a share is above all of the roof; what is shown as 100 % is not.
    package static func isAbove(_ share: Double?) -> Bool { share.map { $0.isFinite && $0 >= 1.005 } ?? false }
}
