import CForetokenRegex

/// A compiled expression of a Split pre-tokenizer.
///
/// Classes such as `\p{L}` follow the Unicode version of the PCRE2 library in use (10.42: Unicode 14). Characters assigned
/// later count as unassigned, so words of them may be cut elsewhere than by the reference library; no byte is lost.
// Unchecked: PCRE2 never writes to compiled code after it is made.
final class SplitPattern: @unchecked Sendable {
    /// As tokenizer.json gives it: an Oniguruma expression, or plain text.
    enum Source: Equatable {
        case regex(String)
        case literal(String)

        var text: String {
            switch self {
            case .regex(let text), .literal(let text): text
            }
        }
    }

    let source: Source
    fileprivate let regex: OpaquePointer

    init(_ source: Source) throws(TokenizerError) {
        self.source = source
        var pattern: [UInt8]
        let isLiteral: Int32
        switch source {
        case .regex(let text): (pattern, isLiteral) = (try Self.translate(text), 0)
        case .literal(let text): (pattern, isLiteral) = (Array(text.utf8), 1)
        }
        var fault = 0
        var message = [CChar](repeating: 0, count: 256)
        guard
            let regex = foretoken_regex_compile(&pattern, pattern.count, isLiteral, &fault, &message, message.count)
        else {
            throw TokenizerFile.unsupported(
                "the expression \(source.text.prefix(200)) (\(text(of: message)), near byte \(fault))")
        }
        self.regex = regex
    }

    deinit { foretoken_regex_free(regex) }

    /// Rewrites what Oniguruma and PCRE2 read differently.
    ///
    /// `\s` is the White_Space property in Oniguruma, while PCRE2 still counts U+180E, which left it in Unicode 6.3.
    /// A bracket inside a class nests it and `&&` intersects in Oniguruma, both are plain characters in PCRE2, and `\h`
    /// means a hexadecimal digit in one and white space in the other; `\w` and `\b` go by different sets of characters. Those
    /// are refused.
    static func translate(_ pattern: String) throws(TokenizerError) -> [UInt8] {
        let space = #"\t-\r\x{85}\p{Z}"#
        var output: [UInt8] = []
        var isInClass = false
        var bytes = pattern.utf8[...]

        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                let escaped = bytes.popFirst()
                switch escaped {
                case UInt8(ascii: "s"): output.append(contentsOf: (isInClass ? space : "[\(space)]").utf8)
                case UInt8(ascii: "S") where !isInClass: output.append(contentsOf: "[^\(space)]".utf8)
                case .some(let letter) where "hHwWbB".utf8.contains(letter):
                    let escape = String(decoding: [byte, letter], as: UTF8.self)
                    throw TokenizerFile.unsupported("\(escape) in the expression \(pattern.prefix(200))")
                default:
                    output.append(byte)
                    if let escaped { output.append(escaped) }
                }
            case UInt8(ascii: "[") where !isInClass:
                isInClass = true
                output.append(byte)
                // A closing bracket that comes first is a member of the class.
                for first in [UInt8(ascii: "^"), UInt8(ascii: "]")] where bytes.first == first {
                    output.append(first)
                    bytes.removeFirst()
                }
            case UInt8(ascii: "[") where bytes.first == UInt8(ascii: ":"),
                UInt8(ascii: "&") where isInClass && bytes.first == UInt8(ascii: "&"),
                UInt8(ascii: "[") where isInClass:
                throw TokenizerFile.unsupported("classes inside a class in the expression \(pattern.prefix(200))")
            case UInt8(ascii: "]") where isInClass:
                isInClass = false
                output.append(byte)
            default: output.append(byte)
            }
        }
        return output
    }
}

/// One thread's use of the patterns, for the length of one call.
final class Matcher {
    private let scratch: OpaquePointer

    init() throws(TokenizerError) {
        guard let scratch = foretoken_matcher_create() else {
            throw .patternFailed(pattern: "", offset: 0, reason: "no memory for the matcher")
        }
        self.scratch = scratch
    }

    deinit { foretoken_matcher_free(scratch) }

    /// The first match at or after `start`, as byte offsets into `subject`, which must be valid UTF-8.
    @inline(__always)
    func firstMatch(
        of pattern: SplitPattern, in subject: UnsafeBufferPointer<UInt8>, from start: Int
    ) throws(TokenizerError) -> Range<Int>? {
        var begin = 0
        var end = 0
        let result = foretoken_regex_find(
            pattern.regex, scratch, subject.baseAddress, subject.count, start, &begin, &end)
        if result == 0 { return nil }
        guard result > 0 else {
            var message = [CChar](repeating: 0, count: 256)
            foretoken_regex_message(result, &message, message.count)
            throw .patternFailed(pattern: pattern.source.text, offset: start, reason: text(of: message))
        }
        return begin..<end
    }
}

/// The text of a C string's buffer.
private func text(of message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
