import CForetokenKernels

extension Packer {
    /// Writes panels of a matrix, whose row 0 is the stored row `firstRow`, in another format than the stored one, by way
    /// of the exact FP32 values of one panel at a time: there is never a second copy of the weights. The panels' stored
    /// rows are in `scratch.weights`.
    func convert(
        _ source: LinearSource, into matrix: PackedMatrix, panels: Range<Int>, firstRow: Int,
        _ scratch: inout PackingScratch
    ) throws {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let columns = Int(matrix.columns)
        let size = source.weight.type.bits / 8
        let grid = ScaleGrid(start: 0, count: columns)
        let scales = try source.scale.map { try readScales($0, of: source.weight, &scratch) }
        if let scale = source.scale, let scales {
            let first = panels.lowerBound * lanes
            let end = min(panels.upperBound * lanes, Int(matrix.rows))
            try checkZeroBlocks(source, scale, scales, rows: firstRow + first..<firstRow + end, scratch)
        }
        scratch.reserve(panelElements: columns * lanes)
        let kernels = foretoken_kernels_best()!
        var stored = PackedMatrix()
        stored.panels = UnsafeRawPointer(scratch.panel)
        stored.rows = Int32(lanes)
        stored.columns = matrix.columns
        stored.format = source.storedFormat.raw
        stored.first_scale_block = Int32(grid.firstBlock)
        stored.scale_blocks = Int32(grid.blockCount)
        stored.scale_lanes = 1
        for panel in panels {
            let row = panel * lanes
            foretoken_pack_panel(
                UnsafeRawPointer(scratch.weights + (row - panels.lowerBound * lanes) * columns * size), columns,
                Int32(min(lanes, Int(matrix.rows) - row)), matrix.columns, Int32(size), scratch.panel)
            let block = (firstRow + row) / Int(FORETOKEN_SCALE_BLOCK)
            stored.scales = scales.map { UnsafePointer($0 + block * grid.blockCount) }
            kernels.pointee.decode_panels(&stored, 0, 1, 0, matrix.columns, scratch.values, lanes)
            try checkRange(source.weight, scratch.values, count: columns * lanes, row: firstRow + row)
            foretoken_quantise_panel(
                matrix.format, scratch.values, matrix.columns,
                UnsafeMutableRawPointer(mutating: matrix.panels + panel * matrix.panelBytes),
                matrix.scales.map { UnsafeMutablePointer(mutating: $0) + panel * Int(matrix.scale_blocks) * lanes })
        }
    }

    /// Refuses finite values so large that the new format's scales would not be.
    private func checkRange(
        _ tensor: TensorInfo, _ values: UnsafeMutablePointer<Float>, count: Int, row: Int
    ) throws {
        var largest: Float = 0
        for i in 0..<count { largest = max(largest, values[i].magnitude) }
        guard largest >= BlockScales.limit else { return }
        throw CheckpointError(
            "\(checkpoint.fileNames[tensor.file]): \(tensor.name) cannot be kept in another format",
            expected: "weights below 2^70", found: "\(largest) in the 32 rows from row \(row) on",
            hint: "the file is damaged or was exported wrongly; --weights stored takes it as it is")
    }
}
