/// Well-formed UTF-8 by the Unicode Standard's table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
enum UTF8Step: Equatable {
    /// A whole scalar of so many bytes.
    case scalar(length: Int)
    /// The longest beginning of a scalar that something else follows; replaced by one U+FFFD.
    case invalid(length: Int)
    /// The bytes end inside a scalar.
    case incomplete

    /// Looks at the scalar that begins at `index`.
    static func at(_ index: Int, of bytes: UnsafeBufferPointer<UInt8>) -> UTF8Step {
        let lead = bytes[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0x00...0x7F: return .scalar(length: 1)
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return .invalid(length: 1)
        }
        for position in 1..<length {
            guard index + position < bytes.count else { return .incomplete }
            let allowed = position == 1 ? second : 0x80...0xBF
            guard allowed.contains(bytes[index + position]) else { return .invalid(length: position) }
        }
        return .scalar(length: length)
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The offset of the first byte that is not part of a well-formed scalar, or nil.
    var firstInvalidUTF8: Int? {
        let raw = UnsafeRawBufferPointer(self)
        var index = 0
        while index < count {
            if index + 8 <= count,
                raw.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
            {
                index += 8
                continue
            }
            guard case .scalar(let length) = UTF8Step.at(index, of: self) else { return index }
            index += length
        }
        return nil
    }
}

extension UInt8 {
    /// Whether this byte begins a scalar of UTF-8.
    var beginsScalar: Bool { self & 0xC0 != 0x80 }
}
