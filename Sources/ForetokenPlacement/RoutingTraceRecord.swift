/// A record of a trace file.
enum RoutingTraceRecord: Equatable {
    /// The label of the next domain.
    case domain(String)
    /// The domain of the next text.
    case text(domain: Int)
    /// A step; see `Step`.
    case step(Step)

    /// Where a step's parts lie in the file.
    struct Step: Equatable {
        /// The rows of each text, in order.
        let windows: [Window]
        /// Rows of all texts.
        let rows: Int
        /// Offset of the kinds; the ids come behind them.
        let kinds: Int
        var ids: Int { kinds + (rows + 3) / 4 }
    }

    /// Rows of one text in a step.
    struct Window: Equatable {
        /// nil in version 1, which does not say.
        let text: Int?
        let domain: Int
        let position: Int
        let rows: Int
    }

    static let domainKind = UInt8(ascii: "D")
    static let textKind = UInt8(ascii: "T")
    static let stepKind = UInt8(ascii: "S")
    /// Version 1's step, which has one text.
    static let windowKind = UInt8(ascii: "W")
    /// Kind, length and checksum.
    static let frameCount = 9
    /// A text's domain.
    static let textCount = 2
    /// One text's number, position and number of rows in a step.
    static let spanCount = 10
    /// Position, domain and number of rows in version 1.
    static let windowCount = 8

    /// Bytes of a step's content.
    static func stepCount(texts: Int, rows: Int, _ header: RoutingTraceHeader) -> Int {
        1 + spanCount * texts + (rows + 3) / 4 + header.idBytes(rows: rows)
    }

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
    private(set) var stepCount = 0
    let version: Int
    /// By text: its domain.
    private var textDomains: [UInt16] = []
    private var work = 0

    /// Bytes that looking for records behind a damaged one may read. Only a file made for it needs more.
    private static let mostWork = 1 << 28

    /// - Throws: `PlacementError` when the file has no good header.
    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        (header, end, version) = try RoutingTraceHeader.read(bytes)
    }

    /// Texts of the records walked so far; version 1 names none.
    var textCount: Int { textDomains.count }

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
            switch bytes[end] {
            case RoutingTraceRecord.domainKind: try domain(bytes[start..<end + count])
            case RoutingTraceRecord.textKind: try text(at: start)
            case RoutingTraceRecord.stepKind: try step(at: start)
            default: try window(at: start)
            }
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

    private mutating func text(at start: Int) throws -> RoutingTraceRecord {
        let domain = bytes.number(at: start, UInt16.self)
        try check(domain: Int(domain), of: "text")
        textDomains.append(domain)
        return .text(domain: Int(domain))
    }

    private mutating func step(at start: Int) throws -> RoutingTraceRecord {
        let texts = Int(bytes[start])
        let windows = try (0..<texts).map { index in
            let place = start + 1 + RoutingTraceRecord.spanCount * index
            let text = Int(bytes.number(at: place, UInt32.self))
            guard text < textCount else {
                throw impossible("a step has rows of text \(text), but there are \(textCount) before it")
            }
            return RoutingTraceRecord.Window(
                text: text, domain: Int(textDomains[text]), position: Int(bytes.number(at: place + 4, UInt32.self)),
                rows: Int(bytes.number(at: place + 8, UInt16.self)))
        }
        if let text = Self.firstTwice(windows) { throw impossible("a step has rows of text \(text) twice") }
        return step(windows, kinds: start + 1 + RoutingTraceRecord.spanCount * texts)
    }

    /// Version 1's.
    private mutating func window(at start: Int) throws -> RoutingTraceRecord {
        let window = RoutingTraceRecord.Window(
            text: nil, domain: Int(bytes.number(at: start + 4, UInt16.self)),
            position: Int(bytes.number(at: start, UInt32.self)), rows: Int(bytes.number(at: start + 6, UInt16.self)))
        try check(domain: window.domain, of: "window")
        return step([window], kinds: start + RoutingTraceRecord.windowCount)
    }

    private mutating func step(_ windows: [RoutingTraceRecord.Window], kinds: Int) -> RoutingTraceRecord {
        stepCount += 1
        return .step(.init(windows: windows, rows: windows.reduce(0) { $0 + $1.rows }, kinds: kinds))
    }

    private func check(domain: Int, of what: String) throws {
        guard domain < domainCount else {
            throw impossible("a \(what) is of domain \(domain), but there are \(domainCount) before it")
        }
    }

    /// The first text that has two windows.
    private static func firstTwice(_ windows: [RoutingTraceRecord.Window]) -> Int? {
        guard windows.count > 1 else { return nil }
        var seen: Set<Int> = []
        return windows.lazy.compactMap(\.text).first { !seen.insert($0).inserted }
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
        switch (kind, version) {
        case (RoutingTraceRecord.domainKind, _): return 1...RoutingTrace.longestDomain ~= count
        case (RoutingTraceRecord.windowKind, 1):
            guard count >= RoutingTraceRecord.windowCount else { return false }
            let rows = Int(bytes.number(at: start + 6, UInt16.self))
            return 1...RoutingTraceEncoder.mostRows ~= rows
                && count == RoutingTraceRecord.windowCount + (rows + 3) / 4 + header.idBytes(rows: rows)
        case (RoutingTraceRecord.textKind, 2...): return count == RoutingTraceRecord.textCount
        case (RoutingTraceRecord.stepKind, 2...):
            guard count > 0, bytes[start] > 0 else { return false }
            let texts = Int(bytes[start])
            guard count > RoutingTraceRecord.spanCount * texts else { return false }
            var rows = 0
            for text in 0..<texts {
                let own = Int(bytes.number(at: start + 9 + RoutingTraceRecord.spanCount * text, UInt16.self))
                if own == 0 { return false }
                rows += own
            }
            return rows <= RoutingTraceEncoder.mostRows
                && count == RoutingTraceRecord.stepCount(texts: texts, rows: rows, header)
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
                + "\(stepCount) step\(stepCount == 1 ? "" : "s"): `head -c \(end)` saves them, or record it anew")
    }

    private func impossible(_ what: String) -> PlacementError {
        PlacementError("the trace's record at byte \(end) cannot be: \(what); record it anew")
    }
}
