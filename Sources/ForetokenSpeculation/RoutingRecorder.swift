import ForetokenHardware
import ForetokenModel
import ForetokenPlacement

/// Takes the bytes of a routing trace as they are made.
public protocol RoutingSink: AnyObject {
    /// Takes whole records, which go behind all earlier ones. Comes from the thread that runs the steps.
    func write(_ records: UnsafeRawBufferPointer)
}

/// Collects which experts a verifier's rows are sent to, window by window, and hands them to a sink as records of a
/// trace file, in blocks, at least once a second while windows come. Once it is made, recording allocates nothing.
///
/// Only the verifier's layers are recorded: MTP modules route their drafts as well, but their experts are read by steps
/// of their own.
public final class RoutingRecorder: StepObserver {
    /// Always false: the router's choice is all it needs.
    public let wantsValues = false
    /// Windows recorded.
    public private(set) var windowCount = 0
    /// Rows recorded.
    public private(set) var rowCount = 0

    private let sink: any RoutingSink
    private var encoder: RoutingTraceEncoder
    private var domain: Int?
    private var lastWrite = MonotonicClock.now
    /// By decoder layer: its index among the trace's layers.
    private let indices: [Int?]
    private let kinds: UnsafeMutableBufferPointer<RoutingTrace.RowKind>
    /// [row][layer][expertsPerToken] of the step in progress.
    private let experts: UnsafeMutableBufferPointer<UInt16>
    private var rows = 0
    private var position = 0
    /// Layers of the step that have been seen.
    private var seen = 0

    private static let blockBytes = 1 << 16
    private static let mostNanoseconds: Int64 = 1_000_000_000

    /// - Parameters:
    ///   - header: of the verifier's own model.
    ///   - domains: labels that the trace has already, in order.
    public init(_ header: RoutingTraceHeader, domains: [String] = [], sink: any RoutingSink) {
        self.sink = sink
        let fresh = RoutingTraceEncoder(header, domains: domains)
        encoder = RoutingTraceEncoder(
            header, domains: domains,
            capacity: Self.blockBytes + RoutingTrace.longestDomain + fresh.recordBytes(rows: Step.chunkRows))
        var indices = [Int?](repeating: nil, count: header.layers.last! + 1)
        for (index, layer) in header.layers.enumerated() { indices[layer] = index }
        self.indices = indices
        kinds = .allocate(capacity: Step.chunkRows)
        experts = .allocate(capacity: Step.chunkRows * header.layers.count * header.expertsPerToken)
    }

    deinit {
        kinds.deallocate()
        experts.deallocate()
    }

    /// Names the kind of text that comes next.
    /// - Throws: `PlacementError` for a label that cannot be one.
    public func begin(domain label: String) throws {
        domain = try encoder.index(ofDomain: label)
    }

    /// Hands over what is left.
    public func finish() { write() }

    // MARK: Steps

    /// Does nothing.
    public func saw(_ site: StepSite, _ rows: StepRows) {}

    /// Takes the experts of a layer's rows.
    public func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, rows routed: TextRows) {
        let (count, firstPosition) = (routed.count, routed.firstPosition)
        precondition(routed.firstRow == 0, "records are of one text's windows")
        let header = encoder.header
        guard layer < indices.count, let index = indices[layer] else { return }
        precondition(perRow == header.expertsPerToken && count <= kinds.count, "a step of another model")
        if index == 0 {
            seen = 0
            rows = count
            position = firstPosition
        }
        let stride = header.layers.count * perRow
        for row in 0..<count {
            let target = row * stride + index * perRow
            for i in 0..<perRow { self.experts[target + i] = UInt16(truncatingIfNeeded: experts[row * perRow + i]) }
        }
        seen += 1
    }

    /// Records the step as a window. A step of whose end nobody told leaves no trace.
    public func ended(_ outcome: StepOutcome, text: Int) {
        let layers = encoder.header.layers.count
        guard seen == layers, let domain else { return }
        seen = 0
        for row in 0..<rows { kinds[row] = Self.kind(ofRow: row, outcome) }
        encoder.append(
            domain: domain, position: position, kinds: UnsafeBufferPointer(rebasing: kinds[..<rows]),
            experts: UnsafeBufferPointer(rebasing: experts[..<(rows * layers * encoder.header.expertsPerToken)]))
        windowCount += 1
        rowCount += rows
        if encoder.bytes.count >= Self.blockBytes || MonotonicClock.now - lastWrite >= Self.mostNanoseconds { write() }
    }

    private static func kind(ofRow row: Int, _ outcome: StepOutcome) -> RoutingTrace.RowKind {
        switch outcome {
        case .prompt: .prompt
        case .verified(let accepted): row == 0 ? .newest : row <= accepted ? .accepted : .rejected
        }
    }

    private func write() {
        lastWrite = MonotonicClock.now
        if encoder.bytes.isEmpty { return }
        encoder.bytes.withUnsafeBytes { sink.write($0) }
        encoder.removeAll()
    }
}
