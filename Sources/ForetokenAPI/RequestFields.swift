import ForetokenJSON
import ForetokenText

/// A request's body, whose errors name the field that is to blame.
package struct RequestFields {
    private let fields: JSONFields

    /// - Throws: `APIError` for anything but a JSON object.
    package init(_ body: [UInt8]) throws(APIError) {
        do {
            let value = try JSONValue(body)
            guard let object = value.object else {
                throw APIError(
                    400, code: "invalid_json", "the body must be a JSON object, found \(value.shortDescription)")
            }
            // Each is looked through for every name that is known.
            guard object.members.count <= 1000 else {
                throw APIError(
                    400, code: "invalid_json", "the body has \(object.members.count) members; at most 1000 are possible"
                )
            }
            fields = try JSONField(value).fields()
        } catch let error as JSONError {
            throw APIError(400, code: "invalid_json", "the body is not valid JSON: \(error)")
        } catch {
            throw APIError(error)
        }
    }

    init(_ fields: JSONFields) { self.fields = fields }

    /// The same members as a request of their own.
    init(_ object: JSONObject) throws(APIError) {
        self.init(try APIError.reading(nil) { try JSONField(.object(object)).fields() })
    }

    /// Whether a key has a value other than null.
    func has(_ key: String) -> Bool { fields[key].given != nil }

    /// The value of a key; nil where there is none, or null.
    func value(_ key: String) -> JSONValue? { fields[key].given?.value }

    /// What `read` makes of a key's value; nil where the key is absent or null.
    func read<Result>(_ key: String, _ read: (JSONField) throws -> Result?) throws(APIError) -> Result? {
        guard let field = fields[key].given else { return nil }
        return try APIError.reading(field.path) { try read(field) }
    }

    func string(_ key: String) throws(APIError) -> String? { try read(key) { try $0.string() } }

    func flag(_ key: String) throws(APIError) -> Bool? { try read(key) { try $0.flag() } }

    /// The flag under the first of two names that is there.
    func flag(_ key: String, or other: String) throws(APIError) -> Bool? { try flag(has(key) ? key : other) }

    func float(_ key: String) throws(APIError) -> Float? { try read(key) { try $0.float() } }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let value = try read(key, { try $0.integer() }) else { return nil }
        guard range.contains(value) else {
            let (least, largest) = (range.lowerBound, range.upperBound)
            let most = largest == .max ? "at least \(least)" : "\(least)...\(largest)"
            throw .value(key, "`\(key)` must be \(most), not \(value)")
        }
        return value
    }

    /// The members of an object.
    func fields(_ key: String) throws(APIError) -> RequestFields? { try read(key) { RequestFields(try $0.fields()) } }

    /// Refuses a field that has a value other than those which ask for nothing.
    func refuse(
        _ key: String, unless harmless: (JSONValue) -> Bool = { _ in false }, _ reason: String
    ) throws(APIError) {
        guard let value = fields[key].given?.value, !harmless(value) else { return }
        throw .unsupported(key, "`\(key)` is not supported: \(reason)")
    }
}
