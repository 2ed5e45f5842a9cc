/// `'%s' % value` and `'{}'.format(value)`, as far as templates use them.
extension Renderer {
    /// Python's `%` on texts: %s, %d, %i, %r, %f, %x and %%, with flags, width and precision.
    mutating func formatted(_ format: TemplateText, _ value: Value) throws(TemplateError) -> TemplateText {
        var arguments: [Value] = [value]
        if case .list(let series) = value, series.kind == .tuple { arguments = series.items }
        var next = 0
        var result: [UInt32] = []
        var index = 0
        let units = format.units
        var usesNames = false
        while index < units.count {
            guard units[index].scalar == "%" else {
                result.append(units[index])
                index += 1
                continue
            }
            index += 1
            var field = FormatField()
            var name: TemplateText?
            if index < units.count, units[index].scalar == "(" {
                guard let end = units[index...].firstIndex(where: { $0.scalar == ")" }) else {
                    throw failure("a name in a format is not closed")
                }
                name = TemplateText(units: units[index + 1..<end])
                index = end + 1
            }
            field.read(units, &index)
            guard index < units.count else { throw failure("a format ends behind '%'") }
            let letter = units[index].scalar
            index += 1
            if letter == "%" {
                result.append(0x25)
                continue
            }
            let argument: Value
            if let name {
                guard case .dictionary(let members) = value, let found = members[.string(name)] else {
                    throw failure("a format names '\(name.string)', which is not there")
                }
                (argument, usesNames) = (found, true)
            } else {
                guard next < arguments.count else { throw failure("a format has more fields than there are values") }
                argument = arguments[next]
                next += 1
            }
            let text = try self.text(of: argument, letter, field)
            try reserve(max(field.width, text.units.count))
            result += field.padded(text.units, isNumber: letter != "s" && letter != "r")
        }
        var isMapping = false
        if case .dictionary = value { isMapping = true }
        guard usesNames || isMapping || next == arguments.count else {
            throw failure("a format has fewer fields than there are values")
        }
        try reserve(format.units.count)
        return TemplateText(units: result)
    }

    private mutating func text(
        of value: Value, _ letter: Unicode.Scalar, _ field: FormatField
    ) throws(TemplateError) -> TemplateText {
        switch letter {
        case "s", "r":
            let text = letter == "s" ? try printed(value) : try represented(value)
            return TemplateText(units: text.units.prefix(field.precision ?? .max))
        case "d", "i":
            let whole: Value? = if case .number(let real) = value { Numbers.truncated(real) } else { value }
            if case .huge(let digits)? = whole { return try filled(digits, field) }
            guard let number = whole?.integer else {
                throw failure("%\(letter) needs a finite number, found a \(value.typeName)")
            }
            return try filled("\(number)", field)
        case "x":
            guard let number = value.integer else {
                throw failure("%x needs a whole number, found a \(value.typeName)")
            }
            return try filled(String(number, radix: 16), field)
        case "f":
            guard let number = value.real else { throw failure("%f needs a number, found a \(value.typeName)") }
            guard number.isFinite else { return TemplateText(own: Self.python(number)) }
            let digits = field.precision ?? 6
            try reserve(digits)
            return TemplateText(own: Numbers.decimal(number, digits: digits))
        default: throw failure("%\(letter) in a format is not supported", .unsupported)
        }
    }

    /// A whole number with at least as many digits as the field's precision says.
    private mutating func filled(_ number: String, _ field: FormatField) throws(TemplateError) -> TemplateText {
        let digits = number.drop { $0 == "-" }
        let missing = max(0, (field.precision ?? 0) - digits.utf8.count)
        try reserve(missing + number.utf8.count)
        let sign = number.hasPrefix("-") ? "-" : ""
        return TemplateText(own: sign + String(repeating: "0", count: missing) + digits)
    }

    /// Python's `format` method: fields {}, {0} and {name} without anything else in them.
    mutating func formatted(braces format: TemplateText, _ arguments: ArgumentValues) throws(TemplateError)
        -> TemplateText
    {
        var result: [UInt32] = []
        var next = 0
        var index = 0
        let units = format.units
        while index < units.count {
            let scalar = units[index].scalar
            guard scalar == "{" || scalar == "}" else {
                result.append(units[index])
                index += 1
                continue
            }
            if index + 1 < units.count, units[index + 1].scalar == scalar {
                result.append(units[index])
                index += 2
                continue
            }
            guard scalar == "{", let end = units[index...].firstIndex(where: { $0.scalar == "}" }) else {
                throw failure("a brace in a format stands alone")
            }
            let name = TemplateText(units: units[index + 1..<end]).string
            guard name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
                throw failure("the field {\(name)} in a format is not supported", .unsupported)
            }
            let place = name.isEmpty ? next : Int(name)
            if name.isEmpty { next += 1 }
            let value =
                place.map { $0 < arguments.positional.count ? arguments.positional[$0] : nil }
                ?? arguments.named.first { $0.name == name }?.value
            guard let value else { throw failure("a format wants the value {\(name)}, which is not there") }
            let text = try printed(value)
            try reserve(text.units.count)
            result += text.units
            index = end + 1
        }
        try reserve(units.count)
        return TemplateText(units: result)
    }
}

/// Flags, width and precision of a field.
private struct FormatField {
    var isLeft = false
    var padsWithZeros = false
    var width = 0
    var precision: Int?

    /// Reads what stands between `%` and the letter.
    mutating func read(_ units: [UInt32], _ index: inout Int) {
        while index < units.count, ["-", "0"].contains(units[index].scalar) {
            if units[index].scalar == "-" { isLeft = true } else { padsWithZeros = true }
            index += 1
        }
        width = Self.number(units, &index) ?? 0
        if index < units.count, units[index].scalar == "." {
            index += 1
            precision = Self.number(units, &index) ?? 0
        }
    }

    private static func number(_ units: [UInt32], _ index: inout Int) -> Int? {
        var value: Int?
        while index < units.count, let digit = Int(String(units[index].scalar)), units[index].scalar.isASCII {
            // More than a rendering may make is refused where room is reserved for it.
            value = min(1 << 40, (value ?? 0) * 10 + digit)
            index += 1
        }
        return value
    }

    func padded(_ text: [UInt32], isNumber: Bool) -> [UInt32] {
        let missing = max(0, width - text.count)
        if isLeft { return text + Array(repeating: 0x20, count: missing) }
        guard padsWithZeros && isNumber else { return Array(repeating: 0x20, count: missing) + text }
        let sign = text.first?.scalar == "-" ? 1 : 0
        return text.prefix(sign) + Array(repeating: 0x30, count: missing) + text.dropFirst(sign)
    }
}
