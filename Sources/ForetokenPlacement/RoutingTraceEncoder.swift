/// Makes the records of a trace file, one after another. Once there is room for them, windows are added without
/// allocations.
public struct RoutingTraceEncoder: Sendable {
    /// What the trace is about.
    public let header: RoutingTraceHeader
    /// Records not yet taken away; they go behind the header and all earlier records.
    public private(set) var bytes: [UInt8] = []
    /// Labels by index, as the file knows them.
    public private(set) var domains: [String]

    /// Most rows of a window in a file.
    public static let mostRows = 4096

    /// - Parameters:
    ///   - domains: labels that the file has already, in order.
    ///   - capacity: bytes to make room for.
    public init(_ header: RoutingTraceHeader, domains: [String] = [], capacity: Int = 0) {
        self.header = header
        self.domains = domains
        bytes.reserveCapacity(capacity)
    }

    /// Bytes of the largest record of a window with so many rows.
    public func recordBytes(rows: Int) -> Int {
        RoutingTraceRecord.frameCount + RoutingTraceRecord.windowCount + (rows + 3) / 4 + header.idBytes(rows: rows)
    }

    /// The index of a label, which becomes part of the file when it is new.
    /// - Throws: `PlacementError` for a label that cannot be one, or one too many.
    public mutating func index(ofDomain label: String) throws -> Int {
        if let index = domains.firstIndex(of: label) { return index }
        try RoutingTrace.check(domain: label)
        try RoutingTrace.check(domainCount: domains.count + 1)
        domains.append(label)
        let start = open(RoutingTraceRecord.domainKind, count: label.utf8.count)
        bytes += label.utf8
        close(start)
        return domains.count - 1
    }

    /// Adds a window.
    /// - Parameters:
    ///   - domain: an index that `index(ofDomain:)` gave.
    ///   - position: of the first row in its text.
    ///   - kinds: by row, 1...`mostRows`.
    ///   - experts: ids [row][layer][expertsPerToken], ascending within a row's layer.
    public mutating func append(
        domain: Int, position: Int, kinds: UnsafeBufferPointer<RoutingTrace.RowKind>,
        experts: UnsafeBufferPointer<UInt16>
    ) {
        precondition(
            1...Self.mostRows ~= kinds.count && experts.count == kinds.count * header.idsPerRow
                && domains.indices.contains(domain), "a window of a size that records have")
        let start = open(
            RoutingTraceRecord.windowKind, count: recordBytes(rows: kinds.count) - RoutingTraceRecord.frameCount)
        bytes.append(littleEndian: UInt32(clamping: position))
        bytes.append(littleEndian: UInt16(domain))
        bytes.append(littleEndian: UInt16(kinds.count))
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
