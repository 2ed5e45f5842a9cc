import ForetokenTestSupport

/// Damages files the way files are damaged: by flipped bits, lost ends, mixed-up parts, and values at the edge of what
/// their types hold. Equal generators give equal damage.
struct Mutator {
    /// How a file is built, so that damage gets past the first check.
    enum Form {
        /// Any bytes.
        case bytes
        /// One JSON value, or one a line.
        case json
        /// Eight bytes with the length of a JSON header, the header, then data.
        case safetensors
    }

    private(set) var random: SeededGenerator

    /// - Parameter random: where all choices come from.
    init(_ random: SeededGenerator) { self.random = random }

    /// A damaged file.
    /// - Parameter corpus: sound files of that form, at least one.
    mutating func input(_ corpus: [[UInt8]], _ form: Form) -> [UInt8] {
        var bytes = corpus[below(corpus.count)]
        // Several kinds of damage rarely reach deeper than one.
        for _ in 0...[0, 0, 0, 1, 1, 2, 5][below(7)] {
            switch form {
            case .bytes: damage(&bytes, corpus)
            case .json: isOneIn(3) ? damage(&bytes, corpus) : damageJSON(&bytes)
            case .safetensors: damageHeader(&bytes, corpus)
            }
        }
        return bytes
    }

    /// A number below `limit`, which is at least 1.
    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<max(1, limit), using: &random) }

    mutating func isOneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// One of some texts.
    mutating func one(_ choices: [String]) -> [UInt8] { Array(choices[below(choices.count)].utf8) }

    private mutating func damageHeader(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
        guard bytes.count > 8, !isOneIn(6) else { return damage(&bytes, corpus) }
        let length = bytes[..<8].reversed().reduce(0) { ($0 << 8 | UInt64($1)) }
        let end = 8 + Int(min(length, UInt64(bytes.count - 8)))
        var header = Array(bytes[8..<end])
        damageJSON(&header)
        let stated =
            isOneIn(10) ? UInt64.random(in: 0 ... .max, using: &random) >> UInt64(below(64)) : UInt64(header.count)
        bytes.replaceSubrange(..<end, with: (0..<8).map { UInt8(truncatingIfNeeded: stated >> (8 * $0)) } + header)
    }

    /// Damage that knows nothing of the form.
    mutating func damage(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = corpus[below(corpus.count)]
            return
        }
        let place = below(bytes.count)
        switch below(9) {
        case 0: bytes[place] ^= 1 << UInt8(below(8))
        case 1: bytes[place] = UInt8(below(256))
        case 2: bytes.removeSubrange(place...)
        case 3: bytes.removeSubrange(..<place)
        case 4: bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(32)))
        case 5:
            let other = corpus[below(corpus.count)]
            bytes = Array(bytes[..<place] + other[below(other.count)...])
        case 6: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 1 + below(64))], at: place)
        case 7: bytes.insert(contentsOf: one(EdgeValues.texts), at: place)
        default:
            // A little-endian number at its edge.
            let number = EdgeValues.numbers[below(EdgeValues.numbers.count)]
            for byte in 0..<min(1 << below(4), bytes.count - place) {
                bytes[place + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
            }
        }
    }

    /// Damage to a JSON text that mostly leaves it JSON.
    private mutating func damageJSON(_ bytes: inout [UInt8]) {
        let parts = JSONParts(bytes)
        guard let value = pick(parts.values) else {
            bytes += one(EdgeValues.json)
            return
        }
        switch below(10) {
        case 0, 1, 2: bytes.replaceSubrange(value, with: one(EdgeValues.json))
        case 3:
            guard let other = pick(parts.values) else { return }
            bytes.replaceSubrange(value, with: Array(bytes[other]))
        case 4:
            guard let member = pick(parts.members) else { return }
            // A repeated key, with the same value or another.
            var copy = Array(bytes[member])
            if isOneIn(2) { copy.replaceSubrange(copy.index(after: copy.count / 2)..., with: one(EdgeValues.json)) }
            bytes.insert(contentsOf: copy + [UInt8(ascii: ",")], at: member.lowerBound)
        case 5:
            guard let member = pick(parts.members) else { return }
            bytes.removeSubrange(member)
            if member.lowerBound < bytes.count, bytes[member.lowerBound] == UInt8(ascii: ",") {
                bytes.remove(at: member.lowerBound)
            }
        case 6:
            let depth = [3, 50, 500, 5_000, 100_000][below(5)]
            let (open, close) = isOneIn(2) ? ("[", "]") : ("{\"a\":", "}")
            bytes.replaceSubrange(
                value,
                with: Array((String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)).utf8)
            )
        case 7:
            guard let text = pick(parts.strings) else { return }
            bytes.insert(contentsOf: one(EdgeValues.texts), at: text.lowerBound + 1)
        case 8:
            guard let text = pick(parts.strings) else { return }
            bytes.replaceSubrange(text, with: Array("\"\(String(repeating: "x", count: 1 << below(18)))\"".utf8))
        default:
            guard let number = pick(parts.numbers) else { return }
            bytes.replaceSubrange(number, with: one(EdgeValues.jsonNumbers))
        }
    }

    private mutating func pick(_ ranges: [Range<Int>]) -> Range<Int>? {
        ranges.isEmpty ? nil : ranges[below(ranges.count)]
    }
}

/// Values at the edge of what types hold.
enum EdgeValues {
    static let numbers: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 62, 1 << 63, .max,
    ]

    static let jsonNumbers = [
        "0", "-0", "-1", "1", "2", "3", "7", "127", "128", "255", "256", "65535", "65536", "2147483647", "2147483648",
        "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1e308", "1e309", "-1e309", "1e-400", "0.1", "1.0", "-0.0", "1e3", "1E+2", "01", "1.",
        ".5", "+1", "0x10", "NaN", "Infinity", "-Infinity", "1e", "--1", "1_000",
    ]

    static let json =
        jsonNumbers + [
            "null", "true", "false", "\"\"", "\"1\"", "[]", "{}", "[[]]", "[null]", "{\"a\":1}", "{\"a\":1,\"a\":1}",
            "[0,0]",
            "[1,[2,[3]]]", "\"\\ud800\"", "\"\\u0000\"", "\"\\udc00\\ud800\"", "nul", "True", "'a'", "undefined",
            "[1,]",
            "{,}", "\"", "\"\\x\"", "/**/1", "\"\u{202E}abc\"", "[-1]", "[9223372036854775807,9223372036854775807]",
        ]

    /// Text that readers and terminals may trip over.
    static let texts = [
        "\0", "\u{FEFF}", "\u{202E}", "\u{2066}", "\u{85}", "\u{1B}[2J", "\u{9B}2J", "\u{7F}", "\r", "\n", "\n\n",
        "\r\n",
        "\t", "\\", "\"", "\\\"", "\\ud83d", "\\u0000", "é", "e\u{301}", "\u{1F468}\u{200D}\u{1F469}", "\u{10FFFF}",
        "\u{FFFE}",
        "<｜User｜>", "<｜Assistant｜>", "<think>", "{{", "}}", "{%", "%}", "{% for x in y %}", "%s%n", "../", "--", "=",
        ",",
        ":", "[", "]", "{", "}", "(", ")", "*", "+?", "(?R)", "(*NO_JIT)", "$", "^", "\\p{L}", "\\p{Foo}", "a{1,65535}",
        String(repeating: "A", count: 5000), String(repeating: "中", count: 3000), String(repeating: "(", count: 500),
    ]
}
