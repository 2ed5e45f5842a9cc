import ForetokenPlacement
import Testing

@Suite struct ExpertPlacementTests {
    @Test("Cuts are contiguous, cover every panel, and follow the shares to within one panel")
    func cuts() {
        for panels in 1...70 {
            for weights in [[1], [1, 1], [1, 1, 1], [7, 7, 2], [1, 15], [3, 3, 3, 3, 3, 3, 3, 11]] {
                let copy = ExpertPlacement.shares(weights).copies[0]
                let ranges = ExpertPlacement.cut(copy, panels: panels)
                #expect(ranges.count == copy.count)
                #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == panels)
                for (range, next) in zip(ranges, ranges.dropFirst()) { #expect(range.upperBound == next.lowerBound) }
                let total = weights.reduce(0, +)
                for (range, part) in zip(ranges, copy) {
                    #expect(abs(Double(range.count) - Double(panels * part.share) / Double(total)) <= 1)
                }
            }
        }
    }
}
