#if canImport(Glibc)
    import Glibc
#endif

/// Values as text: as Python prints them, and as JSON.
extension Renderer {
    /// What `{{ value }}` writes.
    mutating func printed(_ value: Value) throws(TemplateError) -> TemplateText {
        switch value {
        case .undefined: return TemplateText(own: "")
        case .string(let text), .safe(let text): return text
        default: return try represented(value)
        }
    }

    /// Python's repr.
    mutating func represented(_ value: Value) throws(TemplateError) -> TemplateText {
        try spend()
        var units: [UInt32] = []
        try nested { (renderer) throws(TemplateError) in try renderer.represent(value, into: &units) }
        try reserve(units.count)
        return TemplateText(units: units)
    }

    private mutating func represent(_ value: Value, into units: inout [UInt32]) throws(TemplateError) {
        try spend()
        switch value {
        case .undefined: append("Undefined", to: &units)
        case .none: append("None", to: &units)
        case .bool(let value): append(value ? "True" : "False", to: &units)
        case .integer(let value): append("\(value)", to: &units)
        case .huge(let digits):
            try reserve(digits.utf8.count)
            append(digits, to: &units)
        case .number(let value): append(Self.python(value), to: &units)
        case .string(let text):
            try reserve(text.units.count)
            Self.quote(text, into: &units)
        case .safe: throw failure("printing a list with a text behind 'safe' is not supported", .unsupported)
        case .list(let series):
            let brackets: (String, String)
            switch series.kind {
            case .list: brackets = ("[", "]")
            case .tuple: brackets = ("(", series.items.count == 1 ? ",)" : ")")
            case .keys, .values, .items: brackets = ("\(series.kind.rawValue)([", "])")
            case .range, .generator:
                throw failure("printing a \(series.kind.rawValue) is not supported; put |list behind it", .unsupported)
            }
            append(brackets.0, to: &units)
            for (index, item) in series.items.enumerated() {
                if index > 0 { append(", ", to: &units) }
                try nested { (renderer) throws(TemplateError) in try renderer.represent(item, into: &units) }
            }
            append(brackets.1, to: &units)
        case .dictionary(let members):
            append("{", to: &units)
            for (index, (key, value)) in zip(members.keys, members.values).enumerated() {
                if index > 0 { append(", ", to: &units) }
                try represent(key, into: &units)
                append(": ", to: &units)
                try nested { (renderer) throws(TemplateError) in try renderer.represent(value, into: &units) }
            }
            append("}", to: &units)
        case .namespace, .function, .loop:
            throw failure("printing a \(value.typeName) is not supported", .unsupported)
        }
    }

    private func append(_ text: String, to units: inout [UInt32]) { units += text.unicodeScalars.map(\.value) }

    static func python(_ value: Double) -> String {
        value.isNaN ? "nan" : value.isInfinite ? (value < 0 ? "-inf" : "inf") : "\(value)"
    }

    private static func quote(_ text: TemplateText, into units: inout [UInt32]) {
        let single: UInt32 = 0x27
        let hasSingle = text.units.contains { $0.isSame(as: single) }
        let quote: UInt32 = hasSingle && !text.units.contains { $0.isSame(as: 0x22) } ? 0x22 : single
        units.append(quote)
        for unit in text.units {
            let mark = unit & TemplateText.inputMark
            let scalar = unit.scalar
            func escape(_ text: String) { units += text.unicodeScalars.map { $0.value | mark } }
            switch scalar {
            case "\\": escape("\\\\")
            case "\n": escape("\\n")
            case "\r": escape("\\r")
            case "\t": escape("\\t")
            case _ where scalar.value == quote: escape("\\" + String(scalar))
            case _ where scalar.isPrintable: units.append(unit)
            default:
                let digits = String(scalar.value, radix: 16)
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                escape("\\\(letter)" + String(repeating: "0", count: width - digits.count) + digits)
            }
        }
        units.append(quote)
    }

    // MARK: JSON

    /// Python's json.dumps as transformers sets it: nothing outside ASCII is escaped, nor is HTML.
    mutating func json(_ value: Value, _ arguments: ArgumentValues) throws(TemplateError) -> TemplateText {
        var style = JSONStyle()
        switch arguments.value(1, "indent") {
        case nil, .some(.none): break
        case .string(let text): style.indent = text.string
        case let width?:
            guard let count = width.integer else { throw failure("tojson takes a whole number or a text as indent") }
            try reserve(max(0, count))
            style.indent = String(repeating: " ", count: max(0, count))
        }
        style.separator = style.indent == nil ? ", " : ","
        if case .list(let pair)? = arguments.value(2, "separators") {
            guard pair.items.count == 2, let item = pair.items[0].text, let key = pair.items[1].text else {
                throw failure("tojson takes two texts as separators")
            }
            (style.separator, style.colon) = (item.string, key.string)
        }
        style.sorts = arguments.value(3, "sort_keys")?.isTrue ?? false
        style.isASCII = arguments.value(0, "ensure_ascii")?.isTrue ?? false
        var units: [UInt32] = []
        try encode(value, style, level: 0, into: &units)
        return TemplateText(units: units)
    }

    private struct JSONStyle {
        var indent: String?
        var separator = ", "
        var colon = ": "
        var sorts = false
        var isASCII = false
    }

    private mutating func encode(
        _ value: Value, _ style: JSONStyle, level: Int, into units: inout [UInt32]
    ) throws(TemplateError) {
        try spend()
        switch value {
        case .none: append("null", to: &units)
        case .bool(let value): append(value ? "true" : "false", to: &units)
        case .integer(let value): append("\(value)", to: &units)
        case .huge(let digits):
            try reserve(digits.utf8.count)
            append(digits, to: &units)
        case .number(let value): append(Self.json(value), to: &units)
        case .string(let text), .safe(let text):
            try reserve(text.units.count)
            Self.encode(text, style, into: &units)
        case .list(let series) where series.kind == .list || series.kind == .tuple:
            try encodeMembers(series.items.map { (nil, $0) }, "[", "]", style, level, into: &units)
        case .dictionary(let members):
            var pairs: [(key: TemplateText?, value: Value)] = []
            for (key, value) in zip(members.keys, members.values) { pairs.append((try jsonKey(key), value)) }
            if style.sorts {
                var sorted: [(key: TemplateText?, value: Value)] = []
                for index in try sortedIndices(pairs.map { .string($0.key ?? TemplateText(own: "")) }) {
                    sorted.append(pairs[index])
                }
                pairs = sorted
            }
            try encodeMembers(pairs, "{", "}", style, level, into: &units)
        default: throw failure("a \(value.typeName) cannot be written as JSON")
        }
    }

    private mutating func encodeMembers(
        _ members: [(key: TemplateText?, value: Value)], _ open: String, _ close: String, _ style: JSONStyle,
        _ level: Int,
        into units: inout [UInt32]
    ) throws(TemplateError) {
        append(open, to: &units)
        for (index, member) in members.enumerated() {
            try reserve(style.separator.unicodeScalars.count + style.colon.unicodeScalars.count)
            if index > 0 { append(style.separator, to: &units) }
            try breakLine(style, level + 1, into: &units)
            if let key = member.key {
                try reserve(key.units.count)
                Self.encode(key, style, into: &units)
                append(style.colon, to: &units)
            }
            try nested { (renderer) throws(TemplateError) in
                try renderer.encode(member.value, style, level: level + 1, into: &units)
            }
        }
        if !members.isEmpty { try breakLine(style, level, into: &units) }
        append(close, to: &units)
    }

    private mutating func breakLine(_ style: JSONStyle, _ level: Int, into units: inout [UInt32]) throws(TemplateError)
    {
        guard let indent = style.indent else { return }
        try reserve(1 + indent.unicodeScalars.count * level)
        append("\n" + String(repeating: indent, count: level), to: &units)
    }

    private func jsonKey(_ key: Value) throws(TemplateError) -> TemplateText {
        switch key {
        case .string(let text): return text
        case .none: return TemplateText(own: "null")
        case .bool(let value): return TemplateText(own: value ? "true" : "false")
        case .integer(let value): return TemplateText(own: "\(value)")
        case .huge(let digits): return TemplateText(own: digits)
        case .number(let value): return TemplateText(own: Self.json(value))
        default: throw failure("a \(key.typeName) cannot be a key in JSON")
        }
    }

    private static func json(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
    }

    private static func encode(_ text: TemplateText, _ style: JSONStyle, into units: inout [UInt32]) {
        units.append(0x22)
        for unit in text.units {
            let mark = unit & TemplateText.inputMark
            func escape(_ text: String) { units += text.unicodeScalars.map { $0.value | mark } }
            switch unit.scalar {
            case "\"": escape("\\\"")
            case "\\": escape("\\\\")
            case "\n": escape("\\n")
            case "\r": escape("\\r")
            case "\t": escape("\\t")
            case "\u{8}": escape("\\b")
            case "\u{C}": escape("\\f")
            case let scalar where scalar.value < 0x20 || style.isASCII && scalar.value > 0x7E:
                for code in String(scalar).utf16 {
                    let digits = String(code, radix: 16)
                    escape("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
                }
            default: units.append(unit)
            }
        }
        units.append(0x22)
    }

    // MARK: Time

    func time(_ format: String) throws(TemplateError) -> String {
        guard format.utf8.count <= 1000 else { throw failure("the format of strftime_now is too long", .limit) }
        var seconds = time_t(now)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 16_384)
        // One character more, since 0 means that the buffer is too short.
        let count = strftime(&buffer, buffer.count, format + " ", &parts)
        guard count > 0 else { throw failure("strftime_now would make a text of more than 16 KiB", .limit) }
        return String(decoding: buffer.prefix(count - 1).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension Unicode.Scalar {
    /// Whether Python's repr shows the scalar itself.
    fileprivate var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: self == " "
        default: true
        }
    }
}
