/// Which of the MTP modules' own embedding and head copies really differ from the main model's. Published checkpoints
/// repeat both tables; packing a repetition would cost its size again for nothing.
struct SharedCopies {
    /// Per module: the module's embedding where it differs, else nil.
    let ownEmbedding: [TensorInfo?]
    /// Per module: the module's head where it differs, else nil.
    let ownHead: [TensorInfo?]

    init(_ layout: WeightLayout) throws {
        let mainHead = layout.head ?? layout.embedding
        ownEmbedding = try layout.modules.map {
            try Self.differing($0.embedding, from: layout.embedding, in: layout.checkpoint)
        }
        ownHead = try layout.modules.map { try Self.differing($0.head, from: mainHead, in: layout.checkpoint) }
    }

    private static func differing(
        _ copy: TensorInfo?, from main: TensorInfo, in checkpoint: Checkpoint
    ) throws -> TensorInfo? {
        guard let copy else { return nil }
        guard copy.type == main.type else { return copy }
        let chunk = 1 << 20
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * chunk, alignment: 64)
        defer { buffer.deallocate() }
        for start in stride(from: 0, to: main.range.count, by: chunk) {
            let count = min(chunk, main.range.count - start)
            let a = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
            let b = UnsafeMutableRawBufferPointer(rebasing: buffer[chunk..<chunk + count])
            try checkpoint.read(main, fromByte: start, into: a)
            try checkpoint.read(copy, fromByte: start, into: b)
            if !a.elementsEqual(b) { return copy }
        }
        return nil
    }
}
