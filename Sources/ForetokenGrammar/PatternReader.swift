/// Reads a pattern, a regular expression, into the text of a string.
struct PatternReader {
    /// Groups inside each other, at most.
    private static let deepest = 64

    private indirect enum Part {
        case set(ScalarRanges)
        /// Parts of nothing are left out of it, so that each one and each repetition makes nodes, whose number is bounded.
        case sequence([Part])
        case choice([Part])
        case repeated(Part, fewest: Int, most: Int?)

        var isNothing: Bool { if case .sequence(let parts) = self { parts.isEmpty } else { false } }
    }

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    private let path: String

    /// Adds the strings that the pattern is found in.
    /// - Throws: `GrammarError` at `path` for what is not supported, with the character where it stands.
    static func add(_ pattern: String, at path: String, to net: inout Net) throws(GrammarError) -> Int32 {
        var reader = PatternReader(pattern, path)
        let (start, end) = (try net.add(), try net.add(Net.Node(isEnd: true)))
        repeat {
            let text = try net.add()
            try net.connect(start, "\"", text)
            let isAtBeginning = reader.take("^")
            let part = try reader.sequence()
            let isAtEnd = reader.take("$")
            if !isAtBeginning { try net.add(.all, from: text, to: text, isInside: false) }
            // The part must not lead back to where any text may stand before it.
            let first = try net.add()
            try net.jump(text, first)
            let last = try add(part, from: first, to: &net)
            let behind = try net.add()
            try net.jump(last, behind)
            if !isAtEnd { try net.add(.all, from: behind, to: behind, isInside: false) }
            try net.connect(behind, "\"", end)
        } while reader.take("|")
        guard reader.position == reader.scalars.count else { throw reader.unsupported() }
        return start
    }

    private init(_ pattern: String, _ path: String) {
        scalars = Array(pattern.unicodeScalars)
        self.path = path
    }

    // MARK: The net

    private static func add(_ part: Part, from start: Int32, to net: inout Net) throws(GrammarError) -> Int32 {
        switch part {
        case .set(let set):
            let end = try net.add()
            try net.add(set, from: start, to: end, isInside: false)
            return end
        case .sequence(let parts):
            var last = start
            for part in parts { last = try add(part, from: last, to: &net) }
            return last
        case .choice(let parts):
            let end = try net.add()
            for part in parts {
                let first = try net.add()
                try net.jump(start, first)
                try net.jump(try add(part, from: first, to: &net), end)
            }
            return end
        case .repeated(let part, let fewest, let most):
            var last = start
            for _ in 0..<fewest { last = try add(part, from: last, to: &net) }
            let end = try net.add()
            try net.jump(last, end)
            if let most {
                for _ in fewest..<most {
                    last = try add(part, from: last, to: &net)
                    try net.jump(last, end)
                }
            } else {
                let first = try net.add()
                try net.jump(last, first)
                let again = try add(part, from: first, to: &net)
                try net.jump(again, first)
                try net.jump(again, end)
            }
            return end
        }
    }

    // MARK: Reading

    private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private func unsupported(_ what: String? = nil) -> GrammarError {
        let found = next.map { "\"\($0.escaped(asASCII: true))\"" } ?? "the end of the pattern"
        return GrammarError(path, "\(what ?? "this is not supported in patterns"): \(found) at character \(position)")
    }

    private mutating func choice() throws(GrammarError) -> Part {
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence() throws(GrammarError) -> Part {
        var parts: [Part] = []
        while let next, next != "|", next != ")", next != "$" {
            let part = try quantified()
            if !part.isNothing { parts.append(part) }
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func quantified() throws(GrammarError) -> Part {
        let part = try atom()
        let (fewest, most): (Int, Int?)
        if take("*") {
            (fewest, most) = (0, nil)
        } else if take("+") {
            (fewest, most) = (1, nil)
        } else if take("?") {
            (fewest, most) = (0, 1)
        } else if take("{") {
            fewest = try count()
            if take(",") { most = next == "}" ? nil : try count() } else { most = fewest }
            guard take("}"), most ?? fewest >= fewest else { throw unsupported("expected the end of a count") }
        } else {
            return part
        }
        // Which of several matches is found does not matter here.
        _ = take("?")
        return part.isNothing ? part : .repeated(part, fewest: fewest, most: most)
    }

    private mutating func count() throws(GrammarError) -> Int {
        var count: Int?
        while let next, let digit = Int(String(next)), next.isASCII {
            count = (count ?? 0) * 10 + digit
            guard count! <= SchemaReader.largestCount else {
                throw unsupported("a count must be at most \(SchemaReader.largestCount)")
            }
            position += 1
        }
        guard let count else { throw unsupported("expected a count") }
        return count
    }

    private mutating func atom() throws(GrammarError) -> Part {
        guard let next else { throw unsupported() }
        switch next {
        case "(":
            guard depth < Self.deepest else { throw unsupported("more than \(Self.deepest) groups inside each other") }
            position += 1
            if take("?") { guard take(":") else { throw unsupported("this kind of group is not supported") } }
            depth += 1
            let part = try choice()
            depth -= 1
            guard take(")") else { throw unsupported("expected the end of a group") }
            return part
        case "[": return .set(try bracketed())
        case ".":
            position += 1
            return .set(ScalarRanges.lineEnds.inverted)
        case "\\": return .set(try escape(isInBrackets: false))
        case "^", "*", "+", "?", "{", "}", "]", ")", "|", "$": throw unsupported()
        default:
            position += 1
            return .set(ScalarRanges(next.value))
        }
    }

    private mutating func bracketed() throws(GrammarError) -> ScalarRanges {
        position += 1
        let isInverted = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while !take("]") {
            let first = try member()
            guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
                ranges += first.ranges
                continue
            }
            position += 1
            let last = try member()
            guard let low = first.only, let high = last.only, low <= high else { throw unsupported("expected a range") }
            ranges.append(low...high)
        }
        let set = ScalarRanges(ranges)
        return isInverted ? set.inverted : set
    }

    private mutating func member() throws(GrammarError) -> ScalarRanges {
        guard let next else { throw unsupported("expected the end of a class") }
        if next == "\\" { return try escape(isInBrackets: true) }
        position += 1
        return ScalarRanges(next.value)
    }

    private mutating func escape(isInBrackets: Bool) throws(GrammarError) -> ScalarRanges {
        position += 1
        guard let letter = next else { throw unsupported() }
        let set: ScalarRanges
        switch letter {
        case "d": set = .digits
        case "D": set = ScalarRanges.digits.inverted
        case "w": set = .wordCharacters
        case "W": set = ScalarRanges.wordCharacters.inverted
        case "s": set = .spaces
        case "S": set = ScalarRanges.spaces.inverted
        case "t": set = ScalarRanges(0x09)
        case "n": set = ScalarRanges(0x0A)
        case "v": set = ScalarRanges(0x0B)
        case "f": set = ScalarRanges(0x0C)
        case "r": set = ScalarRanges(0x0D)
        case "x": return ScalarRanges(try hexadecimal(2))
        case "u": return ScalarRanges(try hexadecimal(4))
        case "^", "$", "\\", ".", "*", "+", "?", "(", ")", "[", "]", "{", "}", "|", "/":
            set = ScalarRanges(letter.value)
        // Others are errors with the Unicode flag, but widely written.
        case "-", "_", "\"", "'", "@", ":", ",", "#", "%", "&", "=", "~", "!", " ", ";", "<", ">", "`":
            set = ScalarRanges(letter.value)
        default: throw unsupported("this escape is not supported")
        }
        position += 1
        return set
    }

    private mutating func hexadecimal(_ count: Int) throws(GrammarError) -> UInt32 {
        position += 1
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let next, let digit = UInt32(String(next), radix: 16) else {
                throw unsupported("expected a hexadecimal digit")
            }
            value = value << 4 | digit
            position += 1
        }
        guard Unicode.Scalar(value) != nil else { throw unsupported("half of a pair of surrogates") }
        return value
    }
}

extension ScalarRanges {
    /// The scalar, if there is just one.
    fileprivate var only: UInt32? {
        guard ranges.count == 1, ranges[0].count == 1 else { return nil }
        return ranges[0].lowerBound
    }
}
