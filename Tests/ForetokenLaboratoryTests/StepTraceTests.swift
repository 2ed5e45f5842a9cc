import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import Testing

@Suite struct FingerprintTests {
    private func fingerprint(_ values: [Float]) -> UInt64 {
        values.withUnsafeBufferPointer { Fingerprint.of($0.baseAddress!, $0.count) }
    }

    @Test(arguments: [1, 7, 8, 9, 64, 67])
    func everyBitCounts(count: Int) {
        let values = (0..<count).map { Float($0) / 3 }
        var seen: Set = [fingerprint(values)]
        for index in 0..<count {
            for bit in 0..<32 {
                var changed = values
                changed[index] = Float(bitPattern: values[index].bitPattern ^ 1 << bit)
                seen.insert(fingerprint(changed))
            }
        }
        #expect(seen.count == 1 + 32 * count)
    }

    @Test func flippedSignsAndSwappedValuesDoNotCancel() {
        let values = (0..<64).map { Float($0 + 1) }
        #expect(fingerprint(values.map { -$0 }) != fingerprint(values))
        for (a, b) in [(0, 8), (0, 1), (1, 9), (3, 59)] {
            var flipped = values
            flipped[a] = -flipped[a]
            flipped[b] = -flipped[b]
            #expect(fingerprint(flipped) != fingerprint(values), "signs of \(a) and \(b)")
            var swapped = values
            swapped.swapAt(a, b)
            #expect(fingerprint(swapped) != fingerprint(values), "\(a) for \(b)")
        }
    }
}

/// Passes everything on to a trace, one value of one place with its lowest bit flipped.
private final class Tampering: StepObserver {
    let trace: StepTrace
    let position: Int
    let site: StepSite
    let element: Int

    init(_ trace: StepTrace, position: Int, site: StepSite, element: Int) {
        self.trace = trace
        self.position = position
        self.site = site
        self.element = element
    }

    var wantsValues: Bool { true }

    func saw(_ site: StepSite, _ rows: StepRows) {
        let row = position - rows.firstPosition
        guard site == self.site, (0..<rows.count).contains(row) else { return trace.saw(site, rows) }
        let value = UnsafeMutablePointer(mutating: rows.base) + row * rows.stride + element
        let original = value.pointee
        value.pointee = Float(bitPattern: original.bitPattern ^ 1)
        trace.saw(site, rows)
        value.pointee = original
    }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
}

@Suite(.serialized)
struct StepTraceTests {
    private let model: Model
    private let folder: TemporaryFolder
    private let tokens: [Int32] = (0..<40).map { $0 * 7 % 96 }

    init() throws {
        folder = try TemporaryFolder()
        try TinyModel().write(to: folder)
        model = try Model.load(folder.path)
    }

    /// A prompt of 20 tokens in one wide step, then windows of `width`.
    private func run(_ observer: any StepObserver, width: Int, rejecting: Bool = false) throws {
        let text = try SingleText(model, context: 64)
        model.verifier.observer = observer
        defer { model.verifier.observer = nil }
        text.run(tokens[..<20])
        while text.position < 40 {
            let start = text.position
            let count = min(width, 40 - start)
            if rejecting {
                // Wrong tokens first.
                text.run(tokens[3..<3 + count])
                text.sequence.truncate(to: start)
            }
            text.run(tokens[start..<start + count])
            text.computeLogits(first: 0, count: count)
        }
    }

    @Test func widthsAndRejectedRowsLeaveNoTrace() throws {
        let reference = StepTrace()
        try run(reference, width: 1)
        #expect(reference.stepCount == 21)
        #expect(reference.rows.count == 40)
        #expect(reference.rows[39].place == RowPlace(index: 0, count: 1))
        #expect(reference.rows[39].entries.first?.operation == .embedding)
        #expect(reference.rows[39].entries.last?.operation == .logits)
        for rejecting in [false, true] {
            let other = StepTrace()
            try run(other, width: 7, rejecting: rejecting)
            #expect(reference.firstDifference(to: other, positions: 0..<40) == nil)
        }
    }

    @Test func aChangedBitIsLocated() throws {
        let site = StepSite(layer: 1, operation: .experts, expert: nil)
        let target = StepTrace.Target(position: 30, site: site)
        let reference = StepTrace(keeping: target)
        try run(reference, width: 1)
        let other = StepTrace(keeping: target)
        try run(Tampering(other, position: 30, site: site, element: 17), width: 4)
        let difference = try #require(reference.firstDifference(to: other, positions: 0..<40))
        #expect(difference.position == 30)
        #expect(difference.expected == site)
        #expect(difference.found == site)
        #expect(difference.expectedPlace == RowPlace(index: 0, count: 1))
        #expect(difference.foundPlace == RowPlace(index: 2, count: 4))
        let expected = try #require(reference.kept)
        let found = try #require(other.kept)
        let differing = expected.indices.filter { expected[$0].bitPattern != found[$0].bitPattern }
        #expect(differing == [17])
        #expect(expected[17].bitPattern == found[17].bitPattern ^ 1)
    }
}
