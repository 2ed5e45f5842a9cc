/// Filters that work on several values.
extension Renderer {
    mutating func listFilter(
        _ name: String, _ value: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        switch name {
        case "length", "count": return .integer(try length(of: value))
        case "join":
            let items = try attributes(arguments.value(1, "attribute"), of: try elements(of: value))
            let separator = try arguments.value(0, "d").map { (value) throws(TemplateError) in try printed(value) }
            return .string(try joined(items, by: separator ?? TemplateText(own: ""), strictly: false))
        case "list": return .list(try elements(of: value))
        case "first", "last":
            let items = try elements(of: value)
            if name == "last", case .list(let series) = value, !series.kind.isIndexed,
                ![.keys, .values, .items].contains(series.kind)
            {
                throw failure("'last' needs a list, found a \(value.typeName)")
            }
            return (name == "first" ? items.first : items.last) ?? .undefined(what: "there is no \(name) item")
        case "reverse":
            if case .string(let text) = value { return .string(TemplateText(units: text.units.reversed())) }
            return .list(Series(try elements(of: value).reversed(), .generator))
        case "sort": return try sorted(value, arguments)
        case "dictsort": return try dictionarySorted(value, arguments)
        case "unique": return try unique(value, arguments)
        case "min", "max": return try extreme(name, value, arguments)
        case "sum":
            var sum = arguments.value(1, "start") ?? .integer(0)
            for item in try attributes(arguments.value(0, "attribute"), of: try elements(of: value)) {
                sum = try arithmetic("+", sum, item)
            }
            return sum
        case "map": return try mapped(value, arguments)
        default: return try selected(name, value, arguments)
        }
    }

    private mutating func length(of value: Value) throws(TemplateError) -> Int {
        switch value {
        case .undefined: return 0
        case .string(let text): return text.units.count
        case .dictionary(let members): return members.count
        case .list(let series) where series.kind != .generator: return series.items.count
        case .loop(let state): return state.items.count
        default: throw failure("a \(value.typeName) has no length")
        }
    }

    /// - Parameter strictly: whether only texts may be joined, as by Python's method.
    mutating func joined(
        _ items: [Value], by separator: TemplateText, strictly: Bool
    ) throws(TemplateError) -> TemplateText {
        var units: [UInt32] = []
        for (index, item) in items.enumerated() {
            if strictly && item.text == nil { throw failure("join() takes texts, found a \(item.typeName)") }
            let text = try printed(item)
            try reserve(text.units.count + separator.units.count)
            if index > 0 { units += separator.units }
            units += text.units
        }
        return TemplateText(units: units)
    }

    /// The attribute that a path such as "function.name" leads to.
    private mutating func attribute(_ path: Value, of item: Value) throws(TemplateError) -> Value {
        if let index = path.integer { return try self.item(at: .integer(index), of: item) }
        guard let path = path.text?.string else { throw failure("an attribute's name must be a text") }
        var value = item
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            value = try self.item(at: Int(part).map { .integer($0) } ?? .own(String(part)), of: value)
        }
        return value
    }

    private mutating func attributes(_ path: Value?, of items: [Value]) throws(TemplateError) -> [Value] {
        guard let path, path.isTrue || path.integer != nil else { return items }
        var values: [Value] = []
        for item in items { values.append(try attribute(path, of: item)) }
        return values
    }

    // MARK: Order

    /// The order that sorts values, equal ones staying in theirs.
    mutating func sortedIndices(_ keys: [Value]) throws(TemplateError) -> [Int] {
        var order = Array(keys.indices)
        var room = order
        var width = 1
        while width < order.count {
            for start in stride(from: 0, to: order.count, by: 2 * width) {
                let (middle, end) = (min(start + width, order.count), min(start + 2 * width, order.count))
                var (left, right) = (start, middle)
                for place in start..<end {
                    let takesLeft =
                        if left == middle { false } else if right == end { true } else {
                            try self.order(keys[order[right]], keys[order[left]]) != -1
                        }
                    room[place] = order[takesLeft ? left : right]
                    if takesLeft { left += 1 } else { right += 1 }
                }
            }
            swap(&order, &room)
            width *= 2
        }
        return order
    }

    /// Texts compare without case unless wanted.
    private mutating func sortKey(_ value: Value, isCased: Bool) throws(TemplateError) -> Value {
        guard !isCased, let text = value.text else { return value }
        return .string(try cased(text, "lower"))
    }

    private mutating func sorted(_ value: Value, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        let items = try elements(of: value)
        let isCased = arguments.value(1, "case_sensitive")?.isTrue ?? false
        if let path = arguments.value(2, "attribute")?.text, path.units.contains(where: { $0.isSame(as: 0x2C) }) {
            throw failure("'sort' by several attributes is not supported", .unsupported)
        }
        var keys: [Value] = []
        for key in try attributes(arguments.value(2, "attribute"), of: items) {
            keys.append(try sortKey(key, isCased: isCased))
        }
        if arguments.value(0, "reverse")?.isTrue == true {
            // Equal values stay in order, as with Python's reverse.
            let reversed = try sortedIndices(keys.reversed()).reversed().map { keys.count - 1 - $0 }
            return .list(reversed.map { items[$0] })
        }
        return .list(try sortedIndices(keys).map { items[$0] })
    }

    private mutating func dictionarySorted(_ value: Value, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        guard case .dictionary(let members) = value else {
            throw failure("'dictsort' needs a dictionary, found a \(value.typeName)")
        }
        let isCased = arguments.value(0, "case_sensitive")?.isTrue ?? false
        let by =
            try arguments.value(1, "by").map { (value) throws(TemplateError) in try printed(value).string } ?? "key"
        guard by == "key" || by == "value" else { throw failure("'dictsort' sorts by \"key\" or \"value\"") }
        var keys: [Value] = []
        for key in by == "key" ? members.keys : members.values { keys.append(try sortKey(key, isCased: isCased)) }
        var order = try sortedIndices(keys)
        if arguments.value(2, "reverse")?.isTrue == true {
            order = try sortedIndices(keys.reversed()).reversed().map { keys.count - 1 - $0 }
        }
        return .list(order.map { .list(Series([members.keys[$0], members.values[$0]], .tuple)) })
    }

    private mutating func unique(_ value: Value, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        let items = try elements(of: value)
        let isCased = arguments.value(0, "case_sensitive")?.isTrue ?? false
        var seen = Members()
        var kept: [Value] = []
        for (item, key) in zip(items, try attributes(arguments.value(1, "attribute"), of: items)) {
            let key = try sortKey(key, isCased: isCased)
            guard Members.Key(key) != nil else { throw failure("'unique' cannot compare a \(key.typeName)") }
            if seen.contains(key) { continue }
            seen[key] = Value.none
            kept.append(item)
        }
        return .list(Series(kept, .generator))
    }

    private mutating func extreme(
        _ name: String, _ value: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        let items = try elements(of: value)
        let isCased = arguments.value(0, "case_sensitive")?.isTrue ?? false
        var best: (item: Value, key: Value)?
        for (item, key) in zip(items, try attributes(arguments.value(1, "attribute"), of: items)) {
            let key = try sortKey(key, isCased: isCased)
            guard let current = best else {
                best = (item, key)
                continue
            }
            if try order(key, current.key) == (name == "min" ? -1 : 1) { best = (item, key) }
        }
        return best?.item ?? .undefined(what: "there is no item")
    }

    // MARK: Mapping and choosing

    private mutating func mapped(_ value: Value, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        // Jinja takes none and its like for an empty list here.
        let items = value.isTrue ? try elements(of: value) : []
        var results: [Value] = []
        if let path = arguments.named.first(where: { $0.name == "attribute" })?.value {
            let standard = arguments.named.first { $0.name == "default" }?.value
            for item in items {
                let value = try attribute(path, of: item)
                results.append(value.isUndefined ? standard ?? value : value)
            }
            return .list(Series(results, .generator))
        }
        guard let name = arguments.positional.first?.text?.string else { throw failure("'map' needs a filter's name") }
        let rest = ArgumentValues(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        for item in items {
            try spend()
            results.append(try filter(name, item, rest))
        }
        return .list(Series(results, .generator))
    }

    private mutating func selected(
        _ name: String, _ value: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        let byAttribute = name.hasSuffix("attr")
        let keeps = name.hasPrefix("select")
        var rest = arguments.positional[...]
        var path: Value?
        if byAttribute {
            guard let first = rest.popFirst() else { throw failure("'\(name)' needs an attribute's name") }
            path = first
        }
        let test = try rest.popFirst().map { (value) throws(TemplateError) in try printed(value).string }
        var kept: [Value] = []
        for item in value.isTrue ? try elements(of: value) : [] {
            try spend()
            let subject = try path.map { (path) throws(TemplateError) in try attribute(path, of: item) } ?? item
            let holds =
                try test.map { (name) throws(TemplateError) in try self.test(name, subject, Array(rest)) }
                ?? subject.isTrue
            if holds == keeps { kept.append(item) }
        }
        return .list(Series(kept, .generator))
    }
}
