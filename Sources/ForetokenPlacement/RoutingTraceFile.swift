/// A routing trace as a file, version 2. All numbers are unsigned and little-endian.
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
///     1         "D" for a domain, "T" for a text, "S" for a step
///     4         size of the content in bytes
///     4         checksum of these first five bytes and the content
///     content   domain: its label in UTF-8; domains count from 0
///               text: 2 its domain, which is there before it; texts count from 0
///               step: 1 number of its texts, and of each: 4 text; 4 position of its first row in the text; 2 rows;
///               2 bits a row, its kind (0 prompt, 1 newest, 2 accepted, 3 rejected draft);
///               ⌈log2 experts⌉ bits an expert (at least 1), ascending within a row's layer, [row][layer][expert]
///
/// Kinds and experts are packed lowest bit first and end with a whole byte each; a step's rows are its texts', one text
/// behind the other. A text's rows in a step are either a prompt's, or the newest token followed by its accepted, then its
/// rejected drafts. A checksum is the 64-bit FNV-1a, its halves combined by exclusive or.
///
/// Version 1 knew no texts, and steps of one text alone: a record "W" of 4 position, 2 domain and 2 rows, followed by
/// kinds and experts. Such files are read, each window that does not go on where the one before it ended beginning a text.
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
            case .text: break
            case .step(let step): try trace.append(step, of: bytes, walker.header, index: walker.stepCount - 1)
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
        /// Version of its format; a file of an older one is not added to.
        public let version: Int
        /// Labels of its domains by index.
        public let domains: [String]
        /// Number of texts; 0 in version 1.
        public let textCount: Int
        /// Number of steps.
        public let stepCount: Int
        /// Bytes up to the end of the last whole record.
        public let wholeByteCount: Int
        /// Bytes behind it.
        public let droppedByteCount: Int

        /// Whether records can follow.
        public var isCurrent: Bool { version == RoutingTraceHeader.version }

        /// Looks at a file without keeping its steps.
        /// - Throws: `PlacementError` when it is no trace, damaged before its end, or has a step that cannot be: what
        ///   could not be read later is not added to.
        public init(_ bytes: [UInt8]) throws {
            var walker = try RoutingTraceWalker(bytes)
            var domains: [String] = []
            var last = RoutingTrace(walker.header)
            while let record = try walker.next() {
                switch record {
                case .domain(let label): domains.append(label)
                case .text: break
                case .step(let step):
                    try last.append(step, of: bytes, walker.header, index: walker.stepCount - 1)
                    last.removeAll()
                }
            }
            header = walker.header
            version = walker.version
            self.domains = domains
            textCount = walker.textCount
            stepCount = walker.stepCount
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
        var texts: [Int: (number: Int, domain: Int)] = [:]
        for step in trace.steps {
            guard trace.isContiguous(step) else { throw PlacementError("a step's rows do not lie side by side") }
            let rows = trace.rows(ofStep: step)
            guard 1...RoutingTraceEncoder.mostRows ~= rows.count, step.count <= RoutingTraceEncoder.mostTexts else {
                throw PlacementError(
                    "a step has \(rows.count) rows of \(step.count) texts; 1...\(RoutingTraceEncoder.mostRows) rows of at "
                        + "most \(RoutingTraceEncoder.mostTexts) texts are possible in a file")
            }
            let windows = try trace.windows[step].map { window in
                let known = texts[window.text] ?? (encoder.addText(domain: window.domain), window.domain)
                texts[window.text] = known
                guard known.domain == window.domain else {
                    throw PlacementError("text \(window.text) is of two domains; a file can say only one")
                }
                return RoutingTraceEncoder.Window(
                    text: known.number, position: window.position, rows: window.rows.count)
            }
            trace.kinds.withUnsafeBufferPointer { kinds in
                trace.experts.withUnsafeBufferPointer { all in
                    encoder.append(
                        windows, kinds: UnsafeBufferPointer(rebasing: kinds[rows]),
                        experts: UnsafeBufferPointer(rebasing: all[rows.lowerBound * ids..<rows.upperBound * ids]))
                }
            }
        }
        return encoder.header.bytes + encoder.bytes
    }
}

extension RoutingTrace {
    /// Adds the step of a file's record, which is the one with that index in the file.
    fileprivate mutating func append(
        _ step: RoutingTraceRecord.Step, of bytes: [UInt8], _ header: RoutingTraceHeader, index: Int
    ) throws {
        func impossible(_ what: String) -> PlacementError {
            PlacementError("step \(index) of the trace cannot be: \(what); record it anew")
        }
        var first = rowCount
        for row in 0..<step.rows {
            kinds.append(RowKind(rawValue: bytes[step.kinds + row / 4] >> (2 * UInt8(row % 4)) & 3)!)
        }
        for (place, window) in step.windows.enumerated() {
            let rows = first..<first + window.rows
            guard Self.isWindow(kinds[rows]) else {
                throw impossible("a text's rows are in no order that they have in a step")
            }
            windows.append(
                Window(
                    rows: rows, domain: window.domain, position: window.position,
                    text: window.text ?? text(domain: window.domain, position: window.position),
                    joinsPrevious: place > 0))
            first = rows.upperBound
        }
        let perToken = header.expertsPerToken
        let idsBefore = experts.count
        var reader = BitReader(bytes, at: step.ids)
        for i in 0..<step.rows * header.idsPerRow {
            let id = reader.next(bits: header.idBits)
            guard id < header.expertCount else {
                throw impossible("it names expert \(id) of the \(header.expertCount) there are")
            }
            guard i % perToken == 0 || experts[idsBefore + i - 1] < UInt16(id) else {
                throw impossible("a row's experts are not ascending")
            }
            experts.append(UInt16(id))
        }
    }

    /// The text of a window that does not say: that of the window before it, if it goes on where that one ended.
    private func text(domain: Int, position: Int) -> Int {
        guard let last = windows.last else { return 0 }
        let end = last.position + last.rows.reduce(0) { $0 + (kinds[$1] == .rejected ? 0 : 1) }
        return last.domain == domain && end == position ? last.text : last.text + 1
    }

    /// Takes all rows away, but not their room.
    fileprivate mutating func removeAll() {
        windows.removeAll(keepingCapacity: true)
        kinds.removeAll(keepingCapacity: true)
        experts.removeAll(keepingCapacity: true)
    }

    /// Whether rows of these kinds can make up a window of one text.
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
