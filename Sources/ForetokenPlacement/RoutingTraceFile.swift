/// A routing trace as a file, version 1. All numbers are unsigned and little-endian.
///
/// The file begins with a header:
///
///     8 bytes   89 46 54 52 54 0D 0A 1A
///     4         version
///     4         size of the header in bytes, checksum included
///     1 + n     n, and the model's fingerprint in ASCII; n = 0 where it is unknown
///     4         routed experts a layer
///     4         experts of a row in a layer
///     4 + 2·l   l, and the numbers of the decoder layers with routed experts, ascending
///     4         checksum of all bytes before
///
/// Records follow, each whole in itself, so that a file may grow and its end may be missing:
///
///     1         "D" for a domain, "W" for a window
///     4         size of the content in bytes
///     4         checksum of these first five bytes and the content
///     content   domain: its label in UTF-8; domains count from 0
///               window: 4 position of its first row in the text; 2 domain; 2 rows;
///               2 bits a row, its kind (0 prompt, 1 newest, 2 accepted, 3 rejected draft);
///               ⌈log2 experts⌉ bits an expert (at least 1), ascending within a row's layer, [row][layer][expert]
///
/// Kinds and experts are packed lowest bit first and end with a whole byte each. A window is either a prompt's, or the
/// newest token followed by its accepted, then its rejected drafts. A checksum is the 64-bit FNV-1a, its halves combined
/// by exclusive or.
public struct RoutingTraceFile: Sendable, Equatable {
    /// What the whole records hold.
    public let trace: RoutingTrace
    /// Bytes behind the last whole record: what a crash cut off or damaged.
    public let droppedByteCount: Int

    /// Reads a file, however it ends.
    /// - Throws: `PlacementError` when it is no trace or damaged before its end.
    public init(_ bytes: [UInt8]) throws {
        var walker = try RoutingTraceWalker(bytes)
        var trace = RoutingTrace(walker.header)
        while let record = try walker.next() {
            switch record {
            case .domain(let label): trace.domains.append(label)
            case .window(let window):
                try trace.append(window, of: bytes, walker.header, index: trace.windows.count)
            }
        }
        self.trace = trace
        droppedByteCount = walker.droppedCount
    }

    /// Refuses a file for its first bytes, before the rest of it is read.
    /// - Throws: `PlacementError` when no trace begins like this.
    public static func checkBeginning(_ bytes: [UInt8]) throws {
        if !bytes.starts(with: RoutingTraceHeader.magic.prefix(bytes.count)) { throw RoutingTraceHeader.noTrace }
    }

    /// What must be known of a file to add to it.
    public struct Survey: Sendable, Equatable {
        /// What the trace is about.
        public let header: RoutingTraceHeader
        /// Labels of its domains by index.
        public let domains: [String]
        /// Number of windows.
        public let windowCount: Int
        /// Bytes up to the end of the last whole record.
        public let wholeByteCount: Int
        /// Bytes behind it.
        public let droppedByteCount: Int

        /// Looks at a file without keeping its windows.
        /// - Throws: `PlacementError` when it is no trace, damaged before its end, or has a window that cannot be: what
        ///   could not be read later is not added to.
        public init(_ bytes: [UInt8]) throws {
            var walker = try RoutingTraceWalker(bytes)
            var domains: [String] = []
            var window = RoutingTrace(walker.header)
            while let record = try walker.next() {
                switch record {
                case .domain(let label): domains.append(label)
                case .window(let found):
                    try window.append(found, of: bytes, walker.header, index: walker.windowCount - 1)
                    window.removeAll()
                }
            }
            header = walker.header
            self.domains = domains
            windowCount = walker.windowCount
            wholeByteCount = walker.end
            droppedByteCount = walker.droppedCount
        }
    }

    /// A whole file.
    /// - Throws: `PlacementError` for a trace that a file cannot hold.
    public static func bytes(of trace: RoutingTrace) throws -> [UInt8] {
        var encoder = RoutingTraceEncoder(try trace.header())
        for label in trace.domains { _ = try encoder.index(ofDomain: label) }
        let ids = encoder.header.idsPerRow
        for window in trace.windows {
            guard 1...RoutingTraceEncoder.mostRows ~= window.rows.count else {
                throw PlacementError(
                    "a window has \(window.rows.count) rows; 1...\(RoutingTraceEncoder.mostRows) are possible in a file"
                )
            }
            let experts = window.rows.lowerBound * ids..<window.rows.upperBound * ids
            trace.kinds.withUnsafeBufferPointer { kinds in
                trace.experts.withUnsafeBufferPointer { all in
                    encoder.append(
                        domain: window.domain, position: window.position,
                        kinds: UnsafeBufferPointer(rebasing: kinds[window.rows]),
                        experts: UnsafeBufferPointer(rebasing: all[experts]))
                }
            }
        }
        return encoder.header.bytes + encoder.bytes
    }
}

extension RoutingTrace {
    /// Adds the window of a file's record, which is the one with that index in the file.
    fileprivate mutating func append(
        _ window: RoutingTraceRecord.Window, of bytes: [UInt8], _ header: RoutingTraceHeader, index: Int
    ) throws {
        func impossible(_ what: String) -> PlacementError {
            PlacementError("window \(index) of the trace cannot be: \(what); record it anew")
        }
        let first = rowCount
        for row in 0..<window.rows {
            kinds.append(RowKind(rawValue: bytes[window.kinds + row / 4] >> (2 * UInt8(row % 4)) & 3)!)
        }
        guard Self.isWindow(kinds[first...]) else { throw impossible("its rows are in no order that windows have") }
        let perToken = header.expertsPerToken
        let idsBefore = experts.count
        var reader = BitReader(bytes, at: window.ids)
        for i in 0..<window.rows * header.idsPerRow {
            let id = reader.next(bits: header.idBits)
            guard id < header.expertCount else {
                throw impossible("it names expert \(id) of the \(header.expertCount) there are")
            }
            guard i % perToken == 0 || experts[idsBefore + i - 1] < UInt16(id) else {
                throw impossible("a row's experts are not ascending")
            }
            experts.append(UInt16(id))
        }
        windows.append(Window(rows: first..<rowCount, domain: window.domain, position: window.position))
    }

    /// Takes all rows away, but not their room.
    fileprivate mutating func removeAll() {
        windows.removeAll(keepingCapacity: true)
        kinds.removeAll(keepingCapacity: true)
        experts.removeAll(keepingCapacity: true)
    }

    /// Whether rows of these kinds can make up a window.
    static func isWindow(_ kinds: ArraySlice<RowKind>) -> Bool {
        switch kinds.first {
        case .prompt: kinds.allSatisfy { $0 == .prompt }
        case .newest:
            kinds.dropFirst().drop { $0 == .accepted }.allSatisfy { $0 == .rejected }
        default: false
        }
    }
}

/// Reads numbers of a few bits each, lowest bit first.
private struct BitReader {
    private let bytes: [UInt8]
    private var offset: Int
    private var pending = 0
    private var count = 0

    init(_ bytes: [UInt8], at offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    @inline(__always)
    mutating func next(bits: Int) -> Int {
        while count < bits {
            pending |= Int(bytes[offset]) << count
            offset += 1
            count += 8
        }
        defer {
            pending >>= bits
            count -= bits
        }
        return pending & (1 << bits - 1)
    }
}
