extension SafetensorsHeader {
    /// The first bytes of a safetensors file whose tensors follow in the given order, padded so that data start aligned.
    static func encode(_ tensors: [(name: String, type: ElementType, shape: [Int], bytes: Int)]) -> [UInt8] {
        // Some readers refuse files without this remark on their origin.
        var text = #"{"__metadata__":{"format":"pt"}"#
        var offset = 0
        for tensor in tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            text += ",\(quotedJSON(tensor.name)):{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
            text += "\"data_offsets\":[\(offset),\(offset + tensor.bytes)]}"
            offset += tensor.bytes
        }
        text += "}"
        var json = Array(text.utf8)
        json += [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }
}

/// A string as a JSON literal.
func quotedJSON(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case "\0"..<" ":
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
