import ForetokenHardware
import ForetokenModel
import ForetokenPlacement

/// Takes the bytes of a routing trace as they are made.
public protocol RoutingSink: AnyObject {
    /// Takes whole records, which go behind all earlier ones. Comes from the thread that runs the steps.
    func write(_ records: UnsafeRawBufferPointer)
}

/// Collects which experts a verifier's rows are sent to, step by step, and hands them to a sink as records of a trace
/// file, in blocks, at least once a second while steps come. Once the texts are named, recording allocates nothing.
///
/// Only the verifier's layers are recorded: MTP modules route their drafts as well, but their experts are read by steps
/// of their own.
public final class RoutingRecorder: StepObserver {
    /// A text that was named.
    private struct Text {
        let domain: Int
        /// Its number in the file, once rows of it are there.
        var number: Int?
    }

    /// Always false: the router's choice is all it needs.
    public let wantsValues = false
    /// Windows recorded: rows of a text in a step count as one.
    public private(set) var windowCount = 0
    /// Rows recorded.
    public private(set) var rowCount = 0
    /// Steps recorded.
    public private(set) var stepCount = 0

    private let sink: any RoutingSink
    private var encoder: RoutingTraceEncoder
    /// By the number that texts have where steps are observed: those that rows may come of.
    private var texts: [Int: Text] = [:]
    private var lastWrite = MonotonicClock.now
    /// By decoder layer: its index among the trace's layers.
    private let indices: [Int?]
    /// A window may come while a chunk rests.
    private var chunk: RecordedStep
    private var window: RecordedStep
    private var windows: [RoutingTraceEncoder.Window] = []

    private static let blockBytes = 1 << 16
    private static let mostNanoseconds: Int64 = 1_000_000_000

    /// - Parameters:
    ///   - header: of the verifier's own model.
    ///   - domains: labels that the trace has already, in order.
    ///   - textCount: texts that it has already.
    public init(_ header: RoutingTraceHeader, domains: [String] = [], textCount: Int = 0, sink: any RoutingSink) {
        self.sink = sink
        let fresh = RoutingTraceEncoder(header)
        let stepBytes = max(
            fresh.recordBytes(texts: 1, rows: Step.chunkRows),
            fresh.recordBytes(texts: Step.windowRows, rows: Step.windowRows))
        encoder = RoutingTraceEncoder(
            header, domains: domains, textCount: textCount,
            capacity: Self.blockBytes + RoutingTrace.longestDomain + stepBytes
                + Step.windowRows * RoutingTraceEncoder.textBytes)
        var indices = [Int?](repeating: nil, count: header.layers.last! + 1)
        for (index, layer) in header.layers.enumerated() { indices[layer] = index }
        self.indices = indices
        chunk = RecordedStep(rows: Step.chunkRows, header)
        window = RecordedStep(rows: Step.windowRows, header)
        windows.reserveCapacity(Step.windowRows)
    }

    deinit {
        chunk.deallocate()
        window.deallocate()
    }

    /// - Throws: `PlacementError` for a label that cannot be one, or one too many, which `begin` would refuse.
    public func check(domain label: String) throws { try encoder.check(domain: label) }

    /// Names the kind of a text whose rows come next. What had the number before has ended. Steps with a text that nobody
    /// named are not recorded.
    /// - Parameter text: its number where steps are observed, as `Engine.submit` gives it; 0 for texts that come alone.
    /// - Throws: `PlacementError` for a label that cannot be one.
    public func begin(domain label: String, text: Int = 0) throws {
        texts[text] = Text(domain: try encoder.index(ofDomain: label))
        if encoder.bytes.count >= Self.blockBytes { write() }
    }

    /// Hands over what is left.
    public func finish() { write() }

    // MARK: Steps

    /// Does nothing.
    public func saw(_ site: StepSite, _ rows: StepRows) {}

    /// Takes the experts of a layer's rows.
    public func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        guard layer < indices.count, let index = indices[layer] else { return }
        precondition(perRow == encoder.header.expertsPerToken, "a step of another model")
        switch rows.kind {
        case .chunk:
            if index == 0 { window.forget(rows.text) }
            chunk.take(layer: index, chosen, rows)
        case .window:
            if index == 0 { chunk.forget(rows.text) }
            window.take(layer: index, chosen, rows)
        }
    }

    /// Records the step once it is known what became of all its texts. A step of whose end nobody told leaves no trace.
    public func ended(_ outcome: StepOutcome, text: Int) {
        if chunk.end(outcome, text: text) { record(&chunk) }
        if window.end(outcome, text: text) { record(&window) }
    }

    /// Forgets the text's name, so that it may be recorded for as long as one likes.
    public func left(text: Int) { texts[text] = nil }

    /// Whether a text has been named and has not ended.
    package func isNamed(text: Int) -> Bool { texts[text] != nil }

    /// Texts that rows may come of.
    package var namedTextCount: Int { texts.count }

    private func record(_ step: inout RecordedStep) {
        defer { step.clear() }
        guard step.spans.allSatisfy({ texts[$0.rows.text] != nil }) else { return }
        windows.removeAll(keepingCapacity: true)
        for span in step.spans {
            windows.append(
                .init(text: number(span.rows.text), position: span.rows.firstPosition, rows: span.rows.count))
        }
        encoder.append(windows, kinds: step.allKinds, experts: step.allExperts)
        stepCount += 1
        windowCount += windows.count
        rowCount += step.rowCount
        if encoder.bytes.count >= Self.blockBytes || MonotonicClock.now - lastWrite >= Self.mostNanoseconds { write() }
    }

    /// A named text's number in the file.
    private func number(_ text: Int) -> Int {
        let known = texts[text]!
        if let number = known.number { return number }
        let number = encoder.addText(domain: known.domain)
        texts[text]!.number = number
        return number
    }

    private func write() {
        lastWrite = MonotonicClock.now
        if encoder.bytes.isEmpty { return }
        encoder.bytes.withUnsafeBytes { sink.write($0) }
        encoder.removeAll()
    }
}

/// What is known of a step in progress.
private struct RecordedStep {
    struct Span {
        let rows: TextRows
        var hasEnded = false
    }

    private(set) var spans: [Span] = []
    private(set) var rowCount = 0
    /// Rows of all layers that have been seen.
    private var seen = 0
    private let layers: Int
    private let perRow: Int
    private let kinds: UnsafeMutableBufferPointer<RoutingTrace.RowKind>
    /// [row][layer][expertsPerToken].
    private let experts: UnsafeMutableBufferPointer<UInt16>

    init(rows: Int, _ header: RoutingTraceHeader) {
        (layers, perRow) = (header.layers.count, header.expertsPerToken)
        kinds = .allocate(capacity: rows)
        experts = .allocate(capacity: rows * layers * perRow)
        spans.reserveCapacity(Step.windowRows)
    }

    func deallocate() {
        kinds.deallocate()
        experts.deallocate()
    }

    var allKinds: UnsafeBufferPointer<RoutingTrace.RowKind> { UnsafeBufferPointer(rebasing: kinds[..<rowCount]) }
    var allExperts: UnsafeBufferPointer<UInt16> {
        UnsafeBufferPointer(rebasing: experts[..<(rowCount * layers * perRow)])
    }

    mutating func clear() {
        spans.removeAll(keepingCapacity: true)
        (rowCount, seen) = (0, 0)
    }

    /// Forgets the step if it has rows of a text that goes on in another: its end was never told.
    mutating func forget(_ text: Int) {
        if spans.contains(where: { $0.rows.text == text }) { clear() }
    }

    mutating func take(layer: Int, _ chosen: UnsafePointer<Int32>, _ rows: TextRows) {
        if layer == 0 {
            if rows.firstRow == 0 { clear() }
            spans.append(Span(rows: rows))
            rowCount += rows.count
        }
        precondition(rows.firstRow + rows.count <= kinds.count, "more rows than a step has")
        let stride = layers * perRow
        for row in 0..<rows.count {
            let target = (rows.firstRow + row) * stride + layer * perRow
            for i in 0..<perRow { experts[target + i] = UInt16(truncatingIfNeeded: chosen[row * perRow + i]) }
        }
        seen += rows.count
    }

    /// Takes what became of a text's rows.
    /// - Returns: whether that is known of all texts now.
    mutating func end(_ outcome: StepOutcome, text: Int) -> Bool {
        guard rowCount > 0, seen == rowCount * layers,
            let span = spans.firstIndex(where: { $0.rows.text == text && !$0.hasEnded })
        else { return false }
        let rows = spans[span].rows
        for row in 0..<rows.count { kinds[rows.firstRow + row] = Self.kind(ofRow: row, outcome) }
        spans[span].hasEnded = true
        return spans.allSatisfy { $0.hasEnded }
    }

    private static func kind(ofRow row: Int, _ outcome: StepOutcome) -> RoutingTrace.RowKind {
        switch outcome {
        case .prompt: .prompt
        case .verified(let accepted): row == 0 ? .newest : row <= accepted ? .accepted : .rejected
        }
    }
}
