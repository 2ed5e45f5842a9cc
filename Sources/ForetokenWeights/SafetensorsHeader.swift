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
        var scanner = JSONScanner(json, file: file, maximumDepth: 4)
        var entries: [Entry] = []
        var names: Set<String> = []
        try scanner.object { scanner, key in
            guard names.insert(key).inserted else { throw scanner.duplicate(key) }
            if key == "__metadata__" { return try metadata(&scanner) }
            guard entries.count < maximumTensors else {
                throw CheckpointError("\(file): too many tensors", expected: "at most \(maximumTensors)")
            }
            entries.append(try entry(&scanner, name: key, file: file))
        }
        try scanner.end()
        return entries
    }

    private static func metadata(_ scanner: inout JSONScanner) throws {
        var keys: Set<String> = []
        try scanner.object { scanner, key in
            guard keys.insert(key).inserted else { throw scanner.duplicate(key) }
            _ = try scanner.string()
        }
    }

    private static func entry(_ scanner: inout JSONScanner, name: String, file: String) throws -> Entry {
        var type: ElementType?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.object { scanner, key in
            switch key {
            case "dtype" where type == nil:
                let text = try scanner.string()
                guard let known = ElementType(rawValue: text) else {
                    throw CheckpointError("\(file): tensor \(shown(name)) has the unknown dtype \"\(shown(text))\"")
                }
                type = known
            case "shape" where shape == nil: shape = try counts(&scanner, atMost: maximumRank)
            case "data_offsets" where offsets == nil: offsets = try counts(&scanner, atMost: 2)
            case "dtype", "shape", "data_offsets": throw scanner.duplicate(key)
            default:
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

    private static func counts(_ scanner: inout JSONScanner, atMost limit: Int) throws -> [Int] {
        var numbers: [Int] = []
        try scanner.array { scanner in
            guard numbers.count < limit else { throw scanner.failure(expected: "at most \(limit) numbers") }
            numbers.append(try scanner.count())
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
