/// Where the values of a JSON text lie. The text may be damaged: whatever looks like a value counts.
struct JSONParts {
    /// All values, containers included.
    private(set) var values: [Range<Int>] = []
    /// Strings with their quotes, keys included.
    private(set) var strings: [Range<Int>] = []
    /// Numbers.
    private(set) var numbers: [Range<Int>] = []
    /// Members of objects, from the key to the end of the value.
    private(set) var members: [Range<Int>] = []

    /// Looks through a text once.
    init(_ bytes: [UInt8]) {
        var open: [(start: Int, key: Int?)] = []
        var key: Int?
        var index = 0
        func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        func add(_ range: Range<Int>, _ key: Int?) {
            values.append(range)
            if let key { members.append(key..<range.upperBound) }
        }
        while index < bytes.count {
            let start = index
            index += 1
            switch bytes[start] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open.append((start, key))
                key = nil
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if let container = open.popLast() { add(container.start..<index, container.key) }
                key = nil
            case UInt8(ascii: ","): key = nil
            case UInt8(ascii: "\""):
                while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                    index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
                }
                index = min(index + 1, bytes.count)
                strings.append(start..<index)
                let next = bytes[index...].prefix(8).first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\n") }
                if next == UInt8(ascii: ":") { key = start } else { add(start..<index, key) }
            case let byte where isPlain(byte):
                while index < bytes.count, isPlain(bytes[index]) { index += 1 }
                if byte < UInt8(ascii: "A") { numbers.append(start..<index) }
                add(start..<index, key)
            default: break
            }
        }
    }
}
