import ForetokenLaboratory
import ForetokenPlacement
import ForetokenText

/// A routing trace that the user names.
struct TraceInput {
    private(set) var trace: RoutingTrace
    /// Bytes at its end that were no whole record.
    let droppedByteCount: Int

    /// Reads a trace as it was recorded, or in its text form.
    /// - Parameters:
    ///   - isText: whether it must be in its text form; nil looks at how it begins.
    ///   - expertCount: routed experts a layer, for the text form, which does not say; nil takes the largest id.
    /// - Throws: `UsageError` when there is no such file, `InputError` when it is no good trace.
    init(_ path: String, isText: Bool? = nil, expertCount: Int? = nil) throws {
        let bytes = try InputFile.bytes(path, for: .trace) { beginning in
            // What has neither form may have no end. A byte-order mark is left to whoever reads the text.
            guard let first = Self.firstMark(beginning), first != Self.brace, first != 0xEF else { return }
            try InputFile.named(path) {
                if isText == true { throw PlacementError("it does not begin with a JSON object, {\"round\":0,…}") }
                try RoutingTraceFile.checkBeginning(beginning)
            }
        }
        let isText = isText ?? (Self.firstMark(bytes) == Self.brace)
        (trace, droppedByteCount) = try InputFile.named(path) {
            if isText { return (try RoutingTrace(jsonLines: bytes, expertCount: expertCount), 0) }
            let file = try RoutingTraceFile(bytes)
            return (file.trace, file.droppedByteCount)
        }
        if droppedByteCount > 0 {
            Console.note(
                "the last \(droppedByteCount) bytes of \(path) are no whole record: a crash cut them off, or the "
                    + "recording goes on; everything before them is used")
        }
    }

    private static let brace = UInt8(ascii: "{")

    /// The first byte that is no white space.
    private static func firstMark(_ bytes: [UInt8]) -> UInt8? {
        bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    }

    /// Reads traces of one model and joins them.
    /// - Parameters:
    ///   - recorded: paths of traces in either form.
    ///   - texts: paths of traces in their text form.
    ///   - parallel: how many texts are to share a step; nil leaves them as they were recorded.
    /// - Throws: as `init` does, and `InputError` for traces of another model, or of too few texts.
    static func joined(
        _ recorded: [String], texts: [String], parallel: Int?, for model: PlacedModel
    ) throws -> RoutingTrace {
        let paths = recorded.map { ($0, nil as Bool?) } + texts.map { ($0, true) }
        var joined: RoutingTrace?
        for (path, isText) in paths {
            let trace = try TraceInput(path, isText: isText, expertCount: model.placement.expertCount).trace
            try InputFile.named(path) {
                guard trace.rowCount > 0 else {
                    throw PlacementError("the routing trace has no rows; record some text")
                }
                try model.placement.check(trace, comparesFingerprints: !model.isShape)
                if joined == nil { joined = trace } else { try joined?.append(trace) }
            }
        }
        guard let joined else { throw UsageError("give a routing trace: --trace or --trace-jsonl") }
        return try InputFile.named(paths.map { $0.0 }.joined(separator: ", ")) { try shared(joined, by: parallel) }
    }

    /// A trace of made-up routing.
    /// - Parameter parallel: how many texts are to share a step; nil leaves each its own.
    /// - Throws: `InputError` for a model without routed experts.
    static func example(parallel: Int?, for model: PlacedModel) throws -> RoutingTrace {
        guard var routing = ExampleRouting(model.configuration) else {
            throw InputError("\(model.label) has no routed experts, so there is nothing to place")
        }
        return try shared(routing.trace(model: model.placement.fingerprint), by: parallel)
    }

    private static func shared(_ trace: RoutingTrace, by parallel: Int?) throws -> RoutingTrace {
        guard let parallel else { return trace }
        let together = try trace.shared(by: parallel)
        let left = trace.rowCount - together.rowCount
        if left > 0 {
            Console.note(
                "\(left) of the traces' \(trace.rowCount) rows are left out: they came when fewer than \(parallel) "
                    + "texts were left")
        }
        return together
    }
}

extension InputFile {
    /// Puts the file's name before what is wrong with its content.
    static func named<Value>(_ path: String, _ read: () throws -> Value) throws -> Value {
        do {
            return try read()
        } catch let error as PlacementError {
            throw InputError("\(path): \(error)")
        }
    }
}
