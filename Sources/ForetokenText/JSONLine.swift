import ForetokenJSON

/// One line of a JSON-lines file.
package enum JSONLine {
    /// The line's keys and values.
    /// - Throws: `JSONError` with the byte of the line for what is no JSON; `InputError` for anything but an object.
    package static func parse(_ bytes: [UInt8]) throws -> JSONFields {
        let value = try JSONValue(bytes)
        guard value.object != nil else {
            throw InputError(
                "this is not a JSON object such as {\"prompt\": \"…\"}, but \(value.shortDescription)")
        }
        return try JSONField(value).fields()
    }
}

extension JSONField {
    /// A number that 32 bits can hold.
    package func float() throws(JSONError) -> Float {
        let value = Float(try number())
        guard value.isFinite else { throw mismatch("a number below \(Float.greatestFiniteMagnitude)") }
        return value
    }

    /// A text, or a list of texts, as stop strings may be given.
    package func oneOrMoreStrings() throws(JSONError) -> [String] {
        if case .array = value { return try strings() }
        guard let text = value?.string else { throw mismatch("a string or a list of strings") }
        return [text]
    }

    /// A string or a whole number that names a line.
    package func identifier() throws(JSONError) -> Identifier {
        if let number = value?.integer { return .number(number) }
        guard let text = value?.string else { throw mismatch("a string or a whole number") }
        return .text(text)
    }
}

/// A string or a number of the user's, given back as it came.
package enum Identifier: Encodable, Sendable {
    case text(String)
    case number(Int)

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        }
    }
}
