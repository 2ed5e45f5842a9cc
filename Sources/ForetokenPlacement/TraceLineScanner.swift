import FoundationEssentials

/// One row of a trace in its text form. Traces have millions of expert ids, so they get a reader of their own.
struct TraceLine {
    var round = 0
    var row = 0
    var domain: String?
    /// Experts of all layers, one after another.
    var ids: [Int] = []
    /// By layer: how many of them are its own.
    var counts: [Int] = []

    static let example = "{\"round\":0,\"row\":0,\"domain\":\"code\",\"layers\":[[3,7],[1,2]]}"
}

/// Reads a line of JSON into a `TraceLine`.
struct TraceLineScanner {
    private let bytes: ArraySlice<UInt8>
    private var at: Int
    private var line = TraceLine()

    /// Deepest nesting of what is skipped.
    private static let mostLevels = 64

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        at = bytes.startIndex
    }

    /// - Throws: `PlacementError` for anything but one object with `round`, `row` and `layers`.
    static func read(_ bytes: ArraySlice<UInt8>) throws -> TraceLine {
        var scanner = TraceLineScanner(bytes)
        var seen: Set<String> = []
        try scanner.list(from: "{", to: "}") { scanner in
            let key = try scanner.string()
            try scanner.expect(":")
            guard seen.insert(key).inserted else { throw scanner.problem("the key \"\(key)\" is there twice") }
            switch key {
            case "round": scanner.line.round = try scanner.integer()
            case "row": scanner.line.row = try scanner.integer()
            case "domain": scanner.line.domain = try scanner.string()
            case "layers":
                try scanner.list(from: "[", to: "]") { scanner in
                    let before = scanner.line.ids.count
                    try scanner.list(from: "[", to: "]") { $0.line.ids.append(try $0.integer()) }
                    scanner.line.counts.append(scanner.line.ids.count - before)
                }
            default: try scanner.skip(levels: Self.mostLevels)
            }
        }
        guard scanner.peek() == nil else { throw scanner.problem("something follows the object") }
        for key in ["round", "row", "layers"] where !seen.contains(key) {
            throw scanner.problem("the key \"\(key)\" is missing")
        }
        return scanner.line
    }

    private func problem(_ what: String) -> PlacementError {
        PlacementError("\(what); a row of a trace is \(TraceLine.example)")
    }

    private func problem(expected: String) -> PlacementError {
        problem("expected \(expected) at column \(at - bytes.startIndex + 1)")
    }

    // MARK: Values

    /// The next byte that is no space; nil at the end.
    private mutating func peek() -> UInt8? {
        while at < bytes.endIndex, [0x20, 0x09, 0x0D].contains(bytes[at]) { at += 1 }
        return at < bytes.endIndex ? bytes[at] : nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard take(character) else { throw problem(expected: "'\(character)'") }
    }

    /// Reads elements until the closing bracket.
    private mutating func list(
        from opening: Unicode.Scalar, to closing: Unicode.Scalar, element: (inout Self) throws -> Void
    ) throws {
        try expect(opening)
        if take(closing) { return }
        repeat { try element(&self) } while take(",")
        try expect(closing)
    }

    /// A whole number without fraction or exponent.
    private mutating func integer() throws -> Int {
        let isNegative = take("-")
        guard let first = peek(), Self.isDigit(first) else { throw problem(expected: "a whole number") }
        var number = 0
        let start = at
        while at < bytes.endIndex, Self.isDigit(bytes[at]) {
            // Far beyond everything that is allowed, and far below an overflow.
            guard at - start < 15 else { throw problem(expected: "a smaller number") }
            number = number * 10 + Int(bytes[at] - UInt8(ascii: "0"))
            at += 1
        }
        if at < bytes.endIndex, ".eE".utf8.contains(bytes[at]) { throw problem(expected: "a whole number") }
        return isNegative ? -number : number
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private mutating func string() throws -> String {
        guard peek() == UInt8(ascii: "\"") else { throw problem(expected: "a string") }
        let start = at
        var isEscaped = false
        at += 1
        while at < bytes.endIndex, bytes[at] != UInt8(ascii: "\"") {
            let isEscape = bytes[at] == UInt8(ascii: "\\")
            isEscaped = isEscaped || isEscape
            at += isEscape ? 2 : 1
        }
        guard at < bytes.endIndex else { throw problem(expected: "the string's end") }
        at += 1
        let text =
            isEscaped
            ? try? JSONDecoder().decode(String.self, from: Data(bytes[start..<at]))
            : String(validating: bytes[start + 1..<at - 1], as: UTF8.self)
        guard let text else {
            at = start
            throw problem(expected: "a string of valid UTF-8 and escapes")
        }
        return text
    }

    /// Passes over any value.
    private mutating func skip(levels: Int) throws {
        guard levels > 0 else { throw problem("values lie deeper than \(Self.mostLevels) levels") }
        switch peek() {
        case UInt8(ascii: "{"):
            try list(from: "{", to: "}") {
                _ = try $0.string()
                try $0.expect(":")
                try $0.skip(levels: levels - 1)
            }
        case UInt8(ascii: "["): try list(from: "[", to: "]") { try $0.skip(levels: levels - 1) }
        case UInt8(ascii: "\""): _ = try string()
        default:
            let start = at
            while at < bytes.endIndex, !",]} \t\r".utf8.contains(bytes[at]) { at += 1 }
            guard (try? JSONDecoder().decode(AnyScalar.self, from: Data(bytes[start..<at]))) != nil else {
                at = start
                throw problem(expected: "a value")
            }
        }
    }
}

/// A number, true, false or null.
private struct AnyScalar: Decodable {
    init(from decoder: any Decoder) {}
}
