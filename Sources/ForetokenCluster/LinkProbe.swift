import CForetokenHosts

/// What rank 0 measured between itself and another rank.
package struct LinkFigures: Sendable, Equatable {
    /// One way for 8 bytes, in seconds; the median.
    package let latency: Double
    /// Bytes a second, of 1 MB beyond the latency; from the median.
    package let bandwidth: Double

    /// Both.
    package init(latency: Double, bandwidth: Double) {
        self.latency = latency
        self.bandwidth = bandwidth
    }

    /// From the times of messages there and back.
    /// - Parameters:
    ///   - small: of 8 bytes, in nanoseconds; not empty.
    ///   - large: of `byteCount` bytes, in nanoseconds; not empty.
    package init(small: [Int64], large: [Int64], byteCount: Int) {
        let oneWay = { (times: [Int64]) in Double(times.sorted()[times.count / 2]) / 2e9 }
        latency = oneWay(small)
        // A transfer shorter than the latency says that the clock cannot tell.
        bandwidth = Double(byteCount) / max(oneWay(large) - latency, 1e-9)
    }
}

extension Cluster {
    private static let largeBytes = 1 << 20
    /// Seconds for all links.
    private static let budget = 0.2

    /// Sends messages between rank 0 and each other rank in turn, for about 0.2 s in all, longer on links slower than
    /// 100 MB/s. All ranks call it together.
    /// - Returns: by rank, nil for rank 0 itself; the same on all ranks.
    package func probeLinks() -> [LinkFigures?] {
        var figures: [LinkFigures?] = [nil]
        for peer in 1..<count { figures.append(probeLink(peer)) }
        // Rank 0's clock alone measured.
        let texts = figures.map { figure in figure.map { "\($0.latency) \($0.bandwidth)" } ?? "" }
        let shared = ranks.share(TextList.encode(isLeader ? texts : []), patience: ranks.patience)[0]
        return (TextList.decode(shared) ?? []).map { text in
            let numbers = text.split(separator: " ").compactMap { Double($0) }
            return numbers.count == 2 ? LinkFigures(latency: numbers[0], bandwidth: numbers[1]) : nil
        }
    }

    /// - Returns: on rank 0; nil elsewhere.
    private func probeLink(_ peer: Int) -> LinkFigures? {
        let share = Self.budget / Double(count - 1) / 2
        let first = ping(peer, byteCount: 8, rounds: 11)
        let small = ping(peer, byteCount: 8, rounds: agreedRounds(first, seconds: share, most: 200))
        let warm = ping(peer, byteCount: Self.largeBytes, rounds: 2)
        let large = ping(peer, byteCount: Self.largeBytes, rounds: agreedRounds(warm, seconds: share, most: 50))
        guard isLeader else { return nil }
        return LinkFigures(small: small, large: large, byteCount: Self.largeBytes)
    }

    /// How many rounds fit, as rank 0 has measured; the same on all ranks.
    private func agreedRounds(_ times: [Int64], seconds: Double, most: Int) -> Int {
        let longest = Double(times.last ?? 0) / 1e9
        let own = isLeader ? min(max(5, Int(seconds / max(longest, 1e-7))), most) : 0
        let shared = ranks.share(TextList.encode(isLeader ? ["\(own)"] : []), patience: ranks.patience)[0]
        return TextList.decode(shared)?.first.flatMap(Int.init).map { min(max(1, $0), most) } ?? 1
    }

    /// - Returns: nanoseconds of each round, on rank 0; nothing on ranks that take no part.
    private func ping(_ peer: Int, byteCount: Int, rounds: Int) -> [Int64] {
        guard isLeader || rank == peer else { return [] }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var times = [Int64](repeating: 0, count: rounds)
        ranks.check(
            ranks.hosts.pointee.ping(Int32(peer), &bytes, byteCount, Int32(rounds), &times, ranks.patience),
            patience: ranks.patience)
        return isLeader ? times : []
    }
}
