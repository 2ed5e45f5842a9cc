import CForetokenKernels

/// Decodes pieces of one FP8 matrix to BF16.
struct BlockDecoder {
    private static let values = (0...UInt8.max).map { foretoken_fp8_value($0) }

    private let name: String
    private let columns: Int
    private let blockColumns: Int
    private let scales: [Float]

    /// Reads and checks the block scales of `weight`, [⌈rows/128⌉, ⌈columns/128⌉].
    init(_ weight: TensorInfo, scale: TensorInfo, _ checkpoint: Checkpoint) throws {
        name = weight.name
        columns = weight.shape[1]
        blockColumns = scale.shape[1]
        scales = try [Float](unsafeUninitializedCapacity: scale.elementCount) { buffer, initialized in
            if let floats = buffer.baseAddress { try checkpoint.readScales(scale, into: floats) }
            initialized = scale.elementCount
        }
    }

    /// Decodes consecutive elements, the first of which is element `first` of the matrix, into `output`.
    /// - Returns: the bytes written.
    func decode(
        _ codes: UnsafeRawBufferPointer, firstElement first: Int, into output: UnsafeMutableBufferPointer<UInt16>
    ) throws -> UnsafeRawBufferPointer {
        let end = first + codes.count
        let rows = first / columns..<(end - 1) / columns + 1
        let block = TensorResolver.scaleBlock
        var bits = [UInt16](repeating: 0, count: 256)
        var sawNaN = false
        let lost = scales.withUnsafeBufferPointer {
            ZeroBlocks.lostElement(in: codes, first: first, columns: columns, scales: $0)
        }
        if let lost { throw ZeroBlocks.error(lost, columns: columns, place: "the scale of \(shown(name))") }
        for blockRow in rows.lowerBound / block...(rows.upperBound - 1) / block {
            let rows = rows.clamped(to: blockRow * block..<(blockRow + 1) * block)
            for blockColumn in 0..<blockColumns {
                // One scale serves up to 128 rows of 128 codes, so the products of all codes are made once per block.
                let scale = scales[blockRow * blockColumns + blockColumn]
                for code in bits.indices { bits[code] = foretoken_bf16_encode(BlockDecoder.values[code] * scale) }
                for row in rows {
                    let start = row * columns + blockColumn * block
                    let stop = min(start + block, (row + 1) * columns)
                    for index in (start - first..<stop - first).clamped(to: 0..<codes.count) {
                        let code = codes[index]
                        sawNaN = sawNaN || code & 0x7F == 0x7F
                        output[index] = bits[Int(code)]
                    }
                }
            }
        }
        if sawNaN {
            throw CheckpointError(
                "tensor \(shown(name)) holds NaN", expected: "finite FP8 values",
                hint: "the file is damaged or was badly converted; download it again")
        }
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<(2 * codes.count)])
    }
}
