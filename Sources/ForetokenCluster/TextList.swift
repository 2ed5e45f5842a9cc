/// Texts as bytes for other hosts: each text's length in four bytes, lowest first, and its UTF-8.
package enum TextList {
    /// Each text is shorter than 4 GiB.
    package static func encode(_ texts: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for text in texts {
            let length = UInt32(text.utf8.count)
            for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
            bytes += text.utf8
        }
        return bytes
    }

    /// nil for anything that `encode` does not make.
    package static func decode(_ bytes: [UInt8]) -> [String]? {
        var texts: [String] = []
        var at = 0
        while at < bytes.count {
            guard bytes.count - at >= 4 else { return nil }
            let length = (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
            at += 4
            guard bytes.count - at >= length, let text = String(validating: bytes[at..<at + length], as: UTF8.self)
            else { return nil }
            texts.append(text)
            at += length
        }
        return texts
    }
}
