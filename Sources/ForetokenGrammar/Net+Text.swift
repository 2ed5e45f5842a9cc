import ForetokenJSON

extension Net {
    /// Any text of a string in any spelling up to the closing quotation mark, which leads to `end`.
    /// - Returns: the node behind the opening quotation mark.
    mutating func addAnyText(to end: Int32, isInside: Bool) throws(GrammarError) -> Int32 {
        let text = try add(Node(isInside: isInside))
        try connect(text, "\"", end)
        try add(.all, from: text, to: text, isInside: isInside)
        func node() throws(GrammarError) -> Int32 { try add(Node(isInside: isInside)) }
        let backslash = try node()
        try connect(text, "\\", backslash)
        try connect(backslash, any: "bf/", text)
        // Four hexadecimal digits; half of a pair of surrogates only before its other half.
        let hexadecimal = "0123456789abcdefABCDEF"
        let (four, three, two, one, behindD) = (try node(), try node(), try node(), try node(), try node())
        try connect(backslash, "u", four)
        try connect(four, any: "0123456789abcefABCEF", three)
        try connect(three, any: hexadecimal, two)
        try connect(two, any: hexadecimal, one)
        try connect(one, any: hexadecimal, text)
        try connect(four, any: "dD", behindD)
        try connect(behindD, any: "01234567", two)
        var pair = try node()
        try connect(behindD, any: "89abAB", pair)
        for marks in [hexadecimal, hexadecimal, "\\", "u", "dD"] {
            let next = try node()
            try connect(pair, any: marks, next)
            pair = next
        }
        try connect(pair, any: "cdefCDEF", two)
        return text
    }

    /// A text that is none of `names`, up to the closing quotation mark, which leads to `end`. It has only the spelling that
    /// `JSONValue.text` gives it, so that no escape hides a name.
    /// - Returns: the node behind the opening quotation mark.
    mutating func addText(besides names: [String], to end: Int32) throws(GrammarError) -> Int32 {
        guard !names.isEmpty else { return try addAnyText(to: end, isInside: true) }
        let plain = try add(Node(isInside: true))
        try connect(plain, "\"", end)
        try add(.all, from: plain, to: plain, isInside: true)

        /// A beginning of names: where the text is, where it would be in plain text, the names, and how many bytes are read.
        struct Beginning {
            let node: Int32
            let plain: Int32
            let names: [[UInt8]]
            let count: Int
        }
        let root = try add(Node(isInside: true))
        var open = [
            Beginning(node: root, plain: plain, names: names.map { Array(Self.spelling(of: $0).dropFirst()) }, count: 0)
        ]
        while let place = open.popLast() {
            // The closing quotation mark is the last byte of a name; it leads nowhere.
            let byByte = Dictionary(grouping: place.names.filter { $0.count > place.count }) { $0[place.count] }
            for edge in nodes[Int(place.plain)].edges {
                var low = Int(edge.low)
                for byte in byByte.keys.filter({ edge.low...edge.high ~= $0 }).sorted() {
                    if low < Int(byte) { try connect(place.node, UInt8(low), byte - 1, edge.target) }
                    low = Int(byte) + 1
                    guard byte != UInt8(ascii: "\"") || place.plain != plain, let names = byByte[byte] else { continue }
                    let next = try add(Node(isInside: true))
                    try connect(place.node, byte, byte, next)
                    open.append(Beginning(node: next, plain: edge.target, names: names, count: place.count + 1))
                }
                if low <= Int(edge.high) { try connect(place.node, UInt8(low), edge.high, edge.target) }
            }
        }
        return root
    }

    /// A string in quotation marks, as the grammar writes all texts that the schema fixes.
    static func spelling(of text: String) -> [UInt8] { Array(JSONValue.string(text).text.utf8) }

    /// A number; a whole one without point and exponent where `isWhole`.
    mutating func addNumber(isWhole: Bool) throws(GrammarError) -> Int32 {
        let start = try add()
        let (minus, zero, digits) = (try add(), try add(Node(isEnd: true)), try add(Node(isEnd: true)))
        try connect(start, "-", minus)
        for source in [start, minus] {
            try connect(source, "0", zero)
            try connect(source, any: "123456789", digits)
        }
        let allDigits = "0123456789"
        try connect(digits, any: allDigits, digits)
        guard !isWhole else { return start }
        let (point, fraction) = (try add(), try add(Node(isEnd: true)))
        let (e, sign, exponent) = (try add(), try add(), try add(Node(isEnd: true)))
        for source in [zero, digits] { try connect(source, ".", point) }
        for source in [point, fraction] { try connect(source, any: allDigits, fraction) }
        for source in [zero, digits, fraction] { try connect(source, any: "eE", e) }
        try connect(e, any: "+-", sign)
        for source in [e, sign, exponent] { try connect(source, any: allDigits, exponent) }
        return start
    }

    /// Exactly this text.
    mutating func addWord(_ bytes: some Sequence<UInt8>) throws(GrammarError) -> Int32 {
        let start = try add()
        markEnd(try spell(bytes, from: start, isInside: false))
        return start
    }

    /// A string of `shortest`...`longest` scalars in the spelling of `JSONValue.text`.
    mutating func addText(shortest: Int, longest: Int?) throws(GrammarError) -> Int32 {
        let start = try add()
        let end = try add(Node(isEnd: true))
        var text = try add()
        try connect(start, "\"", text)
        let last = longest ?? shortest
        for count in 0...last {
            if count >= shortest { try connect(text, "\"", end) }
            if count == last { break }
            let next = try add()
            try add(.all, from: text, to: next, isInside: false)
            text = next
        }
        if longest == nil { try add(.all, from: text, to: text, isInside: false) }
        return start
    }
}
