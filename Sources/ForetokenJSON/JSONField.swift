/// A value of a document with the keys that lead to it, so that a message can say which one is wrong:
/// "`nodes[1].cpus` must be a list of whole numbers, found null".
public struct JSONField: Sendable {
    /// The value; nil where the key is absent.
    public let value: JSONValue?
    /// Keys and indices from the top, such as `nodes[1].cpus`; empty for the document itself.
    public let path: String

    /// The top of a document.
    public init(_ value: JSONValue) {
        self.value = value
        path = ""
    }

    fileprivate init(_ value: JSONValue?, _ path: String) {
        self.value = value
        self.path = path
    }

    /// The field itself; nil where it is absent or null.
    public var given: JSONField? {
        switch value {
        case nil, .null: nil
        default: self
        }
    }

    /// The error for a value that is not what its key wants.
    public func mismatch(_ expected: String) -> JSONError {
        guard let value else { return JSONError("the key `\(path)` is missing; it must be \(expected)") }
        let name = path.isEmpty ? "the JSON value" : "`\(path)`"
        return JSONError("\(name) must be \(expected), found \(value.shortDescription)")
    }

    private func error(at index: Int, _ expected: String, _ element: JSONValue) -> JSONError {
        JSONField(element, "\(path)[\(index)]").mismatch(expected)
    }

    // MARK: Single values

    /// A string.
    public func string() throws(JSONError) -> String {
        guard let text = value?.string else { throw mismatch("a string") }
        return text
    }

    /// A whole number.
    public func integer() throws(JSONError) -> Int {
        guard let number = value?.integer else { throw mismatch("a whole number") }
        return number
    }

    /// A whole number from 0 to 2⁶⁴ − 1.
    public func unsigned() throws(JSONError) -> UInt64 {
        guard case .number(let number) = value, let whole = number.unsigned else {
            throw mismatch("a whole number from 0 to \(UInt64.max)")
        }
        return whole
    }

    /// A finite number.
    public func number() throws(JSONError) -> Double {
        guard case .number(let number) = value, number.double.isFinite else { throw mismatch("a finite number") }
        return number.double
    }

    /// `true` or `false`.
    public func flag() throws(JSONError) -> Bool {
        guard case .bool(let flag) = value else { throw mismatch("true or false") }
        return flag
    }

    // MARK: Lists and objects

    /// The elements of a list.
    public func list() throws(JSONError) -> [JSONField] {
        guard case .array(let values) = value else { throw mismatch("a list") }
        return values.enumerated().map { JSONField($1, "\(path)[\($0)]") }
    }

    /// A list of whole numbers.
    public func integers() throws(JSONError) -> [Int] {
        guard case .array(let values) = value else { throw mismatch("a list of whole numbers") }
        var numbers: [Int] = []
        numbers.reserveCapacity(values.count)
        for (index, element) in values.enumerated() {
            guard let number = element.integer else { throw error(at: index, "a whole number", element) }
            numbers.append(number)
        }
        return numbers
    }

    /// A list of finite numbers.
    public func numbers() throws(JSONError) -> [Double] {
        guard case .array(let values) = value else { throw mismatch("a list of numbers") }
        var numbers: [Double] = []
        numbers.reserveCapacity(values.count)
        for (index, element) in values.enumerated() {
            guard case .number(let number) = element, number.double.isFinite else {
                throw error(at: index, "a finite number", element)
            }
            numbers.append(number.double)
        }
        return numbers
    }

    /// A list of strings.
    public func strings() throws(JSONError) -> [String] {
        guard case .array(let values) = value else { throw mismatch("a list of strings") }
        var texts: [String] = []
        for (index, element) in values.enumerated() {
            guard let text = element.string else { throw error(at: index, "a string", element) }
            texts.append(text)
        }
        return texts
    }

    /// The members of an object.
    public func fields() throws(JSONError) -> JSONFields {
        guard let object = value?.object else { throw mismatch("an object") }
        return JSONFields(object, path)
    }
}

/// An object of a document with the keys that lead to it.
public struct JSONFields: Sendable {
    private let object: JSONObject
    private let path: String

    fileprivate init(_ object: JSONObject, _ path: String) {
        self.object = object
        self.path = path
    }

    /// The member of that key, absent or not.
    public subscript(key: String) -> JSONField { JSONField(object[key], place(key)) }

    /// All keys in the order of the document.
    public var keys: [String] { object.members.map(\.key) }

    /// All members in the order of the document.
    public var members: [(key: String, field: JSONField)] {
        object.members.map { ($0.key, JSONField($0.value, place($0.key))) }
    }

    /// Refuses keys that mean nothing: a misspelt one would otherwise be a figure silently left out.
    public func refuseKeys(besides known: [String]) throws(JSONError) {
        guard let unknown = keys.first(where: { !known.contains($0) }) else { return }
        let place = path.isEmpty ? "" : " in `\(path)`"
        throw JSONError("there is no key \(quoted(unknown))\(place); known are \(known.joined(separator: ", "))")
    }

    private func place(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}
