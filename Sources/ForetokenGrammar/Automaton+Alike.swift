extension Automaton.Tables {
    /// More pairs of states than this are not looked at.
    private static var mostPairs: Int { 1 << 12 }

    /// Whether two states do the same with every text of at most `length` bytes, as far as it is cheap to find out. Places in a
    /// string of bounded length are alike while its end is far, and so are strings of different frames.
    func areAlike(_ first: UInt16, _ second: UInt16, length: Int) -> Bool {
        var seen: Set<UInt32> = []
        var pairs = [(first, second)]
        // After each number of bytes, pairs of states that a text may have led to.
        for _ in 0..<length {
            var next: [(UInt16, UInt16)] = []
            for (first, second) in pairs {
                guard outcomes[Int(first)] == outcomes[Int(second)], reaches[Int(first)] == reaches[Int(second)] else {
                    return false
                }
                for column in 0..<classCount {
                    let left = moves[Int(first) * classCount + column]
                    let right = moves[Int(second) * classCount + column]
                    // Values that begin would come back to different states.
                    let goes = left & 0xFFFF_0000 == Automaton.Move.go && right & 0xFFFF_0000 == Automaton.Move.go
                    guard goes || left == right && left & 0xFFFF_0000 != Automaton.Move.enter else { return false }
                    guard goes, left != right else { continue }
                    let pair = (UInt16(truncatingIfNeeded: left), UInt16(truncatingIfNeeded: right))
                    if seen.insert(UInt32(pair.0) << 16 | UInt32(pair.1)).inserted { next.append(pair) }
                }
            }
            guard seen.count <= Self.mostPairs else { return false }
            if next.isEmpty { return true }
            pairs = next
        }
        return true
    }
}
