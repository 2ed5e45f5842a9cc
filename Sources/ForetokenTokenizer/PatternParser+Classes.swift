extension PatternParser {
    /// The inside of a bracket, up to and with its end: members, ranges, brackets within, and `&&` between operands.
    mutating func bracket(_ ignoringCase: Bool, _ depth: Int) throws(Refusal) -> ScalarSet {
        guard depth <= 20 else { throw refusal("classes nested too deeply") }
        let isNegated = take("^")
        var members = ScalarSet()
        var common: ScalarSet?
        // A closing bracket that comes first is a member.
        var isFirst = true
        while true {
            guard let scalar = next else { throw refusal("a class without end") }
            if scalar == "]", !isFirst { break }
            if take("&&") {
                guard !ignoringCase else { throw refusal("an intersection where case is ignored") }
                common = common?.intersection(members) ?? members
                members = ScalarSet()
            } else if scalar == "[" {
                if take("[:") { throw refusal("a class [:…:]") }
                guard !ignoringCase else { throw refusal("classes in classes where case is ignored") }
                position += 1
                members = members.union(try bracket(false, depth + 1))
            } else {
                members = members.union(try member(ignoringCase, isFirst))
            }
            isFirst = false
        }
        position += 1
        let set = common?.intersection(members) ?? members
        return isNegated ? set.inverted() : set
    }

    /// A scalar, an escape or a range.
    private mutating func member(_ ignoringCase: Bool, _ isFirst: Bool) throws(Refusal) -> ScalarSet {
        let isDash = next == "-"
        let low = try single()
        guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
            // A bare dash in the middle is read differently by different libraries.
            guard !isDash || isFirst || next == "]" else { throw refusal("a dash inside a class") }
            return try low.fold(ignoringCase, self)
        }
        guard let first = low.scalar, !isDash else { throw refusal("a range without a beginning") }
        position += 1
        guard next != "[", let last = try single().scalar, first <= last else {
            throw refusal("a range without an end")
        }
        let range = ScalarSet([first...last])
        return ignoringCase ? try folded(range) : range
    }

    private mutating func single() throws(Refusal) -> Escape {
        if next == "\\" { return try escape() }
        guard let scalar = next else { throw refusal("a class without end") }
        position += 1
        return Escape(set: ScalarSet(scalar), scalar: scalar)
    }

    /// What a backslash and the characters after it stand for.
    struct Escape {
        var set: ScalarSet
        /// nil for a class such as `\s`.
        var scalar: UInt32?
        /// Whether the class has no letters that case could change.
        var isCaseless = false

        func fold(_ ignoringCase: Bool, _ parser: PatternParser) throws(Refusal) -> ScalarSet {
            !ignoringCase || isCaseless ? set : try parser.folded(set)
        }
    }

    /// An escape outside of brackets.
    mutating func escape(_ ignoringCase: Bool) throws(Refusal) -> Escape {
        var escape = try escape()
        escape.set = try escape.fold(ignoringCase, self)
        return escape
    }

    private mutating func escape() throws(Refusal) -> Escape {
        let start = position
        position += 1
        guard let value = next, let letter = Unicode.Scalar(value) else { throw refusal("a backslash at the end") }
        position += 1
        func scalar(_ value: UInt32) -> Escape { Escape(set: ScalarSet(value), scalar: value) }
        switch letter {
        case "n": return scalar(0x0A)
        case "t": return scalar(0x09)
        case "r": return scalar(0x0D)
        case "f": return scalar(0x0C)
        case "v": return scalar(0x0B)
        case "a": return scalar(0x07)
        case "e": return scalar(0x1B)
        case "x", "u": return scalar(try hexadecimal(isLong: letter == "u"))
        case "p", "P": return Escape(set: try property(isNegated: letter == "P"))
        case "s": return Escape(set: .space, isCaseless: true)
        case "S": return Escape(set: ScalarSet.space.inverted())
        case "d": return Escape(set: .digit, isCaseless: true)
        case "D": return Escape(set: ScalarSet.digit.inverted())
        case "h": return Escape(set: .hexadecimal)
        case "H": return Escape(set: ScalarSet.hexadecimal.inverted())
        default:
            guard value >= 0x80 || !(0x41...0x5A ~= value & 0x5F || 0x30...0x39 ~= value) else {
                position = start
                throw refusal("\\\(letter)")
            }
            return scalar(value)
        }
    }

    /// `\x7F`, `\x{1F600}` or `\u4E00`, behind its letter.
    private mutating func hexadecimal(isLong: Bool) throws(Refusal) -> UInt32 {
        let isBraced = !isLong && take("{")
        let most = isLong ? 4 : isBraced ? 8 : 2
        var digits = ""
        while let value = next, let scalar = Unicode.Scalar(value), value < 0x80, Character(scalar).isHexDigit,
            digits.count < most
        {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        guard let value = UInt32(digits, radix: 16), Unicode.Scalar(value) != nil, !isBraced || take("}"),
            !isLong || digits.count == 4, isLong || isBraced || value < 0x80
        else { throw refusal("a character code that is none") }
        return value
    }

    /// `{L}`, `{^Han}` and so on, behind `\p` or `\P`.
    private mutating func property(isNegated: Bool) throws(Refusal) -> ScalarSet {
        guard take("{") else { throw refusal("a property without braces") }
        let isInverted = take("^") != isNegated
        var name = ""
        while let value = next, value != "}", let scalar = Unicode.Scalar(value) {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}"), let set = ScalarSet(property: name) else {
            throw refusal("the unknown property \(name.prefix(40))")
        }
        return isInverted ? set.inverted() : set
    }
}
