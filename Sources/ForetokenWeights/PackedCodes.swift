/// INT4 weights as compressed-tensors' `pack-quantized` files hold them, each matrix [rows, columns] in three tensors:
///
/// - `weight_packed` I32 [rows, columns / 8]: element i of a row in the bits 4 (i mod 8) of word i / 8, as code + 8;
/// - `weight_scale` BF16 [rows, columns / group]: W[r,c] = code[r,c] · scale[r, c / group];
/// - `weight_shape` I64 [2]: rows and columns, which the other two say already.
///
/// These are the numbers that `ResidentFormat.int4` has: loading moves nibbles and rounds nothing.
enum PackedCodes {
    /// What is appended to a weight's name.
    static let codeSuffix = "_packed"
    static let scaleSuffix = "_scale"
    static let shapeSuffix = "_shape"
    /// Columns that a packed matrix has a multiple of, and that every scale is for at least.
    static let blockColumns = 32
    /// What a scale must be, in the words of error messages.
    static let expectation = "finite scales below 2^70"
    static let hint = "use the published INT4 or FP8 files or a BF16 checkpoint"
    /// A word of eight zeros.
    static let zeros: UInt32 = 0x8888_8888

    /// Whether a scale can be one: of either sign, finite and not so large that weights would leave the range of others.
    static func isSound(scale bits: UInt16) -> Bool {
        Float(bitPattern: UInt32(bits) << 16).magnitude < BlockScales.limit
    }

    /// The error for a scale that cannot be one.
    static func badScale(_ bits: UInt16, at element: Int, of shape: [Int], place: String) -> CheckpointError {
        CheckpointError(
            "\(place) holds a bad scale", expected: expectation,
            found: "\(Float(bitPattern: UInt32(bits) << 16)) for row \(element / shape[1]), "
                + "group \(element % shape[1])",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }

    /// The error for a scale of 0 beside codes that are not zero.
    static func lostScale(at element: Int, of shape: [Int], place: String) -> CheckpointError {
        CheckpointError(
            "\(place) holds a bad scale", expected: "a scale other than zero where codes are not all zero",
            found: "0 for row \(element / shape[1]), group \(element % shape[1])",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }

    /// What a scan says of sound scales with zeros among them; nil where all codes of these are zero.
    static func problem(
        _ scale: TensorInfo, of codes: TensorInfo, in checkpoint: Checkpoint, buffer: UnsafeMutableRawBufferPointer
    ) throws -> CheckpointError? {
        guard scale.type == .bf16, scale.shape.count == 2, scale.shape[0] == codes.shape[0], scale.shape[1] > 0,
            codes.shape[1] > 0, codes.shape[1].isMultiple(of: scale.shape[1])
        else { return nil }
        let words = codes.shape[1] / scale.shape[1]
        var scales = [UInt16](repeating: 0, count: scale.elementCount)
        try scales.withUnsafeMutableBytes { try checkpoint.read(scale, fromByte: 0, into: $0) }
        guard scales.contains(where: { $0 & 0x7FFF == 0 }) else { return nil }
        var lost: Int?
        try checkpoint.forEachChunk(of: codes, buffer: buffer) { offset, bytes in
            guard lost == nil else { return }
            for i in 0..<bytes.count / 4 where scales[(offset / 4 + i) / words] & 0x7FFF == 0 {
                guard bytes.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self) != zeros else { continue }
                lost = (offset / 4 + i) / words
                return
            }
        }
        let place = "\(checkpoint.fileNames[scale.file]): tensor \(shown(scale.name))"
        return lost.map { lostScale(at: $0, of: scale.shape, place: place) }
    }
}

extension LinearSource {
    /// Whether the weight is INT4 codes with a scale for each row and some columns.
    public var isPacked: Bool { weight.type == .i32 }

    /// Scales of a row of packed codes.
    var scaleGroups: Int { scale?.shape[1] ?? 0 }
}

extension Checkpoint {
    /// The packed matrix [rows, columns] whose codes are `name` with `PackedCodes.codeSuffix`.
    /// - Throws: `CheckpointError` when the scheme of config.json, types or shapes are not those that are read.
    func packedMatrix(_ name: String, rows: Int, columns: Int) throws(CheckpointError) -> LinearSource {
        let codes = try tensor(name + PackedCodes.codeSuffix, [.i32], [rows, columns / 8])
        let place = "\(fileNames[codes.file]): tensor \(shown(codes.name))"
        guard case .packedInt4(let groups) = configuration.quantization else {
            throw CheckpointError(
                "\(place) is packed in a way that config.json does not tell",
                expected: "a `quantization_config` of compressed-tensors", hint: PackedCodes.hint)
        }
        if let other = BlockScales.foreignSuffixes.map({ name + $0 }).first(where: { self.tensor($0) != nil }) {
            throw CheckpointError(
                "\(place) is quantised in another way", expected: "codes, scales and a shape alone",
                found: "the tensor \(shown(other))", hint: PackedCodes.hint)
        }
        guard columns.isMultiple(of: PackedCodes.blockColumns) else {
            throw CheckpointError(
                "\(place) cannot be read", expected: "a multiple of \(PackedCodes.blockColumns) columns",
                found: "\(columns)", hint: PackedCodes.hint)
        }
        let fitting = groups.filter { columns.isMultiple(of: $0) }
        guard let found = self.tensor(name + PackedCodes.scaleSuffix),
            let group = fitting.first(where: { found.shape == [rows, columns / $0] }) ?? fitting.first
        else {
            throw CheckpointError(
                "\(label): the scales of \(shown(codes.name)) are missing",
                expected: "\(shown(name + PackedCodes.scaleSuffix)) with one for every \(groups) columns of a row",
                hint: "without them the weight's values cannot be known; the checkpoint is incomplete")
        }
        let scale = try tensor(found.name, [.bf16], [rows, columns / group])
        let shapeName = name + PackedCodes.shapeSuffix
        let shape = self.tensor(shapeName) == nil ? nil : try tensor(shapeName, [.i64, .i32], [2])
        return LinearSource(weight: codes, scale: scale, packedShape: shape)
    }

    /// The codes that a tensor belongs to, if its name has the suffix and they are a matrix.
    func codes(beside tensor: TensorInfo, _ suffix: String) -> TensorInfo? {
        guard tensor.name.hasSuffix(".weight" + suffix),
            let codes = self.tensor(tensor.name.dropLast(suffix.count) + PackedCodes.codeSuffix),
            codes.type == .i32, codes.shape.count == 2
        else { return nil }
        return codes
    }

    private func tensor(
        _ name: String, _ types: [ElementType], _ shape: [Int]
    ) throws(CheckpointError) -> TensorInfo {
        guard let tensor = tensor(name) else {
            throw CheckpointError("\(label): tensor \(shown(name)) is missing", expected: "shape \(shape)")
        }
        let place = "\(fileNames[tensor.file]): tensor \(shown(name))"
        guard types.contains(tensor.type) else {
            throw CheckpointError(
                "\(place) has the wrong type", expected: types.map(\.rawValue).joined(separator: " or "),
                found: tensor.type.rawValue, hint: PackedCodes.hint)
        }
        guard tensor.shape == shape else {
            throw CheckpointError("\(place) has the wrong shape", expected: "\(shape)", found: "\(tensor.shape)")
        }
        return tensor
    }

    /// Refuses a matrix whose `weight_shape` says something else than its other tensors.
    func checkPackedShape(_ source: LinearSource) throws {
        guard let shape = source.packedShape else { return }
        guard [.i64, .i32].contains(shape.type), shape.elementCount == 2 else {
            throw CheckpointError(
                "\(fileNames[shape.file]): tensor \(shown(shape.name)) is no shape", expected: "two I64 or I32",
                found: "\(shape.type.rawValue) \(shape.shape)", hint: PackedCodes.hint)
        }
        var bytes = [UInt8](repeating: 0, count: shape.range.count)
        try bytes.withUnsafeMutableBytes { try read(shape, fromByte: 0, into: $0) }
        let found = bytes.withUnsafeBytes { bytes in
            (0..<2).map {
                shape.type == .i64
                    ? Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self))
                    : Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))
            }
        }
        guard found != [source.rows, source.columns] else { return }
        throw CheckpointError(
            "\(fileNames[shape.file]): tensor \(shown(shape.name)) contradicts the codes beside it",
            expected: "\([source.rows, source.columns])", found: "\(found)",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }
}

extension WeightReader {
    /// Reads and checks the scales of rows whose codes are in `scratch.weights`.
    func readCodeScales(_ source: LinearSource, rows: Range<Int>, _ scratch: inout PackingScratch) throws {
        if rows.lowerBound == 0 { try checkpoint.checkPackedShape(source) }
        guard let scale = source.scale else { preconditionFailure("packed codes have scales") }
        let groups = source.scaleGroups
        let count = rows.count * groups
        scratch.reserve(scaleCount: (count + 1) / 2)
        let scales = scratch.codeScales
        let bytes = UnsafeMutableRawBufferPointer(start: scales, count: 2 * count)
        try checkpoint.read(scale, fromByte: 2 * rows.lowerBound * groups, into: bytes)
        let place = "\(checkpoint.fileNames[scale.file]): tensor \(shown(scale.name))"
        let words = source.columns / 8 / groups
        for i in 0..<count {
            let first = rows.lowerBound * groups
            guard PackedCodes.isSound(scale: scales[i]) else {
                throw PackedCodes.badScale(scales[i], at: first + i, of: scale.shape, place: place)
            }
            guard scales[i] & 0x7FFF == 0 else { continue }
            let codes = scratch.weights.assumingMemoryBound(to: UInt32.self) + i * words
            guard (0..<words).contains(where: { codes[$0] != PackedCodes.zeros }) else { continue }
            throw PackedCodes.lostScale(at: first + i, of: scale.shape, place: place)
        }
    }
}
