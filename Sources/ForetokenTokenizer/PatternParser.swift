/// Reads an expression as Oniguruma's Ruby syntax has it, the one that tokenizer.json is written in.
///
/// What is not certain to mean the same here is refused: boundaries and `\w`, back references, recursion, callouts,
/// verbs such as `(*NO_JIT)`, names, and ignoring case beyond ASCII letters.
struct PatternParser {
    /// Why an expression is refused, and at which of its characters, counted from 0.
    struct Refusal: Error {
        var reason: String
        var position: Int
    }

    private static let deepestNesting = 50
    private static let mostRepeats = 1000
    /// Published expressions have fewer than 600 characters.
    private static let mostCharacters = 4000

    let scalars: [UInt32]
    var position = 0

    init(_ pattern: String) { scalars = pattern.unicodeScalars.map(\.value) }

    static func parse(_ pattern: String) throws(Refusal) -> PatternNode {
        var parser = PatternParser(pattern)
        guard parser.scalars.count <= mostCharacters else {
            throw parser.refusal("more than \(mostCharacters) characters")
        }
        let node = try parser.choice(ignoringCase: false, depth: 0)
        guard parser.position == parser.scalars.count else { throw parser.refusal("a closing parenthesis too many") }
        return node
    }

    func refusal(_ reason: String) -> Refusal { Refusal(reason: reason, position: position) }

    // MARK: Characters

    var next: UInt32? { position < scalars.count ? scalars[position] : nil }

    /// Steps over `text` if it comes next.
    mutating func take(_ text: String) -> Bool {
        let wanted = text.unicodeScalars.map(\.value)
        guard scalars[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    // MARK: Structure

    private mutating func choice(ignoringCase: Bool, depth: Int) throws(Refusal) -> PatternNode {
        guard depth <= Self.deepestNesting else { throw refusal("groups nested too deeply") }
        var ignoringCase = ignoringCase
        if take("(?i)") { ignoringCase = true }
        var nodes = [try sequence(ignoringCase, depth)]
        while take("|") { nodes.append(try sequence(ignoringCase, depth)) }
        return nodes.count == 1 ? nodes[0] : .choice(nodes)
    }

    private mutating func sequence(_ ignoringCase: Bool, _ depth: Int) throws(Refusal) -> PatternNode {
        var nodes: [PatternNode] = []
        var last = PatternNode.Edge()
        while let scalar = next, scalar != "|", scalar != ")" {
            let node = try repeated(try atom(ignoringCase, depth), ignoringCase)
            if ignoringCase {
                try refuseJoining(last.scalars, node.start.scalars)
                let end = node.end
                last.scalars = end.mayBeEmpty ? last.scalars.union(end.scalars) : end.scalars
            }
            nodes.append(node)
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    /// When case is ignored, one character such as U+FB06 can stand for two letters in a row, which sets cannot say.
    private func refuseJoining(_ first: ScalarSet, _ second: ScalarSet) throws(Refusal) {
        for (letter, partners) in [("s", "st"), ("f", "fil")] as [(Unicode.Scalar, String)]
        where !first.isDisjoint(with: ScalarSet(letter.value)) {
            for partner in partners.unicodeScalars where !second.isDisjoint(with: ScalarSet(partner.value)) {
                throw refusal("\(letter)\(partner) where case is ignored")
            }
        }
    }

    private mutating func repeated(_ atom: PatternNode, _ ignoringCase: Bool) throws(Refusal) -> PatternNode {
        var node = atom
        while let (least, most) = try bounds() {
            let isInterval = scalars[position - 1] == "}"
            var manner = PatternNode.Manner.greedy
            if take("?") {
                guard !isInterval || least != most else { throw refusal("a question mark after {n}") }
                manner = .lazy
            } else if !isInterval, take("+") {
                manner = .possessive
            }
            guard !node.isAssertion else { throw refusal("a repeated assertion") }
            guard most != nil || !node.start.mayBeEmpty else {
                throw refusal("an endless repetition of what may be empty")
            }
            if ignoringCase, most != 1 { try refuseJoining(node.end.scalars, node.start.scalars) }
            node = .repetition(node, least: least, most: most, manner)
        }
        return node
    }

    /// The numbers of a quantifier, if one comes next.
    private mutating func bounds() throws(Refusal) -> (least: Int, most: Int?)? {
        if take("?") { return (0, 1) }
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        guard take("{") else { return nil }
        let low = number()
        var high = low
        if take(",") { high = number() } else if low == nil { throw refusal("a brace that is no repetition") }
        guard take("}"), low != nil || high != nil else { throw refusal("a brace that is no repetition") }
        guard max(low ?? 0, high ?? 1) <= Self.mostRepeats, high ?? 1 > 0, low ?? 0 <= high ?? .max else {
            throw refusal("a repetition out of bounds")
        }
        return (low ?? 0, high)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = next, digit >= 0x30, digit <= 0x39, (value ?? 0) <= Self.mostRepeats {
            value = (value ?? 0) * 10 + Int(digit - 0x30)
            position += 1
        }
        return value
    }

    private mutating func atom(_ ignoringCase: Bool, _ depth: Int) throws(Refusal) -> PatternNode {
        if take("(") { return try group(ignoringCase, depth + 1) }
        if take("[") { return .scalar(try bracket(ignoringCase, depth + 1)) }
        if take(".") { return .scalar(.notLineFeed) }
        if take("^") { return .anchor(.lineStart) }
        if take("$") { return .anchor(.lineEnd) }
        if take(#"\A"#) { return .anchor(.textStart) }
        if take(#"\z"#) { return .anchor(.textEnd) }
        if take(#"\Z"#) { return .anchor(.lastLineEnd) }
        if next == "\\" { return .scalar(try escape(ignoringCase).set) }
        guard let scalar = next, !"?*+{".unicodeScalars.contains(where: { $0.value == scalar }) else {
            throw refusal("a repetition of nothing")
        }
        position += 1
        return .scalar(try folded(scalar, ignoringCase))
    }

    private mutating func group(_ ignoringCase: Bool, _ depth: Int) throws(Refusal) -> PatternNode {
        if next == "*" { throw refusal("a verb (*…)") }
        var ignoringCase = ignoringCase
        var wrap: ((PatternNode) -> PatternNode)?
        var looksBack: Bool?
        if next == "?" {
            if take("?i:") {
                ignoringCase = true
            } else if take("?-i:") {
                ignoringCase = false
            } else if take("?=") {
                wrap = { .lookahead($0, negated: false) }
            } else if take("?!") {
                wrap = { .lookahead($0, negated: true) }
            } else if take("?>") {
                wrap = { .atomic($0) }
            } else if take("?<=") {
                looksBack = false
            } else if take("?<!") {
                looksBack = true
            } else if !take("?:") {
                throw refusal("a group of an unknown kind (?…)")
            }
        }
        let isNested = next == "("
        let node = try choice(ignoringCase: ignoringCase, depth: depth)
        guard take(")") else { throw refusal("a group without end") }
        if let looksBack {
            guard case .scalar(let set) = node, !isNested else {
                throw refusal("looking back by other than one character")
            }
            return .lookbehind(set, negated: looksBack)
        }
        return wrap?(node) ?? node
    }

    /// The scalar alone, or with its other cases.
    func folded(_ scalar: UInt32, _ ignoringCase: Bool) throws(Refusal) -> ScalarSet {
        guard ignoringCase else { return ScalarSet(scalar) }
        return try folded(ScalarSet(scalar))
    }

    /// The set with the other cases of its ASCII letters; nothing else may be in it.
    func folded(_ set: ScalarSet) throws(Refusal) -> ScalarSet {
        guard set.isDisjoint(with: ScalarSet(0x7F).union(ScalarSet([0x80...0x10FFFF]))) else {
            throw refusal("ignoring case beyond ASCII")
        }
        var ranges = set.ranges
        for letter in UInt32(0x61)...0x7A {
            let both = ScalarSet([letter...letter, letter - 0x20...letter - 0x20])
            guard !set.isDisjoint(with: both) else { continue }
            ranges += both.ranges
            // The long s and the sign of the kelvin are lower- and upper-case forms too.
            if letter == "s" { ranges.append(0x17F...0x17F) }
            if letter == "k" { ranges.append(0x212A...0x212A) }
        }
        return ScalarSet(ranges)
    }
}

extension UInt32 {
    static func == (left: UInt32, right: Unicode.Scalar) -> Bool { left == right.value }
    static func != (left: UInt32, right: Unicode.Scalar) -> Bool { left != right.value }
}

extension UInt32? {
    static func == (left: UInt32?, right: Unicode.Scalar) -> Bool { left == right.value }
    static func != (left: UInt32?, right: Unicode.Scalar) -> Bool { left != right.value }
}
