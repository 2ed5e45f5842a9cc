/// FP8 blocks whose scale is 0. With nothing but zero codes such a block is exactly zero, as pruned experts are; with any
/// other code the scale was lost.
enum ZeroBlocks {
    /// The first element, counted from the matrix's start, that has a code other than ±0 in a block of scale 0.
    /// - Parameters:
    ///   - codes: consecutive elements, the first of which is element `first` of the matrix.
    ///   - columns: of the matrix.
    ///   - scales: of the whole matrix, [⌈rows/128⌉, ⌈columns/128⌉].
    static func lostElement(
        in codes: UnsafeRawBufferPointer, first: Int, columns: Int, scales: UnsafeBufferPointer<Float>
    ) -> Int? {
        guard !codes.isEmpty, columns > 0 else { return nil }
        let block = TensorResolver.scaleBlock
        let across = (columns + block - 1) / block
        let end = first + codes.count
        for blockRow in first / columns / block...(end - 1) / columns / block {
            for blockColumn in 0..<across where scales[blockRow * across + blockColumn] == 0 {
                let rows = (blockRow * block..<(blockRow + 1) * block).clamped(
                    to: first / columns..<(end - 1) / columns + 1)
                for row in rows {
                    let start = row * columns + blockColumn * block
                    let stop = min(start + block, (row + 1) * columns)
                    for index in (start..<stop).clamped(to: first..<end) where codes[index - first] & 0x7F != 0 {
                        return index
                    }
                }
            }
        }
        return nil
    }

    /// The error for such an element.
    /// - Parameter place: file and tensor of the scales.
    static func error(_ element: Int, columns: Int, place: String) -> CheckpointError {
        let (row, column) = (element / columns, element % columns)
        let block = TensorResolver.scaleBlock
        return CheckpointError(
            "\(place) holds a bad scale", expected: "a scale above zero where a block holds anything but zeros",
            found: "0 for block [\(row / block), \(column / block)], whose weight [\(row), \(column)] is not zero",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }

    /// What a scan says of a scale tensor with zeros in it; nil when all their blocks are zero.
    static func problem(
        _ scale: TensorInfo, of checkpoint: Checkpoint, buffer: UnsafeMutableRawBufferPointer
    ) throws -> CheckpointError? {
        guard let suffix = BlockScales.suffixes.first(where: { scale.name.hasSuffix($0) }),
            let weight = checkpoint.tensor(String(scale.name.dropLast(suffix.count))), weight.type == .fp8,
            weight.shape.count == 2, scale.shape == BlockScales.shape(of: weight.shape),
            BlockScales.types.contains(scale.type)
        else { return nil }
        let scales = try [Float](unsafeUninitializedCapacity: scale.elementCount) { buffer, initialized in
            if let floats = buffer.baseAddress { try checkpoint.readScales(scale, into: floats) }
            initialized = scale.elementCount
        }
        guard scales.contains(0) else { return nil }
        var lost: Int?
        try checkpoint.forEachChunk(of: weight, buffer: buffer) { offset, bytes in
            guard lost == nil else { return }
            lost = scales.withUnsafeBufferPointer {
                lostElement(in: bytes, first: offset, columns: weight.shape[1], scales: $0)
            }
        }
        let place = "\(checkpoint.fileNames[scale.file]): tensor \(shown(scale.name))"
        return lost.map { error($0, columns: weight.shape[1], place: place) }
    }
}

extension WeightReader {
    /// Checks rows of an FP8 matrix, whose codes are in `scratch.weights`, against scales of 0.
    func checkZeroBlocks(
        _ source: LinearSource, _ scale: TensorInfo, _ scales: UnsafePointer<Float>, rows: Range<Int>,
        _ scratch: borrowing PackingScratch
    ) throws {
        let columns = source.columns
        let codes = UnsafeRawBufferPointer(start: scratch.weights, count: rows.count * columns)
        let all = UnsafeBufferPointer(start: scales, count: scale.elementCount)
        let first = rows.lowerBound * columns
        guard let lost = ZeroBlocks.lostElement(in: codes, first: first, columns: columns, scales: all) else { return }
        throw ZeroBlocks.error(
            lost, columns: columns, place: "\(checkpoint.fileNames[scale.file]): \(shown(scale.name))")
    }
}
