/// A record of a trace file.
enum RoutingTraceRecord: Equatable {
    /// The label of the next domain.
    case domain(String)
    /// A window; see `Window`.
    case window(Window)

    /// Where a window's parts lie in the file.
    struct Window: Equatable {
        let position: Int
        let domain: Int
        let rows: Int
        /// Offset of the kinds; the ids come behind them.
        let kinds: Int
        var ids: Int { kinds + (rows + 3) / 4 }
    }

    static let domainKind = UInt8(ascii: "D")
    static let windowKind = UInt8(ascii: "W")
    /// Kind, length and checksum.
    static let frameCount = 9
    /// A window's position, domain and number of rows.
    static let windowCount = 8

    /// The checksum of the record at `start`: of kind, length and content.
    static func checksum(_ bytes: [UInt8], at start: Int, count: Int) -> UInt32 {
        var hash = FNV1a()
        bytes.withUnsafeBytes { all in
            hash.add(UnsafeRawBufferPointer(rebasing: all[start..<start + 5]))
            hash.add(UnsafeRawBufferPointer(rebasing: all[start + frameCount..<start + count]))
        }
        return UInt32(truncatingIfNeeded: hash.value ^ hash.value >> 32)
    }
}

/// Goes through a trace file record by record, up to the last whole one.
struct RoutingTraceWalker {
    let bytes: [UInt8]
    let header: RoutingTraceHeader
    /// End of the records walked so far.
    private(set) var end: Int
    private(set) var domainCount = 0
    private(set) var windowCount = 0
    private var work = 0

    /// Bytes that looking for records behind a damaged one may read. Only a file made for it needs more.
    private static let mostWork = 1 << 28

    /// - Throws: `PlacementError` when the file has no good header.
    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        (header, end) = try RoutingTraceHeader.read(bytes)
    }

    /// Bytes behind the last whole record.
    var droppedCount: Int { bytes.count - end }

    /// The next record; nil at the end, or where only a torn or damaged tail is left.
    /// - Throws: `PlacementError` where records follow a damaged one, or for a whole one that cannot be.
    mutating func next() throws -> RoutingTraceRecord? {
        guard end < bytes.count else { return nil }
        guard let count = wholeRecord(at: end) else {
            if hasRecord(behind: end) { throw damage() }
            return nil
        }
        let start = end + RoutingTraceRecord.frameCount
        let record =
            bytes[end] == RoutingTraceRecord.domainKind
            ? try domain(bytes[start..<end + count]) : try window(at: start)
        end += count
        return record
    }

    private mutating func domain(_ content: ArraySlice<UInt8>) throws -> RoutingTraceRecord {
        guard let label = String(validating: content, as: UTF8.self) else {
            throw impossible("a domain's label is not valid UTF-8")
        }
        do { try RoutingTrace.check(domain: label) } catch { throw impossible("\(error)") }
        domainCount += 1
        guard domainCount <= RoutingTrace.mostDomains else { throw impossible("there are too many domains") }
        return .domain(label)
    }

    private mutating func window(at start: Int) throws -> RoutingTraceRecord {
        let window = RoutingTraceRecord.Window(
            position: Int(bytes.number(at: start, UInt32.self)),
            domain: Int(bytes.number(at: start + 4, UInt16.self)),
            rows: Int(bytes.number(at: start + 6, UInt16.self)), kinds: start + RoutingTraceRecord.windowCount)
        guard window.domain < domainCount else {
            throw impossible("a window is of domain \(window.domain), but there are \(domainCount) before it")
        }
        windowCount += 1
        return .window(window)
    }

    /// The size of the record at `start`, if all of it is there and nothing is damaged.
    private mutating func wholeRecord(at start: Int) -> Int? {
        let room = bytes.count - start - RoutingTraceRecord.frameCount
        guard room >= 0 else { return nil }
        let content = Int(bytes.number(at: start + 1, UInt32.self))
        guard content <= room, isPossible(bytes[start], content, at: start + RoutingTraceRecord.frameCount) else {
            return nil
        }
        let count = RoutingTraceRecord.frameCount + content
        work += count
        let stated = bytes.number(at: start + 5, UInt32.self)
        return RoutingTraceRecord.checksum(bytes, at: start, count: count) == stated ? count : nil
    }

    /// Whether content of that kind can have `count` bytes.
    private func isPossible(_ kind: UInt8, _ count: Int, at start: Int) -> Bool {
        switch kind {
        case RoutingTraceRecord.domainKind: return 1...RoutingTrace.longestDomain ~= count
        case RoutingTraceRecord.windowKind:
            guard count >= RoutingTraceRecord.windowCount else { return false }
            let rows = Int(bytes.number(at: start + 6, UInt16.self))
            return 1...RoutingTraceEncoder.mostRows ~= rows
                && count == RoutingTraceRecord.windowCount + (rows + 3) / 4 + header.idBytes(rows: rows)
        default: return false
        }
    }

    /// Whether a whole record begins anywhere behind `start`: then what lies there is no tail. Also true when that would
    /// take too long to find out.
    private mutating func hasRecord(behind start: Int) -> Bool {
        work = 0
        for offset in start + 1..<max(start + 1, bytes.count - RoutingTraceRecord.frameCount) {
            if wholeRecord(at: offset) != nil || work > Self.mostWork { return true }
        }
        return false
    }

    private func damage() -> PlacementError {
        PlacementError(
            "the trace is damaged at byte \(end), with good records behind it; its first \(end) bytes are whole and hold "
                + "\(windowCount) window\(windowCount == 1 ? "" : "s"): `head -c \(end)` saves them, or record it anew")
    }

    private func impossible(_ what: String) -> PlacementError {
        PlacementError("the trace's record at byte \(end) cannot be: \(what); record it anew")
    }
}
