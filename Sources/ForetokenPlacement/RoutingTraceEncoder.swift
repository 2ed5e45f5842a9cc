/// Makes the records of a trace file, one after another. Once there is room for them, texts and steps are added without
/// allocations.
public struct RoutingTraceEncoder: Sendable {
    /// Rows of one text in a step.
    public struct Window: Sendable, Equatable {
        /// A number that `addText` gave.
        public var text: Int
        /// Position of its first row in the text.
        public var position: Int
        /// Number of rows.
        public var rows: Int

        /// A window; see the fields.
        public init(text: Int, position: Int, rows: Int) {
            self.text = text
            self.position = position
            self.rows = rows
        }
    }

    /// What the trace is about.
    public let header: RoutingTraceHeader
    /// Records not yet taken away; they go behind the header and all earlier records.
    public private(set) var bytes: [UInt8] = []
    /// Labels by index, as the file knows them.
    public private(set) var domains: [String]
    /// Texts that the file knows.
    public private(set) var textCount: Int

    /// Most rows of a step in a file.
    public static let mostRows = 4096
    /// Most texts of a step in a file.
    public static let mostTexts = 255

    /// - Parameters:
    ///   - domains: labels that the file has already, in order.
    ///   - textCount: texts that it has already.
    ///   - capacity: bytes to make room for.
    public init(_ header: RoutingTraceHeader, domains: [String] = [], textCount: Int = 0, capacity: Int = 0) {
        self.header = header
        self.domains = domains
        self.textCount = textCount
        bytes.reserveCapacity(capacity)
    }

    /// Bytes of the record of a step of so many texts and rows.
    public func recordBytes(texts: Int, rows: Int) -> Int {
        RoutingTraceRecord.frameCount + RoutingTraceRecord.stepCount(texts: texts, rows: rows, header)
    }

    /// Bytes of a text's record.
    public static let textBytes = RoutingTraceRecord.frameCount + RoutingTraceRecord.textCount

    /// - Throws: `PlacementError` for a label that cannot be one, or one too many.
    public func check(domain label: String) throws {
        if domains.contains(label) { return }
        try RoutingTrace.check(domain: label)
        try RoutingTrace.check(domainCount: domains.count + 1)
    }

    /// The index of a label, which becomes part of the file when it is new.
    /// - Throws: `PlacementError` for a label that cannot be one, or one too many.
    public mutating func index(ofDomain label: String) throws -> Int {
        if let index = domains.firstIndex(of: label) { return index }
        try check(domain: label)
        domains.append(label)
        let start = open(RoutingTraceRecord.domainKind, count: label.utf8.count)
        bytes += label.utf8
        close(start)
        return domains.count - 1
    }

    /// Makes a text part of the file.
    /// - Parameter domain: an index that `index(ofDomain:)` gave.
    /// - Returns: its number.
    public mutating func addText(domain: Int) -> Int {
        precondition(domains.indices.contains(domain) && textCount < UInt32.max, "a text that records can name")
        let start = open(RoutingTraceRecord.textKind, count: RoutingTraceRecord.textCount)
        bytes.append(littleEndian: UInt16(domain))
        close(start)
        textCount += 1
        return textCount - 1
    }

    /// Adds a step.
    /// - Parameters:
    ///   - windows: the rows of each of its texts, in the step's order; 1...`mostTexts`.
    ///   - kinds: by row of the step, 1...`mostRows`.
    ///   - experts: ids [row][layer][expertsPerToken], ascending within a row's layer.
    public mutating func append(
        _ windows: [Window], kinds: UnsafeBufferPointer<RoutingTrace.RowKind>, experts: UnsafeBufferPointer<UInt16>
    ) {
        precondition(
            1...Self.mostRows ~= kinds.count && experts.count == kinds.count * header.idsPerRow
                && 1...Self.mostTexts ~= windows.count && windows.reduce(0) { $0 + $1.rows } == kinds.count
                && windows.allSatisfy { $0.rows > 0 && 0..<textCount ~= $0.text }, "a step of a size that records have")
        let start = open(
            RoutingTraceRecord.stepKind,
            count: RoutingTraceRecord.stepCount(texts: windows.count, rows: kinds.count, header))
        bytes.append(UInt8(windows.count))
        for window in windows {
            bytes.append(littleEndian: UInt32(window.text))
            bytes.append(littleEndian: UInt32(clamping: window.position))
            bytes.append(littleEndian: UInt16(window.rows))
        }
        var packer = BitPacker()
        for kind in kinds { packer.add(UInt32(kind.rawValue), bits: 2, to: &bytes) }
        packer.finish(&bytes)
        let bits = header.idBits
        for expert in experts { packer.add(UInt32(expert), bits: bits, to: &bytes) }
        packer.finish(&bytes)
        close(start)
    }

    /// Takes the records away, but not their room.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Begins a record and returns where it starts.
    private mutating func open(_ kind: UInt8, count: Int) -> Int {
        let start = bytes.count
        bytes.append(kind)
        bytes.append(littleEndian: UInt32(count))
        bytes.append(littleEndian: UInt32(0))
        return start
    }

    private mutating func close(_ start: Int) {
        let checksum = RoutingTraceRecord.checksum(bytes, at: start, count: bytes.count - start)
        for i in 0..<4 { bytes[start + 5 + i] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(i))) }
    }
}

/// Writes numbers of a few bits each, lowest bit first.
private struct BitPacker {
    private var pending: UInt32 = 0
    private var count = 0

    @inline(__always)
    mutating func add(_ number: UInt32, bits: Int, to bytes: inout [UInt8]) {
        pending |= number << UInt32(count)
        count += bits
        while count >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: pending))
            pending >>= 8
            count -= 8
        }
    }

    /// Fills the last byte with zeros.
    mutating func finish(_ bytes: inout [UInt8]) {
        if count > 0 { bytes.append(UInt8(truncatingIfNeeded: pending)) }
        pending = 0
        count = 0
    }
}

extension RoutingTrace {
    /// Longest label of a text, in bytes of UTF-8.
    public static let longestDomain = 255
    /// Most labels of a trace.
    public static let mostDomains = 1024
    /// The label that stands for all texts together.
    public static let allDomains = "all"

    /// - Throws: `PlacementError` for more labels than a trace may have.
    static func check(domainCount: Int) throws {
        if domainCount > mostDomains {
            throw PlacementError("a routing trace holds at most \(mostDomains) domains")
        }
    }

    /// - Throws: `PlacementError` for what cannot be a text's label.
    public static func check(domain label: String) throws {
        if label.isEmpty { throw PlacementError("a domain's label is empty; give it a name") }
        if label == allDomains {
            throw PlacementError("the domain \"\(allDomains)\" is taken: it stands for all domains together")
        }
        if label.utf8.count > longestDomain {
            throw PlacementError(
                "a domain's label has \(label.utf8.count) bytes; at most \(longestDomain) are possible")
        }
        if label.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            throw PlacementError("a domain's label holds control characters")
        }
    }
}
