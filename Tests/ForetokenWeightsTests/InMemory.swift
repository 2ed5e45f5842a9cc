import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Opens files laid out in memory, gives the checkpoint to `body` and frees the memory.
func withCheckpoint<Result>(
    _ files: [(name: String, bytes: [UInt8])], _ body: (Checkpoint) throws -> Result
) throws -> Result {
    let buffers = files.map { file in
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: file.bytes.count, alignment: 1)
        buffer.copyBytes(from: file.bytes)
        return (name: file.name, bytes: UnsafeRawBufferPointer(buffer))
    }
    defer { for buffer in buffers { buffer.bytes.deallocate() } }
    return try body(try Checkpoint(embedded: buffers, label: "memory"))
}

/// The `CheckpointError` that `body` throws.
func checkpointError(
    _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> CheckpointError? {
    #expect(throws: CheckpointError.self, sourceLocation: sourceLocation, performing: body)
}

/// The description of the `CheckpointError` that `body` throws, or an empty text.
func complaint(sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) -> String {
    checkpointError(body, sourceLocation: sourceLocation)?.description ?? ""
}
