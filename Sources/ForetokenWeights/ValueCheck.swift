/// Looks for values no honest checkpoint holds: NaN and infinities anywhere, block scales below zero, scales
/// of zero beside codes that are not.
struct ValueCheck {
    /// What one tensor must satisfy.
    enum Rule: Sendable {
        /// Every value is a finite number.
        case finite
        /// Every value is finite and zero or more; what zero is allowed for, `ZeroBlocks` tells.
        case scale
        /// Every value is finite and no larger than a scale of codes can be, of either sign; what zero is allowed for,
        /// `PackedCodes` tells.
        case codeScale
    }

    let type: ElementType
    let rule: Rule

    /// The rule for a tensor, by its name and type; nil when its values mean nothing to this program.
    /// - Parameter isCodeScale: whether INT4 codes stand beside it.
    init?(_ tensor: TensorInfo, isCodeScale: Bool = false) {
        let isScale = BlockScales.isScale(tensor.name)
        guard [.f32, .bf16, .f16, .fp8].contains(tensor.type) || isScale && tensor.type == .fp8E8M0 else { return nil }
        type = tensor.type
        rule = isCodeScale ? .codeScale : isScale ? .scale : .finite
    }

    /// How many elements of whole, little-endian elements break the rule.
    func violations(in bytes: UnsafeRawBufferPointer) -> Int {
        switch type {
        case .fp8: count(bytes, UInt8.self, magnitude: 0x7F, firstBad: 0x7F)
        case .f16: count(bytes, UInt16.self, magnitude: 0x7FFF, firstBad: 0x7C00)
        case .bf16:
            count(
                bytes, UInt16.self, magnitude: 0x7FFF,
                firstBad: rule == .finite ? 0x7F80 : UInt16(BlockScales.limit.bitPattern >> 16))
        // Exponents alone: every one is above zero, and NaN is the largest.
        case .fp8E8M0: bytes.count { $0 >= UInt8(BlockScales.limit.bitPattern >> 23) }
        default:
            count(
                bytes, UInt32.self, magnitude: 0x7FFF_FFFF,
                firstBad: rule == .finite ? 0x7F80_0000 : BlockScales.limit.bitPattern)
        }
    }

    /// In all these formats the bits without the sign grow with the magnitude, NaN and infinity come last, and a value is not
    /// negative when its bits, read as an unsigned number, lie below those of infinity.
    private func count<Word: FixedWidthInteger & UnsignedInteger>(
        _ bytes: UnsafeRawBufferPointer, _: Word.Type, magnitude mask: Word, firstBad: Word
    ) -> Int {
        var bad = 0
        let isScale = rule == .scale
        for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Word>.size) {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: Word.self)
            let isBad = isScale ? word >= firstBad && word & mask != 0 : word & mask >= firstBad
            bad += isBad ? 1 : 0
        }
        return bad
    }

    private static func expectation(_ rule: Rule) -> String {
        switch rule {
        case .finite: "finite numbers"
        case .scale: BlockScales.expectation
        case .codeScale: PackedCodes.expectation
        }
    }

    private static func finding(_ rule: Rule) -> String {
        switch rule {
        case .finite: "NaN or infinity"
        case .scale: "NaN, less than zero, or larger"
        case .codeScale: "NaN or larger"
        }
    }

    /// Reads the whole tensor and describes what is wrong with it, or returns nil.
    static func problem(
        _ tensor: TensorInfo, of checkpoint: Checkpoint, buffer: UnsafeMutableRawBufferPointer,
        progress: (Int) throws -> Void
    ) throws -> CheckpointError? {
        if let codes = checkpoint.codes(beside: tensor, PackedCodes.shapeSuffix) {
            try checkpoint.checkPackedShape(LinearSource(weight: codes, scale: nil, packedShape: tensor))
        }
        let codes = checkpoint.codes(beside: tensor, PackedCodes.scaleSuffix)
        guard let check = ValueCheck(tensor, isCodeScale: codes != nil) else {
            try progress(tensor.range.count)
            return nil
        }
        var bad = 0
        try checkpoint.forEachChunk(of: tensor, buffer: buffer) { _, bytes in
            bad += check.violations(in: bytes)
            try progress(bytes.count)
        }
        guard bad > 0 else {
            if let codes { return try PackedCodes.problem(tensor, of: codes, in: checkpoint, buffer: buffer) }
            return check.rule == .scale ? try ZeroBlocks.problem(tensor, of: checkpoint, buffer: buffer) : nil
        }
        return CheckpointError(
            "\(checkpoint.fileNames[tensor.file]): tensor \(shown(tensor.name)) holds \(bad) bad "
                + "value\(bad == 1 ? "" : "s")",
            expected: expectation(check.rule), found: finding(check.rule),
            hint: "the file is damaged or was badly converted; download it again")
    }
}

extension Checkpoint {
    /// Reads a tensor piece by piece into `buffer`, whose size is a multiple of 8, and lets go of its cached pages.
    /// `body` gets the piece's first byte, counted from the tensor's start, and the piece.
    func forEachChunk(
        of tensor: TensorInfo, buffer: UnsafeMutableRawBufferPointer,
        _ body: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for offset in stride(from: 0, to: tensor.range.count, by: buffer.count) {
            let size = min(buffer.count, tensor.range.count - offset)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
            try read(tensor, fromByte: offset, into: piece)
            try body(offset, UnsafeRawBufferPointer(piece))
        }
        dropPageCache(tensor)
    }
}
