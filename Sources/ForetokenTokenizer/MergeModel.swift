import HeapModule

/// Byte-pair encoding of one piece: start from single bytes, then always join the neighbours whose merge has the lowest
/// rank, the leftmost such pair first, until no pair has a merge.
struct MergeModel: Sendable {
    /// Pieces up to this many bytes are searched pair by pair, longer ones through a heap.
    static let scanLimit = 48

    /// No merge: larger than every rank.
    private static let none = UInt64.max

    /// The token of each single byte.
    let byteTokens: [Int32]
    /// left id << 32 | right id  →  rank << 32 | merged id.
    let merges: PairTable

    @inline(__always)
    private func merge(_ left: Int32, _ right: Int32) -> UInt64 {
        merges[UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))] ?? Self.none
    }

    @inline(__always)
    private func merged(_ entry: UInt64) -> Int32 { Int32(truncatingIfNeeded: entry & 0xFFFF_FFFF) }

    /// The rank alone, still in the upper half.
    @inline(__always)
    private func rank(_ entry: UInt64) -> UInt64 { entry & 0xFFFF_FFFF_0000_0000 }

    /// Scratch of one encoding call.
    struct Scratch {
        fileprivate var ids = [Int32](repeating: 0, count: MergeModel.scanLimit)
        fileprivate var pairs = [UInt64](repeating: 0, count: MergeModel.scanLimit)
    }

    func encode(_ piece: UnsafeBufferPointer<UInt8>, scratch: inout Scratch, into output: inout [Int32]) {
        if piece.count == 1 {
            output.append(byteTokens[Int(piece[0])])
        } else if piece.count <= Self.scanLimit {
            encodeByScan(piece, &scratch, &output)
        } else {
            encodeByHeap(piece, &output)
        }
    }

    /// O(n²) with a tiny constant: every step looks at all pairs left.
    private func encodeByScan(
        _ piece: UnsafeBufferPointer<UInt8>, _ scratch: inout Scratch, _ output: inout [Int32]
    ) {
        scratch.ids.withUnsafeMutableBufferPointer { ids in
            scratch.pairs.withUnsafeMutableBufferPointer { pairs in
                var count = piece.count
                for index in 0..<count { ids[index] = byteTokens[Int(piece[index])] }
                for index in 0..<count - 1 { pairs[index] = merge(ids[index], ids[index + 1]) }
                while count > 1 {
                    var best = 0
                    for index in 1..<count - 1 where pairs[index] < pairs[best] { best = index }
                    guard pairs[best] != Self.none else { break }
                    ids[best] = merged(pairs[best])
                    count -= 1
                    for index in best + 1..<count {
                        ids[index] = ids[index + 1]
                        pairs[index - 1] = pairs[index]
                    }
                    if best > 0 { pairs[best - 1] = merge(ids[best - 1], ids[best]) }
                    if best < count - 1 { pairs[best] = merge(ids[best], ids[best + 1]) }
                }
                output.append(contentsOf: ids[..<count])
            }
        }
    }

    /// O(n log n): a linked list of symbols, and a heap of rank << 32 | position with stale entries left in.
    private func encodeByHeap(_ piece: UnsafeBufferPointer<UInt8>, _ output: inout [Int32]) {
        let count = piece.count
        var ids = piece.map { byteTokens[Int($0)] }
        var next = (0..<count).map { Int32($0 + 1) }
        var previous = (0..<count).map { Int32($0 - 1) }
        var pairs = (0..<count).map { $0 + 1 < count ? merge(ids[$0], ids[$0 + 1]) : Self.none }
        var queue = Heap(
            pairs.indices.lazy.filter { pairs[$0] != Self.none }.map { rank(pairs[$0]) | UInt64($0) })

        while let entry = queue.popMin() {
            let left = Int(entry & 0xFFFF_FFFF)
            // The pair that was queued is gone when either side has been merged since.
            guard pairs[left] != Self.none, rank(pairs[left]) == rank(entry) else { continue }
            let right = Int(next[left])
            let following = Int(next[right])
            ids[left] = merged(pairs[left])
            pairs[right] = Self.none
            next[left] = Int32(following)
            pairs[left] = Self.none
            if following < count {
                previous[following] = Int32(left)
                update(left, following)
            }
            if previous[left] >= 0 { update(Int(previous[left]), left) }
        }
        var index = 0
        while index < count {
            output.append(ids[index])
            index = Int(next[index])
        }

        func update(_ left: Int, _ right: Int) {
            pairs[left] = merge(ids[left], ids[right])
            if pairs[left] != Self.none { queue.insert(rank(pairs[left]) | UInt64(left)) }
        }
    }
}
