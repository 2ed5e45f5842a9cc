/// A piece of a template's source.
struct Token: Equatable {
    enum Kind: Equatable {
        /// Text between tags.
        case data(String)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string(String)
        case integer(Int)
        case number(Double)
        case symbol(String)
        case end

        /// What a message calls it.
        var shown: String {
            switch self {
            case .data: "text"
            case .variableBegin: "{{"
            case .variableEnd: "}}"
            case .blockBegin: "{%"
            case .blockEnd: "%}"
            case .name(let name): name
            case .string: "a string"
            case .integer(let value): "\(value)"
            case .number(let value): "\(value)"
            case .symbol(let symbol): symbol
            case .end: "the end of the template"
            }
        }
    }

    let kind: Kind
    let line: Int
}

/// Cuts a source into tokens as Jinja does with trim_blocks and lstrip_blocks: the line end behind a block and the blanks in
/// front of one are no text.
struct Lexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []
    /// Whether the last tag ended with a line end, or there was none yet.
    private var startsLine = true
    /// Closing brackets that are due.
    private var closing: [Unicode.Scalar] = []

    /// Longest source, in bytes.
    static let longestSource = 1 << 20

    /// - Throws: `TemplateError` for what is no template.
    static func tokens(of source: String) throws(TemplateError) -> [Token] {
        guard source.utf8.count <= longestSource else {
            throw TemplateError(
                kind: .limit, line: 1,
                reason: "the template has \(source.utf8.count) bytes; at most \(longestSource) are read")
        }
        var lexer = Lexer(source)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ source: String) {
        var scalars: [Unicode.Scalar] = []
        for scalar in source.unicodeScalars {
            if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
            scalars.append(scalar)
        }
        for index in scalars.indices where scalars[index] == "\r" { scalars[index] = "\n" }
        if scalars.last == "\n" { scalars.removeLast() }
        self.source = scalars
    }

    private func failure(_ reason: String) -> TemplateError { TemplateError(kind: .syntax, line: line, reason: reason) }

    private func matches(_ text: String, at index: Int) -> Bool {
        let scalars = text.unicodeScalars
        return index + scalars.count <= source.count && zip(source[index...], scalars).allSatisfy { $0 == $1 }
    }

    private mutating func advance(_ count: Int) {
        for index in position..<position + count where source[index] == "\n" { line += 1 }
        position += count
    }

    private mutating func add(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

    // MARK: Text and tags

    private mutating func run() throws(TemplateError) {
        while position < source.count {
            var begin = position
            while begin < source.count, !isTag(begin) { begin += 1 }
            guard begin < source.count else {
                addData(position..<begin)
                advance(begin - position)
                break
            }
            let mark: Unicode.Scalar = source[begin + 1]
            let sign = begin + 2 < source.count ? source[begin + 2] : " "
            addData(position..<textEnd(before: begin, sign, isVariable: mark == "{"))
            advance(begin - position)
            let hasSign = sign == "-" || sign == "+"
            switch mark {
            case "#": try skipComment()
            case "%":
                if let length = rawLength(begin + (hasSign ? 3 : 2)) {
                    try readRaw(behind: length)
                } else {
                    try readTag(.blockBegin, hasSign)
                }
            default: try readTag(.variableBegin, hasSign)
            }
            startsLine = position > 0 && source[position - 1] == "\n"
        }
        add(.end)
    }

    private func isTag(_ index: Int) -> Bool {
        source[index] == "{" && index + 1 < source.count && ["{", "%", "#"].contains(source[index + 1])
    }

    private mutating func addData(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: source[range])
        add(.data(String(text)))
    }

    /// Where the text in front of a tag ends.
    private func textEnd(before begin: Int, _ sign: Unicode.Scalar, isVariable: Bool) -> Int {
        var end = begin
        if sign == "-" {
            while end > position, source[end - 1].value.isSpace { end -= 1 }
        } else if sign != "+" && !isVariable {
            while end > position, source[end - 1].value.isSpace, source[end - 1] != "\n" { end -= 1 }
            let isAtLineStart = end > position ? source[end - 1] == "\n" : startsLine
            if !isAtLineStart { end = begin }
        }
        return end
    }

    private mutating func skipComment() throws(TemplateError) {
        var end = position + 2
        while end < source.count, !matches("#}", at: end) { end += 1 }
        guard end < source.count else { throw failure("a comment is not closed") }
        let sign = source[end - 1]
        // The sign of {#- cannot be that of -#} as well.
        let hasSign = end - 1 > position + 2
        advance(end + 2 - position)
        skipBehindBlock(hasSign && sign == "-", keepsLine: hasSign && sign == "+")
    }

    /// Skips what a closing tag takes along: all white space, or the line end.
    private mutating func skipBehindBlock(_ trims: Bool, keepsLine: Bool) {
        if trims {
            while position < source.count, source[position].value.isSpace { advance(1) }
        } else if !keepsLine, position < source.count, source[position] == "\n" {
            advance(1)
        }
    }

    // MARK: Raw blocks

    private func skippingSpace(_ index: Int) -> Int {
        var index = index
        while index < source.count, source[index].value.isSpace { index += 1 }
        return index
    }

    /// Where the text behind `raw %}` begins, if that is what comes at `index`, and whether white space goes with the tag.
    private func rawLength(_ index: Int) -> (end: Int, trims: Bool)? {
        let word = skippingSpace(index)
        guard matches("raw", at: word) else { return nil }
        let end = skippingSpace(word + 3)
        if matches("-%}", at: end) { return (end + 3, true) }
        return matches("%}", at: end) ? (end + 2, false) : nil
    }

    private mutating func readRaw(behind begin: (end: Int, trims: Bool)) throws(TemplateError) {
        advance(begin.end - position)
        if begin.trims { skipBehindBlock(true, keepsLine: true) }
        var open = position
        while open < source.count {
            if matches("{%", at: open) {
                let sign = open + 2 < source.count ? source[open + 2] : " "
                let word = skippingSpace(open + (sign == "-" || sign == "+" ? 3 : 2))
                let end = matches("endraw", at: word) ? skippingSpace(word + 6) : source.count
                let closing = ["%}", "-%}", "+%}"].first { matches($0, at: end) }
                if let closing {
                    startsLine = position > 0 && source[position - 1] == "\n"
                    addData(position..<textEnd(before: open, sign, isVariable: false))
                    advance(end + closing.unicodeScalars.count - position)
                    return skipBehindBlock(closing == "-%}", keepsLine: closing == "+%}")
                }
            }
            open += 1
        }
        throw failure("a raw block is not closed")
    }

    // MARK: Inside tags

    private mutating func readTag(_ begin: Token.Kind, _ hasSign: Bool) throws(TemplateError) {
        add(begin)
        advance(hasSign ? 3 : 2)
        closing = []
        let isBlock = begin == .blockBegin
        while true {
            while position < source.count, source[position].value.isSpace { advance(1) }
            guard position < source.count else { throw failure("a tag is not closed") }
            if closing.isEmpty, try endTag(isBlock) { return }
            try readToken()
        }
    }

    private mutating func endTag(_ isBlock: Bool) throws(TemplateError) -> Bool {
        let end = isBlock ? "%}" : "}}"
        let trims = matches("-" + end, at: position)
        let keepsLine = isBlock && matches("+" + end, at: position)
        guard trims || keepsLine || matches(end, at: position) else { return false }
        add(isBlock ? .blockEnd : .variableEnd)
        advance(trims || keepsLine ? 3 : 2)
        skipBehindBlock(trims, keepsLine: keepsLine || !isBlock)
        return true
    }

    private static let symbols = [
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=",
        ".", ":",
        "|", ",", ";",
    ]

    private mutating func readToken() throws(TemplateError) {
        let scalar = source[position]
        if scalar == "'" || scalar == "\"" { return try readString(scalar) }
        if "0"..."9" ~= scalar { return try readNumber() }
        if scalar == "_" || scalar.properties.isXIDStart { return readName() }
        guard let symbol = Self.symbols.first(where: { matches($0, at: position) }) else {
            throw failure("unexpected character \(Self.shown(scalar))")
        }
        switch symbol {
        case "(": closing.append(")")
        case "[": closing.append("]")
        case "{": closing.append("}")
        case ")", "]", "}":
            guard let due = closing.popLast() else { throw failure("unexpected '\(symbol)'") }
            guard String(due) == symbol else { throw failure("unexpected '\(symbol)', expected '\(due)'") }
        default: break
        }
        add(.symbol(symbol))
        advance(symbol.unicodeScalars.count)
    }

    static func shown(_ scalar: Unicode.Scalar) -> String {
        0x21..<0x7F ~= scalar.value ? "'\(scalar)'" : "U+" + String(scalar.value, radix: 16, uppercase: true)
    }

    private mutating func readName() {
        var end = position
        while end < source.count, source[end].properties.isXIDContinue || source[end] == "_" { end += 1 }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: source[position..<end])
        add(.name(String(text)))
        advance(end - position)
    }

    private func digits(_ index: Int, radix: Int = 10) -> Int {
        var end = index
        while end < source.count {
            let next = source[end] == "_" && end > index ? end + 1 : end
            guard next < source.count, source[next].isASCII, let digit = Character(source[next]).hexDigitValue,
                digit < radix
            else { break }
            end = next + 1
        }
        return end
    }

    private mutating func readNumber() throws(TemplateError) {
        func text(_ range: Range<Int>) -> String { source[range].filter { $0 != "_" }.map { String($0) }.joined() }
        if source[position] == "0", position + 1 < source.count,
            let radix = ["x": 16, "o": 8, "b": 2][String(source[position + 1]).lowercased()]
        {
            let end = digits(position + 2, radix: radix)
            if end > position + 2 {
                guard let value = Int(text(position + 2..<end), radix: radix) else {
                    throw failure("a number is too large")
                }
                add(.integer(value))
                return advance(end - position)
            }
        }
        var end = digits(position)
        let wholeEnd = end
        var isWhole = true
        if end + 1 < source.count, source[end] == ".", "0"..."9" ~= source[end + 1] {
            isWhole = false
            end = digits(end + 1)
        }
        if end < source.count, source[end] == "e" || source[end] == "E" {
            let signed =
                end + 1 < source.count && (source[end + 1] == "+" || source[end + 1] == "-") ? end + 2 : end + 1
            let exponentEnd = digits(signed)
            if exponentEnd > signed { (isWhole, end) = (false, exponentEnd) }
        }
        if isWhole {
            let digits = text(position..<wholeEnd)
            guard digits == "0" || !digits.hasPrefix("0") || digits.allSatisfy({ $0 == "0" }) else {
                throw failure("a number cannot begin with 0")
            }
            guard let value = Int(digits) else { throw failure("a number is too large") }
            add(.integer(value))
        } else {
            add(.number(Double(text(position..<end)) ?? .infinity))
        }
        advance(end - position)
    }

    // MARK: Strings

    private mutating func readString(_ quote: Unicode.Scalar) throws(TemplateError) {
        var text = String.UnicodeScalarView()
        var index = position + 1
        while index < source.count, source[index] != quote {
            if source[index] == "\\" {
                index = try readEscape(index + 1, into: &text)
            } else {
                text.append(source[index])
                index += 1
            }
        }
        guard index < source.count else { throw failure("a string is not closed") }
        add(.string(String(text)))
        advance(index + 1 - position)
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t",
        "v": "\u{B}",
    ]

    /// Reads what follows a backslash; returns where the text goes on.
    private func readEscape(_ index: Int, into text: inout String.UnicodeScalarView) throws(TemplateError) -> Int {
        guard index < source.count else { throw failure("a string is not closed") }
        let letter = source[index]
        if letter == "\n" { return index + 1 }
        if let scalar = Self.escapes[letter] {
            text.append(scalar)
            return index + 1
        }
        if let length = (["x": 2, "u": 4, "U": 8] as [Unicode.Scalar: Int])[letter] {
            return try readCode(index + 1..<index + 1 + length, radix: 16, exactly: true, into: &text)
        }
        if "0"..."7" ~= letter { return try readCode(index..<index + 3, radix: 8, exactly: false, into: &text) }
        if letter == "N" { throw failure("\\N escapes are not supported") }
        text.append("\\")
        text.append(letter)
        return index + 1
    }

    private func readCode(
        _ range: Range<Int>, radix: Int, exactly: Bool, into text: inout String.UnicodeScalarView
    ) throws(TemplateError) -> Int {
        var value: UInt32 = 0
        var index = range.lowerBound
        while index < min(range.upperBound, source.count), source[index].isASCII,
            let digit = Character(source[index]).hexDigitValue, digit < radix
        {
            let (product, overflow) = value.multipliedReportingOverflow(by: UInt32(radix))
            guard !overflow else { break }
            value = product | UInt32(digit)
            index += 1
        }
        guard !exactly || index == range.upperBound, let scalar = Unicode.Scalar(value) else {
            throw failure("a bad escape in a string")
        }
        text.append(scalar)
        return index
    }
}
