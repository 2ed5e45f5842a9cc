/// Methods of texts, dictionaries and lists, as Python has them.
enum Methods {
    static let ofStrings: Set<String> = [
        "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "startswith",
        "endswith",
        "replace", "upper", "lower", "title", "capitalize", "find", "rfind", "index", "rindex", "count", "join",
        "format",
        "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower", "removeprefix",
        "removesuffix", "zfill", "ljust", "rjust", "center",
    ]
    static let unsupportedOfStrings: Set<String> = [
        "casefold", "encode", "expandtabs", "format_map", "isascii", "isidentifier", "isprintable", "istitle",
        "maketrans",
        "swapcase", "translate",
    ]
    static let ofDictionaries: Set<String> = ["get", "items", "keys", "values", "copy"]
    static let ofLists: Set<String> = ["index", "count", "copy"]
}

extension Renderer {
    mutating func method(
        _ name: String, of object: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        switch object {
        case .string(let text): return try textMethod(name, text, arguments)
        case .dictionary(let members): return try dictionaryMethod(name, members, arguments)
        case .list(let series):
            if name == "copy" { return .list(series) }
            guard let item = arguments.positional.first else { throw failure("\(name)() needs a value") }
            var found: [Int] = []
            for (index, other) in series.items.enumerated() where try isEqual(item, other) { found.append(index) }
            if name == "count" { return .integer(found.count) }
            guard let first = found.first else { throw failure("the value is not in the list") }
            return .integer(first)
        case .loop(let state):
            guard name == "cycle", !arguments.positional.isEmpty else {
                throw failure("loop.\(name) is not supported", .unsupported)
            }
            return arguments.positional[state.index % arguments.positional.count]
        default: throw failure("a \(object.typeName) has no method '\(name)'")
        }
    }

    private func dictionaryMethod(
        _ name: String, _ members: Members, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        switch name {
        case "keys": return .list(Series(members.keys, .keys))
        case "values": return .list(Series(members.values, .values))
        case "items":
            let pairs = zip(members.keys, members.values).map { Value.list(Series([$0, $1], .tuple)) }
            return .list(Series(pairs, .items))
        case "copy": return .dictionary(members)
        default:
            guard let key = arguments.positional.first else { throw failure("get() needs a key") }
            return members[key] ?? (arguments.positional.count > 1 ? arguments.positional[1] : .none)
        }
    }

    // MARK: Texts

    private mutating func textMethod(
        _ name: String, _ text: TemplateText, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        try spend(1 + text.units.count / 64)
        switch name {
        case "strip", "lstrip", "rstrip":
            let set = try optionalText(arguments, 0, "chars", name)
            return .string(text.stripped(of: set, left: name != "rstrip", right: name != "lstrip"))
        case "split", "rsplit": return try split(text, arguments, fromRight: name == "rsplit")
        case "splitlines":
            guard text.units.count <= Self.longestSplit else {
                throw failure("a text of more than \(Self.longestSplit) characters is not split", .limit)
            }
            return try texts(text.lines(keepingEnds: arguments.value(0, "keepends")?.isTrue ?? false))
        case "partition", "rpartition":
            return try partition(text, try text1(arguments, name), fromRight: name == "rpartition")
        case "startswith", "endswith": return .bool(try hasEnd(text, arguments, name))
        case "replace": return .string(try replaced(text, arguments))
        case "join":
            return .string(try joined(try elements(of: arguments.positional.first ?? .none), by: text, strictly: true))
        case "format": return .string(try formatted(braces: text, arguments))
        case "find", "rfind", "index", "rindex", "count": return try search(name, text, arguments)
        case "removeprefix":
            let part = try text1(arguments, name)
            return .string(text.has(part, at: 0) ? TemplateText(units: text.units.dropFirst(part.units.count)) : text)
        case "removesuffix":
            let part = try text1(arguments, name)
            let isThere = !part.units.isEmpty && text.has(part, at: text.units.count - part.units.count)
            return .string(isThere ? TemplateText(units: text.units.dropLast(part.units.count)) : text)
        case "zfill", "ljust", "rjust", "center": return .string(try padded(text, arguments, name))
        case "upper", "lower", "title", "capitalize": return .string(try cased(text, name))
        default: return .bool(text.isAll(name))
        }
    }

    /// A text, or nil for none.
    private func optionalText(
        _ arguments: ArgumentValues, _ index: Int, _ parameter: String, _ name: String
    ) throws(TemplateError) -> TemplateText? {
        switch arguments.value(index, parameter) {
        case nil, .some(.none): return nil
        case .string(let text): return text
        case let other?: throw failure("\(name)() takes a text, found a \(other.typeName)")
        }
    }

    private func text1(_ arguments: ArgumentValues, _ name: String) throws(TemplateError) -> TemplateText {
        guard let text = arguments.positional.first?.text else {
            throw failure(
                "\(name)() takes a text, found a \(arguments.positional.first?.typeName ?? "missing argument")")
        }
        return text
    }

    private mutating func texts(_ texts: [TemplateText]) throws(TemplateError) -> Value {
        try reserve(texts.reduce(texts.count) { $0 + $1.units.count })
        return .list(texts.map { .string($0) })
    }

    /// Longest text that is split: its parts take many times its memory.
    private static let longestSplit = 1 << 22

    private mutating func split(
        _ text: TemplateText, _ arguments: ArgumentValues, fromRight: Bool
    ) throws(TemplateError) -> Value {
        let separator = try optionalText(arguments, 0, "sep", "split")
        let most = try arguments.value(1, "maxsplit").map { (value) throws(TemplateError) in
            guard let most = value.integer else { throw failure("split() takes a whole number of splits") }
            return most < 0 ? Int.max : most
        }
        guard text.units.count <= Self.longestSplit else {
            throw failure("a text of more than \(Self.longestSplit) characters is not split", .limit)
        }
        guard let separator else { return try texts(text.words(atMost: most ?? .max, fromRight: fromRight)) }
        guard !separator.units.isEmpty else { throw failure("split() needs a separator that is not empty") }
        return try texts(text.parts(between: separator, atMost: most ?? .max, fromRight: fromRight))
    }

    private mutating func partition(
        _ text: TemplateText, _ separator: TemplateText, fromRight: Bool
    ) throws(TemplateError) -> Value {
        guard !separator.units.isEmpty else { throw failure("partition() needs a separator that is not empty") }
        let range =
            fromRight ? text.lastRange(of: separator, before: text.units.count) : text.range(of: separator, from: 0)
        let empty = TemplateText(own: "")
        guard let range else {
            return .list(
                Series((fromRight ? [empty, empty, text] : [text, empty, empty]).map { .string($0) }, .tuple))
        }
        let parts = [text.units[..<range.lowerBound], text.units[range], text.units[range.upperBound...]]
        try reserve(text.units.count)
        return .list(Series(parts.map { .string(TemplateText(units: $0)) }, .tuple))
    }

    private func hasEnd(_ text: TemplateText, _ arguments: ArgumentValues, _ name: String) throws(TemplateError) -> Bool
    {
        guard arguments.positional.count == 1 else {
            throw failure("\(name)() with a range is not supported", .unsupported)
        }
        var candidates = arguments.positional
        if case .list(let series) = candidates[0], series.kind == .tuple { candidates = series.items }
        for candidate in candidates {
            guard let part = candidate.text else {
                throw failure("\(name)() takes texts, found a \(candidate.typeName)")
            }
            if text.has(part, at: name == "startswith" ? 0 : text.units.count - part.units.count) { return true }
        }
        return false
    }

    mutating func replaced(_ text: TemplateText, _ arguments: ArgumentValues) throws(TemplateError) -> TemplateText {
        guard let old = arguments.value(0, "old")?.text, let new = arguments.value(1, "new")?.text else {
            throw failure("replace() takes two texts")
        }
        let limit = arguments.value(2, "count")?.integer ?? -1
        var result: [UInt32] = []
        var start = 0
        var count = 0
        var search = 0
        while limit < 0 || count < limit, let range = text.range(of: old, from: search) {
            try reserve(new.units.count + 1)
            result += text.units[start..<range.lowerBound]
            result += new.units
            (start, search) = (range.upperBound, range.isEmpty ? range.upperBound + 1 : range.upperBound)
            count += 1
        }
        try reserve(text.units.count)
        return TemplateText(units: result + text.units[start...])
    }

    private mutating func search(
        _ name: String, _ text: TemplateText, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        let part = try text1(arguments, name)
        guard arguments.positional.count == 1 else {
            throw failure("\(name)() with a range is not supported", .unsupported)
        }
        if name == "count" {
            if part.units.isEmpty { return .integer(text.units.count + 1) }
            return .integer(text.parts(between: part, atMost: .max, fromRight: false).count - 1)
        }
        let isLast = name.hasPrefix("r")
        let range = isLast ? text.lastRange(of: part, before: text.units.count) : text.range(of: part, from: 0)
        if let range { return .integer(range.lowerBound) }
        if name.hasSuffix("index") { throw failure("the part is not in the text") }
        return .integer(-1)
    }

    private mutating func padded(
        _ text: TemplateText, _ arguments: ArgumentValues, _ name: String
    ) throws(TemplateError) -> TemplateText {
        guard let width = arguments.value(0, "width")?.integer else { throw failure("\(name)() takes a whole number") }
        let fill = try optionalText(arguments, 1, "fillchar", name)?.units ?? [name == "zfill" ? 0x30 : 0x20]
        guard fill.count == 1 else { throw failure("\(name)() fills with one character") }
        let missing = max(width, text.units.count) - text.units.count
        try reserve(max(width, text.units.count))
        func padding(_ count: Int) -> [UInt32] { Array(repeating: fill[0], count: count) }
        switch name {
        case "ljust": return TemplateText(units: text.units + padding(missing))
        case "rjust": return TemplateText(units: padding(missing) + text.units)
        case "center":
            let left = missing / 2 + (missing & width & 1)
            return TemplateText(units: padding(left) + text.units + padding(missing - left))
        default:
            let hasSign = text.units.first.map { ["+", "-"].contains($0.scalar) } ?? false
            return TemplateText(
                units: text.units.prefix(hasSign ? 1 : 0) + padding(missing) + text.units.dropFirst(hasSign ? 1 : 0))
        }
    }

    mutating func cased(_ text: TemplateText, _ name: String) throws(TemplateError) -> TemplateText {
        try reserve(text.units.count * 3)
        var result: [UInt32] = []
        var followsLetter = false
        for (index, unit) in text.units.enumerated() {
            let properties = unit.scalar.properties
            let mapping =
                switch name {
                case "upper": properties.uppercaseMapping
                case "lower": properties.lowercaseMapping
                case "capitalize": index == 0 ? properties.titlecaseMapping : properties.lowercaseMapping
                default: followsLetter ? properties.lowercaseMapping : properties.titlecaseMapping
                }
            followsLetter = properties.isCased
            result += mapping.unicodeScalars.map { $0.value | unit & TemplateText.inputMark }
        }
        return TemplateText(units: result)
    }
}

extension TemplateText {
    /// Without the characters of a set, or white space, at its ends.
    func stripped(of set: TemplateText? = nil, left: Bool = true, right: Bool = true) -> TemplateText {
        let members = set.map { Set($0.units.map { $0 & ~Self.inputMark }) }
        func goes(_ unit: UInt32) -> Bool { members?.contains(unit & ~Self.inputMark) ?? unit.isSpace }
        var range = units[...]
        if left { range = range.drop(while: goes) }
        if right { while let last = range.last, goes(last) { range.removeLast() } }
        return TemplateText(units: range)
    }

    /// Words between white space.
    func words(atMost most: Int, fromRight: Bool) -> [TemplateText] {
        var words: [TemplateText] = []
        var rest = stripped().units[...]
        while !rest.isEmpty {
            guard words.count < most else {
                words.append(TemplateText(units: rest))
                break
            }
            let end =
                fromRight
                ? rest.lastIndex(where: \.isSpace).map { $0 + 1 } ?? rest.startIndex
                : rest.firstIndex(where: \.isSpace) ?? rest.endIndex
            words.append(TemplateText(units: fromRight ? rest[end...] : rest[..<end]))
            rest = fromRight ? rest[..<end] : rest[end...]
            if fromRight {
                while let last = rest.last, last.isSpace { rest.removeLast() }
            } else {
                rest = rest.drop(while: \.isSpace)
            }
        }
        // Python keeps the blanks at the far end of an unsplit rest.
        if words.count > most, let last = words.last {
            let kept = stripped(left: fromRight ? false : true, right: fromRight ? true : false)
            let length = last.units.count + (kept.units.count - stripped().units.count)
            words[words.count - 1] = TemplateText(
                units: fromRight ? kept.units.prefix(length) : kept.units.suffix(length))
        }
        return fromRight ? words.reversed() : words
    }

    /// Parts between separators.
    func parts(between separator: TemplateText, atMost most: Int, fromRight: Bool) -> [TemplateText] {
        var parts: [TemplateText] = []
        if fromRight {
            var end = units.count
            while parts.count < most, let range = lastRange(of: separator, before: end) {
                parts.append(TemplateText(units: units[range.upperBound..<end]))
                end = range.lowerBound
            }
            return (parts + [TemplateText(units: units[..<end])]).reversed()
        }
        var start = 0
        while parts.count < most, let range = range(of: separator, from: start) {
            parts.append(TemplateText(units: units[start..<range.lowerBound]))
            start = range.upperBound
        }
        return parts + [TemplateText(units: units[start...])]
    }

    /// Lines, without their ends unless wanted.
    func lines(keepingEnds: Bool) -> [TemplateText] {
        var lines: [TemplateText] = []
        var start = 0
        var index = 0
        while index < units.count {
            guard units[index].endsLine else {
                index += 1
                continue
            }
            let isPair = units[index].scalar == "\r" && index + 1 < units.count && units[index + 1].scalar == "\n"
            let end = index + (isPair ? 2 : 1)
            lines.append(TemplateText(units: units[start..<(keepingEnds ? end : index)]))
            (start, index) = (end, end)
        }
        if start < units.count { lines.append(TemplateText(units: units[start...])) }
        return lines
    }

    /// Python's `isdigit` and its like.
    func isAll(_ test: String) -> Bool {
        guard !units.isEmpty else { return false }
        let scalars = units.map(\.scalar.properties)
        switch test {
        case "isspace": return units.allSatisfy(\.isSpace)
        case "isupper":
            return scalars.contains { $0.isCased }
                && !scalars.contains { $0.isLowercase || $0.generalCategory == .titlecaseLetter }
        case "islower":
            return scalars.contains { $0.isCased }
                && !scalars.contains { $0.isUppercase || $0.generalCategory == .titlecaseLetter }
        case "isdecimal": return scalars.allSatisfy { $0.generalCategory == .decimalNumber }
        case "isdigit": return scalars.allSatisfy { $0.numericType == .decimal || $0.numericType == .digit }
        case "isnumeric": return scalars.allSatisfy { $0.numericType != nil }
        case "isalpha": return scalars.allSatisfy { $0.generalCategory.isLetter }
        default: return scalars.allSatisfy { $0.generalCategory.isLetter || $0.numericType != nil }
        }
    }
}

extension Unicode.GeneralCategory {
    /// Whether it is one of the letters'.
    fileprivate var isLetter: Bool {
        [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter].contains(self)
    }
}
