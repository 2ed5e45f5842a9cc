import ForetokenJSON

/// The header of one safetensors file, checked against the file's size before any tensor is touched.
///
/// Layout: u64 little-endian N, N bytes of JSON, then the tensors' bytes without holes or overlaps up to the end.
struct SafetensorsHeader {
    static let maximumHeaderBytes = 100_000_000
    /// More than ten times what the largest published model of the family has.
    static let maximumTensors = 1_000_000
    private static let maximumRank = 64

    /// Tensors in the order of their bytes.
    let tensors: [TensorInfo]

    /// Reads and checks the header of `source`.
    /// - Parameters:
    ///   - name: the file's name, for error messages.
    ///   - file: the file's index, stored in every `TensorInfo`.
    init(source: ByteSource, name: String, file: Int) throws {
        let json = try SafetensorsHeader.headerBytes(of: source, name: name)
        let base = 8 + json.count
        let entries = try SafetensorsHeader.entries(json, name: name)
        tensors = try SafetensorsHeader.place(entries, base: base, fileSize: source.count, name: name, file: file)
    }

    private static func headerBytes(of source: ByteSource, name: String) throws -> [UInt8] {
        let hint = "the file is damaged or not a safetensors file; download it again"
        /// The reason that the file's beginning tells, or else the given one.
        func refusal(_ error: CheckpointError) throws -> CheckpointError {
            try source.kind()?.error(name, expected: "a safetensors file") ?? error
        }
        guard source.count >= 8 else {
            throw try refusal(
                CheckpointError(
                    "\(name): too short for a safetensors file", expected: "at least 8 bytes",
                    found: "\(source.count) bytes", hint: hint))
        }
        let length = try source.bytes(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= maximumHeaderBytes, Int(length) <= source.count - 8 else {
            throw try refusal(
                CheckpointError(
                    "\(name): the header's length is impossible",
                    expected: "at most \(min(maximumHeaderBytes, source.count - 8)) bytes", found: "\(length)",
                    hint: hint))
        }
        let json = try source.bytes(8..<8 + Int(length))
        guard json.first == UInt8(ascii: "{") else {
            throw try refusal(CheckpointError("\(name): the header does not start with `{`", hint: hint))
        }
        return json
    }

    // MARK: JSON

    private struct Entry {
        var name: String
        var type: ElementType
        var shape: [Int]
        var offsets: Range<Int>
    }

    private static func entries(_ json: [UInt8], name file: String) throws -> [Entry] {
        do {
            return try JSONReader.read(json, deepest: 4) { try entries(&$0, file: file) }
        } catch let error as JSONError {
            throw CheckpointError(error, in: file)
        }
    }

    private static func entries(_ reader: inout JSONReader, file: String) throws -> [Entry] {
        var entries: [Entry] = []
        try reader.beginObject()
        while try reader.nextKey() {
            let key = reader.key
            if key == "__metadata__" {
                try skipMetadata(&reader)
                continue
            }
            guard entries.count < maximumTensors else {
                throw CheckpointError("\(file): too many tensors", expected: "at most \(maximumTensors)")
            }
            entries.append(try entry(&reader, name: key, file: file))
        }
        try reader.finish()
        return entries
    }

    /// Remarks on the file's origin: strings by name, or null.
    private static func skipMetadata(_ reader: inout JSONReader) throws {
        if try reader.takeNull() { return }
        try reader.beginObject()
        while try reader.nextKey() { try reader.readString() }
    }

    private static func entry(_ reader: inout JSONReader, name: String, file: String) throws -> Entry {
        var type: ElementType?
        var shape: [Int]?
        var offsets: [Int]?
        try reader.beginObject()
        while try reader.nextKey() {
            switch reader.key {
            case "dtype":
                let text = try reader.string()
                guard let known = ElementType(rawValue: text) else {
                    throw CheckpointError("\(file): tensor \(shown(name)) has the unknown dtype \"\(shown(text))\"")
                }
                type = known
            case "shape": shape = try counts(&reader, atMost: maximumRank)
            case "data_offsets": offsets = try counts(&reader, atMost: 2)
            case let key:
                throw CheckpointError(
                    "\(file): tensor \(shown(name)) has the unknown field \"\(shown(key))\"",
                    expected: "dtype, shape and data_offsets")
            }
        }
        guard let type, let shape, let offsets, offsets.count == 2 else {
            throw CheckpointError(
                "\(file): the entry of tensor \(shown(name)) is incomplete",
                expected: "dtype, shape and two data_offsets")
        }
        guard offsets[0] <= offsets[1] else {
            throw CheckpointError("\(file): tensor \(shown(name)) ends before it begins", found: "\(offsets)")
        }
        return Entry(name: name, type: type, shape: shape, offsets: offsets[0]..<offsets[1])
    }

    private static func counts(_ reader: inout JSONReader, atMost limit: Int) throws -> [Int] {
        var numbers: [Int] = []
        let start = reader.position
        try reader.integers(into: &numbers, atMost: limit)
        guard numbers.allSatisfy({ $0 >= 0 }) else {
            throw JSONError("expected whole numbers from 0 on, found \(numbers.min() ?? 0)", at: start)
        }
        return numbers
    }

    // MARK: Geometry

    private static func place(
        _ entries: [Entry], base: Int, fileSize: Int, name file: String, file index: Int
    ) throws -> [TensorInfo] {
        let sorted = entries.sorted {
            ($0.offsets.lowerBound, $0.offsets.upperBound) < ($1.offsets.lowerBound, $1.offsets.upperBound)
        }
        let dataSize = fileSize - base
        var end = 0
        let tensors = try sorted.map { entry in
            let begin = entry.offsets.lowerBound
            guard begin == end else {
                throw CheckpointError(
                    "\(file): tensor \(shown(entry.name)) \(begin < end ? "overlaps the one before it" : "leaves a hole")",
                    expected: "data offset \(end)", found: "\(begin)")
            }
            guard entry.offsets.upperBound <= dataSize else {
                throw CheckpointError(
                    "\(file): tensor \(shown(entry.name)) reaches past the end of the file",
                    expected: "at most \(dataSize) data bytes", found: "\(entry.offsets.upperBound)",
                    hint: "the file is truncated; download it again")
            }
            guard byteCount(entry) == entry.offsets.count else {
                throw CheckpointError(
                    "\(file): tensor \(shown(entry.name)) has another size than its shape",
                    expected: byteCount(entry).map { "\($0) bytes for \(entry.type.rawValue) \(entry.shape)" }
                        ?? "a shape that fits in memory",
                    found: "\(entry.offsets.count) bytes")
            }
            end = entry.offsets.upperBound
            return TensorInfo(
                name: entry.name, type: entry.type, shape: entry.shape, file: index, range: base + begin..<base + end)
        }
        guard end == dataSize else {
            throw CheckpointError(
                "\(file): bytes follow the last tensor", expected: "\(base + end) bytes", found: "\(fileSize) bytes",
                hint: "the file is damaged; download it again")
        }
        return tensors
    }

    /// Bytes that the shape asks for, or nil when the product overflows or is not a whole number of bytes. Of an empty
    /// tensor the other dimensions must not overflow either: callers compute with them.
    private static func byteCount(_ entry: Entry) -> Int? {
        var bits = entry.type.bits
        for dimension in entry.shape where dimension != 0 {
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            if overflow { return nil }
            bits = product
        }
        if entry.shape.contains(0) { return 0 }
        return bits.isMultiple(of: 8) ? bits / 8 : nil
    }
}
