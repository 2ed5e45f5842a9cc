import ForetokenPlacement
import ForetokenSpeculation

/// A trace file in memory.
package final class TraceMemory: RoutingSink {
    /// The file so far.
    package private(set) var bytes: [UInt8]

    /// A trace without windows.
    package init(_ header: RoutingTraceHeader) { bytes = header.bytes }

    /// Appends whole records.
    package func write(_ records: UnsafeRawBufferPointer) { bytes += records }
}
