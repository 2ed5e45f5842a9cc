/// The reversible spelling of bytes as printable characters that GPT-2 introduced: a printable Latin-1 byte stands for
/// itself, the other 68 are numbered upwards from U+0100. A vocabulary is written in it, so that JSON can hold any byte.
enum ByteAlphabet {
    /// The scalar that stands for each byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? "\u{FFFD}"
            }
        }
    }()

    /// The byte that each scalar below U+0144 stands for, −1 for none.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = Int16(byte) }
        return bytes
    }()

    /// Appends the bytes that `text` (UTF-8) spells; false, with nothing appended, when it is not in the alphabet.
    static func decode(_ text: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) -> Bool {
        let start = output.count
        var index = 0
        while index < text.count {
            var value = Int(text[index])
            index += 1
            if value >= 0x80 {
                // Two bytes hold all of the alphabet beyond ASCII.
                guard value & 0xE0 == 0xC0, index < text.count else { break }
                value = (value & 0x1F) << 6 | Int(text[index] & 0x3F)
                index += 1
            }
            guard value < bytes.count, bytes[value] >= 0 else { break }
            output.append(UInt8(bytes[value]))
            if index == text.count { return true }
        }
        output.removeSubrange(start...)
        return text.isEmpty
    }

    /// Appends the UTF-8 spelling of `bytes`.
    static func encode(_ bytes: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) {
        for byte in bytes { output.append(contentsOf: scalars[Int(byte)].utf8) }
    }
}
