/// How far the writing of a checkpoint has come.
public struct ConversionProgress: Sendable {
    /// The file being written.
    public let file: String
    /// Bytes done; whether read or written, the converter says.
    public let doneBytes: Int
    /// Bytes in all.
    public let totalBytes: Int
}
