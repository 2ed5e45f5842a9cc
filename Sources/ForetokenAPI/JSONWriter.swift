/// Writes compact JSON. Commas are its own business; the caller closes what it opens by the closures' ends.
package struct JSONWriter {
    /// What has been written.
    package private(set) var bytes: [UInt8] = []
    /// Whether the next value is the first of its list or object.
    private var isFirst = true

    /// Nothing yet.
    package init() {}

    // MARK: Containers

    /// An object; `body` writes its members.
    package mutating func object(_ body: (inout JSONWriter) -> Void) { contain("{", "}", body) }

    /// A list; `body` writes its elements.
    package mutating func list(_ body: (inout JSONWriter) -> Void) { contain("[", "]", body) }

    private mutating func contain(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: open))
        isFirst = true
        body(&self)
        bytes.append(UInt8(ascii: close))
        isFirst = false
    }

    /// A member's key; its value comes next.
    package mutating func key(_ key: String) {
        separate()
        quote(key)
        bytes.append(UInt8(ascii: ":"))
        isFirst = true
    }

    private mutating func separate() {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
    }

    // MARK: Values

    /// A string.
    package mutating func value(_ text: String) {
        separate()
        quote(text)
    }

    /// A whole number.
    package mutating func value(_ number: some BinaryInteger) { raw("\(number)") }

    /// A number; what JSON cannot say as null.
    package mutating func value(_ number: Double) { raw(number.isFinite ? "\(number)" : "null") }

    /// true or false.
    package mutating func value(_ flag: Bool) { raw(flag ? "true" : "false") }

    /// null.
    package mutating func null() { raw("null") }

    /// JSON that is sound already.
    package mutating func raw(_ json: String) {
        separate()
        bytes.append(contentsOf: json.utf8)
    }

    /// A list of whole numbers.
    package mutating func value(_ numbers: some Sequence<some BinaryInteger>) {
        list { for number in numbers { $0.value(number) } }
    }

    // MARK: Members

    /// A member with a string; null for none.
    package mutating func member(_ key: String, _ text: String?) {
        self.key(key)
        if let text { value(text) } else { null() }
    }

    /// A member with a whole number.
    package mutating func member(_ key: String, _ number: some BinaryInteger) {
        self.key(key)
        value(number)
    }

    /// A member with a number.
    package mutating func member(_ key: String, _ number: Double) {
        self.key(key)
        value(number)
    }

    /// A member with true or false.
    package mutating func member(_ key: String, _ flag: Bool) {
        self.key(key)
        value(flag)
    }

    /// A member with a list of whole numbers.
    package mutating func member(_ key: String, _ numbers: some Sequence<some BinaryInteger>) {
        self.key(key)
        value(numbers)
    }

    /// A member that is null.
    package mutating func nullMember(_ key: String) {
        self.key(key)
        null()
    }

    /// A member that is an object.
    package mutating func object(_ key: String, _ body: (inout JSONWriter) -> Void) {
        self.key(key)
        object(body)
    }

    /// A member that is a list.
    package mutating func list(_ key: String, _ body: (inout JSONWriter) -> Void) {
        self.key(key)
        list(body)
    }

    // MARK: Strings

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
