import ForetokenPlacement

/// A routing trace that the user names.
struct TraceInput {
    let trace: RoutingTrace
    /// Bytes at its end that were no whole record.
    let droppedByteCount: Int

    /// Reads a trace as it was recorded, or in its text form.
    /// - Throws: `UsageError` when there is no such file, `InputError` when it is no good trace.
    init(_ path: String) throws {
        let bytes = try InputFile.bytes(path)
        let isText = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "{")
        (trace, droppedByteCount) = try InputFile.named(path) {
            if isText { return (try RoutingTrace(jsonLines: bytes), 0) }
            let file = try RoutingTraceFile(bytes)
            return (file.trace, file.droppedByteCount)
        }
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
