/// The block scales of FP8 weights: how checkpoints name and store them. W[r,c] = float(q[r,c]) · S[⌊r/128⌋, ⌊c/128⌋]
/// under every name and in every type, so all of them are read as the FP32 numbers that they stand for.
enum BlockScales {
    /// What is appended to the weight's name: `…weight_scale_inv` in DeepSeek's files, multiplied despite its name, and
    /// `…weight_scale` in those of other converters.
    static let suffixes = ["_scale_inv", "_scale"]
    /// The types, each of which FP32 holds exactly.
    static let types: Set<ElementType> = [.f32, .bf16, .fp8E8M0]
    /// Scales from here on overflow inside the kernels; the weights they would give are far beyond FP16's range.
    static let limit: Float = 0x1p70
    /// What a scale must be, in the words of error messages.
    static let expectation = "scales from zero to below 2^70"

    /// What else may stand beside an FP8 weight and changes its values: second scales and zero points of other formats.
    static let foreignSuffixes = [
        "_scale_2", "_global_scale", "_scale_1", "_zero_point", "_scale_zp", "_g_idx", "_offset",
    ]
    /// What stands in the place of a weight in formats that are not read.
    static let foreignWeights = ["qweight", "weight_blocks"]
    /// Scales of activations, which this program does not round.
    static let activationSuffixes = [".input_scale", ".output_scale", ".input_global_scale", ".activation_scale"]

    /// Whether a tensor of that name holds scales of weights, but for those of packed codes.
    static func isScale(_ name: String) -> Bool { name.hasSuffix("_scale_inv") || name.hasSuffix("weight_scale") }

    /// Whether a tensor of that name only says how activations would be rounded.
    static func isForActivations(_ name: String) -> Bool { activationSuffixes.contains { name.hasSuffix($0) } }

    /// Dimensions of the scales of a weight.
    static func shape(of weight: [Int]) -> [Int] {
        weight.map { ($0 + TensorResolver.scaleBlock - 1) / TensorResolver.scaleBlock }
    }

    /// Turns stored scales into FP32 in place.
    /// - Parameters:
    ///   - floats: room for `count` numbers; the stored scales fill its end.
    ///   - type: what is stored.
    static func widen(_ floats: UnsafeMutablePointer<Float>, count: Int, from type: ElementType) {
        // A number's place never reaches beyond the next stored one, so none is overwritten before it is read.
        switch type {
        case .bf16:
            let stored = UnsafeRawPointer(floats) + 2 * count
            for i in 0..<count {
                let bits = stored.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
                floats[i] = Float(bitPattern: UInt32(bits) << 16)
            }
        case .fp8E8M0:
            let stored = UnsafeRawPointer(floats) + 3 * count
            for i in 0..<count {
                floats[i] = value(exponent: stored.load(fromByteOffset: i, as: UInt8.self))
            }
        default: break
        }
    }

    /// 2^(e − 127); 255 is NaN. The smallest is below FP32's normal numbers.
    private static func value(exponent: UInt8) -> Float {
        switch exponent {
        case 0: 0x1p-127
        case .max: .nan
        default: Float(bitPattern: UInt32(exponent) << 23)
        }
    }
}

extension Checkpoint {
    /// Names of the block scales that a weight has.
    func scaleNames(of weight: String) -> [String] {
        BlockScales.suffixes.map { weight + $0 }.filter { tensor($0) != nil }
    }

    /// Reads block scales as FP32.
    /// - Parameter floats: room for all of them.
    /// - Throws: `CheckpointError` naming the first scale that cannot be one.
    func readScales(_ tensor: TensorInfo, into floats: UnsafeMutablePointer<Float>) throws {
        let count = tensor.elementCount
        let stored = tensor.range.count
        let end = UnsafeMutableRawPointer(floats) + (4 * count - stored)
        try read(tensor, fromByte: 0, into: UnsafeMutableRawBufferPointer(start: end, count: stored))
        BlockScales.widen(floats, count: count, from: tensor.type)
        for i in 0..<count where !(floats[i] >= 0 && floats[i] < BlockScales.limit) {
            throw CheckpointError(
                "\(fileNames[tensor.file]): tensor \(shown(tensor.name)) holds a bad scale",
                expected: BlockScales.expectation,
                found: "\(floats[i]) for block [\(i / tensor.shape[1]), \(i % tensor.shape[1])]",
                hint: "the file is damaged or was exported wrongly; fetch or export it again")
        }
    }

    /// The block scales of the FP8 matrix `weight`.
    /// - Throws: `CheckpointError` when there are none or two, or when they are of another kind.
    func blockScale(of weight: TensorInfo) throws(CheckpointError) -> TensorInfo {
        let place = "\(fileNames[weight.file]): tensor \(shown(weight.name))"
        let names = scaleNames(of: weight.name)
        if names.count > 1 {
            throw CheckpointError(
                "\(place) has two scales", expected: "one of \(names.map(shown).joined(separator: " and "))",
                found: "both", hint: "which one belongs to the weight cannot be known; convert the checkpoint again")
        }
        if let other = BlockScales.foreignSuffixes.map({ weight.name + $0 }).first(where: { self.tensor($0) != nil }) {
            throw CheckpointError(
                "\(place) is quantised in another way", expected: "block scales alone",
                found: "the tensor \(shown(other))",
                hint: "use the published FP8 or a BF16 checkpoint")
        }
        guard let name = names.first, let scale = tensor(name) else {
            throw CheckpointError(
                "\(label): tensor \(shown(weight.name))\(BlockScales.suffixes[0]) is missing: the FP8 weight has no scale",
                expected: "shape \(BlockScales.shape(of: weight.shape))",
                hint: "without it the weight's values cannot be known; the checkpoint is incomplete")
        }
        let scalePlace = "\(fileNames[scale.file]): tensor \(shown(name))"
        guard BlockScales.types.contains(scale.type) else {
            throw CheckpointError(
                "\(scalePlace) has the wrong type",
                expected: BlockScales.types.map(\.rawValue).sorted().joined(separator: ", "),
                found: scale.type.rawValue)
        }
        let blocks = BlockScales.shape(of: weight.shape)
        guard weight.shape.count == 2, scale.shape == blocks else {
            let kind = BlockScales.kind(of: scale.shape, rows: weight.shape.first ?? 0)
            throw CheckpointError(
                "\(scalePlace) has the wrong shape for scales of 128×128 blocks",
                expected: "\(blocks) for a matrix \(weight.shape)", found: "\(scale.shape)\(kind)",
                hint: "use the published FP8 or a BF16 checkpoint")
        }
        return scale
    }
}

extension BlockScales {
    /// What scales of that shape would be, for the end of a message.
    fileprivate static func kind(of shape: [Int], rows: Int) -> String {
        if shape.allSatisfy({ $0 == 1 }) { return ", one scale for the whole matrix" }
        return shape == [rows] || shape == [rows, 1] ? ", one scale a row" : ""
    }
}
