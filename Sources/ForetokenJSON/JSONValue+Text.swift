extension JSONValue {
    /// The value as JSON text on one line, with a blank behind commas and colons, as Python writes it. Numbers are spelt as they
    /// were read, and nothing outside ASCII is escaped.
    public var text: String {
        var text = ""
        write(into: &text)
        return text
    }

    private func write(into text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let number): text += Self.spelling(of: number)
        case .string(let string): Self.write(string, into: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += ", " }
                value.write(into: &text)
            }
            text += "]"
        case .object(let object):
            text += "{"
            for (index, member) in object.members.enumerated() {
                if index > 0 { text += ", " }
                Self.write(member.key, into: &text)
                text += ": "
                member.value.write(into: &text)
            }
            text += "}"
        }
    }

    /// Of a number with a point or an exponent and more digits than anybody needs, the value.
    private static func spelling(of number: JSONNumber) -> String {
        guard number.description.hasSuffix("…") else { return number.description }
        if let digits = number.wholeDigits { return digits }
        return number.double.isFinite ? "\(number.double)" : number.double < 0 ? "-Infinity" : "Infinity"
    }

    private static func write(_ string: String, into text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\" + String(scalar)
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
