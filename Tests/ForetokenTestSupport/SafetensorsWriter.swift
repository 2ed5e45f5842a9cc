import ForetokenWeights

/// A tensor with its bytes, as a test writes it.
public struct StoredTensor: Sendable {
    /// Its name.
    public var name: String
    /// Its element type.
    public var type: ElementType
    /// Its dimensions.
    public var shape: [Int]
    /// Its bytes, C order, little-endian.
    public var bytes: [UInt8]

    /// A tensor of given bytes.
    public init(name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// A tensor of FP32 values rounded to a float type other than FP8.
    public init(name: String, _ type: ElementType, shape: [Int], values: [Float]) {
        let bytes: [UInt8] =
            switch type {
            case .f32: StoredTensor.bytes(of: values.map { $0.bitPattern.littleEndian })
            case .bf16: StoredTensor.bytes(of: values.map { TestNumbers.bf16($0).littleEndian })
            case .f16: StoredTensor.bytes(of: values.map { Float16($0).bitPattern.littleEndian })
            default: preconditionFailure("no values of type \(type.rawValue)")
            }
        self.init(name: name, type: type, shape: shape, bytes: bytes)
    }

    /// The values of a float tensor; FP8 codes without their scale.
    public var values: [Float] {
        switch type {
        case .f32: words(UInt32.self).map { Float(bitPattern: $0) }
        case .bf16: words(UInt16.self).map { TestNumbers.value(bf16: $0) }
        case .f16: words(UInt16.self).map { Float(Float16(bitPattern: $0)) }
        case .fp8: bytes.map { TestNumbers.fp8($0) }
        default: preconditionFailure("no values of type \(type.rawValue)")
        }
    }

    private func words<Word: FixedWidthInteger>(_: Word.Type) -> [Word] {
        bytes.withUnsafeBytes { raw in
            (0..<raw.count / MemoryLayout<Word>.size).map {
                Word(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Word>.size, as: Word.self))
            }
        }
    }

    private static func bytes<Word>(of words: [Word]) -> [UInt8] { words.withUnsafeBytes { Array($0) } }

    static func littleEndian<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
        withUnsafeBytes(of: word.littleEndian) { Array($0) }
    }
}

/// Writes safetensors files, good ones and, for tests of readers, bad ones.
public enum SafetensorsWriter {
    /// A file of any header text and any data; the length field tells the truth unless `statedLength` is given.
    public static func container(header: String, data: [UInt8], statedLength: UInt64? = nil) -> [UInt8] {
        StoredTensor.littleEndian(statedLength ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
    }

    /// A well-formed file with the tensors in the given order.
    public static func file(_ tensors: [StoredTensor]) -> [UInt8] {
        var entries = ["\"__metadata__\":{\"format\":\"pt\"}"]
        var data: [UInt8] = []
        for tensor in tensors {
            let begin = data.count
            data += tensor.bytes
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            entries.append(
                "\"\(tensor.name)\":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(begin),\(data.count)]}")
        }
        return container(header: "{" + entries.joined(separator: ",") + "}", data: data)
    }
}
