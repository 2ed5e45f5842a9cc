#if canImport(Glibc)
    import Glibc
#endif

/// Arithmetic and comparison, as Python does them.
extension Renderer {
    mutating func arithmetic(
        _ operation: String, _ left: Value, _ right: Value, isUnary: Bool = false
    ) throws(TemplateError) -> Value {
        for operand in [left, right] { if case .undefined(let what) = operand { throw failure(what) } }
        if left.isHuge || right.isHuge && left.text == nil { throw failure("a number has more than 64 bits", .limit) }
        if let left = left.integer, let right = right.integer {
            if let value = try whole(operation, left, right) { return value }
        }
        if let left = left.real, let right = right.real { return .number(try real(operation, left, right)) }
        if left.isSafe || right.isSafe {
            throw failure(
                "adding to a text behind 'safe' is not supported: Jinja would escape what is added", .unsupported)
        }
        guard !isUnary else { throw failure("a \(right.typeName) has no sign") }
        switch (operation, left, right) {
        case ("+", .string(let left), .string(let right)):
            try reserve(left.units.count + right.units.count)
            return .string(TemplateText(units: left.units + right.units))
        case ("+", .list(let left), .list(let right))
        where left.kind == right.kind && left.kind.isIndexed && left.kind != .range:
            try reserve((left.items.count + right.items.count) * Self.unitsOfElement)
            return .list(Series(left.items + right.items, left.kind))
        case ("*", .string, _), ("*", .list, _), ("*", _, .string), ("*", _, .list):
            return try repeated(left, right)
        case ("%", .string(let format), _): return .string(try formatted(format, right))
        default:
            throw failure("'\(operation)' cannot work with a \(left.typeName) and a \(right.typeName)")
        }
    }

    private mutating func repeated(_ left: Value, _ right: Value) throws(TemplateError) -> Value {
        guard let count = left.integer ?? right.integer else {
            throw failure("'*' cannot work with a \(left.typeName) and a \(right.typeName)")
        }
        let value = left.integer == nil ? left : right
        func size(_ length: Int) -> Int {
            let (size, overflow) = length.multipliedReportingOverflow(by: max(0, count))
            return overflow ? .max : size
        }
        if case .string(let text) = value {
            try reserve(size(text.units.count))
            return .string(
                TemplateText(units: repeatElement(text.units, count: text.units.isEmpty ? 0 : max(0, count)).joined()))
        }
        guard case .list(let series) = value, series.kind == .list || series.kind == .tuple else {
            throw failure("'*' cannot work with a \(value.typeName)")
        }
        try reserve(size(min(series.items.count, .max / Self.unitsOfElement) * Self.unitsOfElement))
        return .list(
            Series(
                Array(repeatElement(series.items, count: series.items.isEmpty ? 0 : max(0, count)).joined()),
                series.kind))
    }

    /// Two whole numbers; nil where the result is none.
    private func whole(_ operation: String, _ left: Int, _ right: Int) throws(TemplateError) -> Value? {
        func checked(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateError) -> Value {
            if result.overflow { throw failure("a number has more than 64 bits", .limit) }
            return .integer(result.partialValue)
        }
        switch operation {
        case "+": return try checked(left.addingReportingOverflow(right))
        case "-": return try checked(left.subtractingReportingOverflow(right))
        case "*": return try checked(left.multipliedReportingOverflow(by: right))
        case "//", "%":
            guard right != 0 else { throw failure("division by zero") }
            let quotient = left.dividedReportingOverflow(by: right)
            if quotient.overflow { return operation == "%" ? .integer(0) : try checked(quotient) }
            let remainder = left % right
            let isFloored = remainder != 0 && (remainder < 0) != (right < 0)
            if operation == "//" { return .integer(isFloored ? quotient.partialValue - 1 : quotient.partialValue) }
            return .integer(isFloored ? remainder + right : remainder)
        case "**":
            guard right >= 0 else { return nil }
            var (result, factor, exponent) = (1, left, right)
            while exponent > 0 {
                if exponent & 1 == 1 {
                    guard case .integer(let product) = try checked(result.multipliedReportingOverflow(by: factor))
                    else {
                        return nil
                    }
                    result = product
                }
                exponent >>= 1
                if exponent > 0 {
                    guard case .integer(let square) = try checked(factor.multipliedReportingOverflow(by: factor)) else {
                        return nil
                    }
                    factor = square
                }
            }
            return .integer(result)
        default: return nil
        }
    }

    private func real(_ operation: String, _ left: Double, _ right: Double) throws(TemplateError) -> Double {
        switch operation {
        case "+": return left + right
        case "-": return left - right
        case "*": return left * right
        case "**":
            if left == 0 && right < 0 { throw failure("division by zero") }
            if left < 0, left.isFinite, right.isFinite, right != right.rounded() {
                throw failure("a broken power of a negative number is complex, which is not supported", .unsupported)
            }
            let power = pow(left, right)
            if power.isInfinite, left.isFinite, right.isFinite { throw failure("a power is too large for a number") }
            return power
        default:
            guard right != 0 else { throw failure("division by zero") }
            if operation == "/" { return left / right }
            let remainder = fmod(left, right)
            let isFloored = remainder != 0 && (remainder < 0) != (right < 0)
            // A result of 0 has the sign that Python gives it.
            guard operation == "//" else {
                return isFloored ? remainder + right : remainder == 0 ? copysign(0, right) : remainder
            }
            let quotient = ((left - remainder) / right).rounded() - (isFloored ? 1 : 0)
            return quotient == 0 ? copysign(0, left / right) : quotient
        }
    }

    // MARK: Comparison

    mutating func compare(_ operation: String, _ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        switch operation {
        case "==": return try isEqual(left, right)
        case "!=": return try !isEqual(left, right)
        case "in": return try contains(right, left)
        case "not in": return try !contains(right, left)
        default:
            let order = try order(left, right)
            switch operation {
            case "<": return order == -1
            case "<=": return order == -1 || order == 0
            case ">": return order == 1
            default: return order == 1 || order == 0
            }
        }
    }

    mutating func isEqual(_ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        try spend(1 + (left.text?.units.count ?? 0) / 64)
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)), (.safe(let left), .string(let right)),
            (.string(let left), .safe(let right)), (.safe(let left), .safe(let right)):
            return left == right
        case (.list(let left), .list(let right)):
            guard left.kind == right.kind, left.items.count == right.items.count else { return false }
            for (left, right) in zip(left.items, right.items) where try !isEqual(left, right) { return false }
            return true
        case (.dictionary(let left), .dictionary(let right)):
            guard left.count == right.count else { return false }
            for (key, value) in zip(left.keys, left.values) {
                guard let other = right[key], try isEqual(value, other) else { return false }
            }
            return true
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.huge(let left), .huge(let right)): return left == right
        case (.huge(let left), .number(let right)), (.number(let right), .huge(let left)):
            return left == Numbers.hugeDigits(right)
        default:
            if let left = left.integer, let right = right.integer { return left == right }
            if let left = left.real, let right = right.real { return left == right }
            return false
        }
    }

    /// −1, 0 or 1; 2 where one of two numbers is none.
    mutating func order(_ left: Value, _ right: Value) throws(TemplateError) -> Int {
        try spend(1 + (left.text?.units.count ?? 0) / 64)
        if left.isHuge || right.isHuge { throw failure("a number to compare has more than 64 bits", .limit) }
        if let left = left.integer, let right = right.integer { return left < right ? -1 : left == right ? 0 : 1 }
        if let left = left.real, let right = right.real {
            return left < right ? -1 : left == right ? 0 : left > right ? 1 : 2
        }
        switch (left, right) {
        case (.undefined(let what), _), (_, .undefined(let what)): throw failure(what)
        case (.string(let left), .string(let right)):
            let mask = ~TemplateText.inputMark
            for (left, right) in zip(left.units, right.units) where left & mask != right & mask {
                return left & mask < right & mask ? -1 : 1
            }
            return left.units.count < right.units.count ? -1 : left.units.count == right.units.count ? 0 : 1
        case (.list(let left), .list(let right))
        where left.kind == right.kind && left.kind != .range && left.kind.isIndexed:
            for (left, right) in zip(left.items, right.items) where try !isEqual(left, right) {
                return try order(left, right)
            }
            return left.items.count < right.items.count ? -1 : left.items.count == right.items.count ? 0 : 1
        default: throw failure("a \(left.typeName) and a \(right.typeName) cannot be ordered")
        }
    }

    /// `part in whole`
    mutating func contains(_ whole: Value, _ part: Value) throws(TemplateError) -> Bool {
        switch whole {
        case .undefined: return false
        case .string(let text):
            guard case .string(let part) = part else {
                throw failure("'in' a text needs a text, found a \(part.typeName)")
            }
            try spend(text.units.count / 64)
            return text.range(of: part, from: 0) != nil
        case .dictionary(let members):
            guard Members.Key(part) != nil || part.isUndefined else {
                throw failure("a \(part.typeName) cannot be a dictionary's key")
            }
            return members.contains(part)
        case .list(let series):
            for item in series.items where try isEqual(item, part) { return true }
            return false
        case .namespace: throw failure("a namespace cannot be searched")
        default: throw failure("a \(whole.typeName) cannot be searched")
        }
    }
}

extension TemplateText {
    /// The first place of a part at or after `start`.
    func range(of part: TemplateText, from start: Int) -> Range<Int>? {
        let count = part.units.count
        guard start <= units.count - count else { return nil }
        let place = Self.place(
            of: count, in: units.count - start, part: { part.units[$0] }, whole: { units[start + $0] })
        return place.map { start + $0..<start + $0 + count }
    }

    /// The last place of a part that ends at or before `end`.
    func lastRange(of part: TemplateText, before end: Int) -> Range<Int>? {
        let count = part.units.count
        guard end >= count else { return nil }
        let place = Self.place(
            of: count, in: end, part: { part.units[count - 1 - $0] }, whole: { units[end - 1 - $0] })
        return place.map { end - $0 - count..<end - $0 }
    }

    /// Where a part of `count` units first stands in a whole of `length`; in time that grows with both, not with their product
    /// (Knuth, Morris, Pratt 1977).
    private static func place(
        of count: Int, in length: Int, part: (Int) -> UInt32, whole: (Int) -> UInt32
    ) -> Int? {
        guard count > 0 else { return 0 }
        // By length of what agrees so far: how much of it may still begin the part.
        var shorter = [Int](repeating: 0, count: count)
        var matched = 0
        for index in stride(from: 1, to: count, by: 1) {
            while matched > 0, !part(index).isSame(as: part(matched)) { matched = shorter[matched - 1] }
            if part(index).isSame(as: part(matched)) { matched += 1 }
            shorter[index] = matched
        }
        matched = 0
        for index in 0..<length {
            while matched > 0, !whole(index).isSame(as: part(matched)) { matched = shorter[matched - 1] }
            if whole(index).isSame(as: part(matched)) { matched += 1 }
            if matched == count { return index + 1 - count }
        }
        return nil
    }

    /// Whether a part stands at that place.
    func has(_ part: TemplateText, at index: Int) -> Bool {
        guard index >= 0, index + part.units.count <= units.count else { return false }
        for (offset, unit) in part.units.enumerated() where !units[index + offset].isSame(as: unit) { return false }
        return true
    }
}
