import CForetokenKernels

/// Reads rows of stored weights into one thread's scratch memory, checks them and decodes them.
struct WeightReader: Sendable {
    let checkpoint: Checkpoint
    /// What becomes of file pages that were read.
    let pageCache: PageCacheUse

    /// Reads rows of a matrix, and of packed codes the scales as well, into `scratch.weights` and `scratch.codeScales`.
    /// - Returns: bytes of the weight's rows.
    /// - Throws: `CheckpointError` for values that no weight has.
    func read(_ source: LinearSource, rows: Range<Int>, _ scratch: inout PackingScratch) throws -> Int {
        let bytes = try readRows(source.weight, first: rows.lowerBound, count: rows.count, &scratch)
        if source.isPacked { try readCodeScales(source, rows: rows, &scratch) }
        return bytes
    }

    /// Reads a whole vector into `scratch.weights`.
    func readVector(_ tensor: TensorInfo, _ scratch: inout PackingScratch) throws {
        let count = tensor.elementCount
        let size = tensor.type.bits / 8
        scratch.reserve(weightBytes: count * size)
        let bytes = UnsafeMutableRawBufferPointer(start: scratch.weights, count: count * size)
        try checkpoint.read(tensor, fromByte: 0, into: bytes)
        try checkFinite(tensor, count: count, at: 0, &scratch)
    }

    private func readRows(
        _ tensor: TensorInfo, first: Int, count: Int, _ scratch: inout PackingScratch
    ) throws -> Int {
        let columns = tensor.shape[1]
        let rowBytes = columns * tensor.type.bits / 8
        scratch.reserve(weightBytes: count * rowBytes)
        let bytes = UnsafeMutableRawBufferPointer(start: scratch.weights, count: count * rowBytes)
        try checkpoint.read(tensor, fromByte: first * rowBytes, into: bytes)
        if pageCache == .drop { checkpoint.dropPageCache(tensor, first * rowBytes..<first * rowBytes + bytes.count) }
        try checkFinite(tensor, count: count * columns, at: first, &scratch)
        return bytes.count
    }

    private func checkFinite(
        _ tensor: TensorInfo, count: Int, at row: Int, _ scratch: inout PackingScratch
    ) throws {
        guard let format = PackedFormat(tensor.type), format.hasNonFinite(scratch.weights, count: count) else { return }
        throw CheckpointError(
            "\(checkpoint.fileNames[tensor.file]): \(tensor.name) holds NaN or infinite weights",
            expected: "finite \(tensor.type.rawValue) values",
            found: "a non-finite value in the block that starts at row \(row)",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }

    /// Reads all block scales of an FP8 weight into `scratch.scales`.
    func readScales(
        _ tensor: TensorInfo, of weight: TensorInfo, _ scratch: inout PackingScratch
    ) throws -> UnsafeMutablePointer<Float> {
        scratch.reserve(scaleCount: tensor.elementCount)
        try checkpoint.readScales(tensor, into: scratch.scales)
        return scratch.scales
    }

    // MARK: Values

    /// The exact FP32 values of rows of a matrix that `read` has put into `scratch`, one panel of 32 rows at a time: there is
    /// never a second copy of the weights.
    /// - Parameters:
    ///   - rows: those that were read. Of FP8 matrices the first is a multiple of 32.
    ///   - canStayStored: whether the user might have the values kept as they are instead, which a refusal then tells.
    ///   - body: gets the panel, counted from the first row, and its values [columns][32]; missing rows are zero.
    func forEachPanel(
        of source: LinearSource, rows: Range<Int>, canStayStored: Bool = false, _ scratch: inout PackingScratch,
        _ body: (_ panel: Int, _ values: UnsafeMutablePointer<Float>) throws -> Void
    ) throws {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let columns = source.columns
        let isFP8 = source.weight.type == .fp8
        let grid = ScaleGrid(start: 0, count: columns)
        var scales: UnsafeMutablePointer<Float>?
        if isFP8, let scale = source.scale {
            precondition(rows.lowerBound.isMultiple(of: lanes), "a panel's rows have one block scale")
            let found = try readScales(scale, of: source.weight, &scratch)
            try checkZeroBlocks(source, scale, found, rows: rows, scratch)
            scales = found
        }
        scratch.reserve(panelElements: columns * lanes)
        let kernels = foretoken_kernels_best()!
        var stored = PackedMatrix()
        stored.panels = UnsafeRawPointer(scratch.panel)
        stored.rows = Int32(lanes)
        stored.columns = Int32(columns)
        stored.format = source.storedFormat.raw
        stored.first_scale_block = Int32(grid.firstBlock)
        stored.scale_blocks = Int32(grid.blockCount)
        stored.scale_lanes = 1
        for panel in 0..<(rows.count + lanes - 1) / lanes {
            let row = panel * lanes
            interleave(source, row: row, of: rows.count, into: scratch.panel, scratch)
            let block = (rows.lowerBound + row) / Int(FORETOKEN_SCALE_BLOCK)
            stored.scales = scales.map { UnsafePointer($0 + block * grid.blockCount) }
            kernels.pointee.decode_panels(&stored, 0, 1, 0, Int32(columns), scratch.values, lanes)
            try checkRange(
                source.weight, scratch.values, count: columns * lanes, row: rows.lowerBound + row,
                canStayStored: canStayStored)
            try body(panel, scratch.values)
        }
    }

    /// Writes one panel as it is stored from rows in `scratch`.
    /// - Parameters:
    ///   - row: its first row, counted from the first that was read.
    ///   - count: rows that were read.
    func interleave(
        _ source: LinearSource, row: Int, of count: Int, into panel: UnsafeMutableRawPointer,
        _ scratch: borrowing PackingScratch
    ) {
        let columns = Int32(source.columns)
        let rows = Int32(min(Int(FORETOKEN_PANEL_ROWS), count - row))
        if source.isPacked {
            let groups = source.scaleGroups
            let rowBytes = source.columns / 2
            foretoken_pack_int4_panel(
                UnsafeRawPointer(scratch.weights + row * rowBytes), rowBytes,
                UnsafePointer(scratch.codeScales + row * groups), groups, columns / Int32(groups), rows, columns, panel)
        } else {
            let size = source.weight.type.bits / 8
            foretoken_pack_panel(
                UnsafeRawPointer(scratch.weights + row * source.columns * size), source.columns, rows, columns,
                Int32(size), panel)
        }
    }

    /// Refuses finite values so large that another format's scales would not be.
    private func checkRange(
        _ tensor: TensorInfo, _ values: UnsafeMutablePointer<Float>, count: Int, row: Int, canStayStored: Bool
    ) throws {
        var largest: Float = 0
        for i in 0..<count { largest = max(largest, values[i].magnitude) }
        guard largest >= BlockScales.limit else { return }
        throw CheckpointError(
            "\(checkpoint.fileNames[tensor.file]): \(tensor.name) cannot be kept in another format",
            expected: "weights below 2^70", found: "\(largest) in the 32 rows from row \(row) on",
            hint: "the file is damaged or was exported wrongly; "
                + (canStayStored ? "--weights stored takes it as it is" : "fetch or export it again"))
    }
}
