import Glibc

/// Writes enlarged tensors piece by piece: some rows of the original at a time, as often as they are repeated.
final class GrownTensorWriter {
    /// Bytes written at a time; a single longer row is written whole.
    private static let chunkBytes = 4 << 20
    /// No model has rows of this many bytes; two buffers of it are the most memory that is used.
    static let maximumRowBytes = 64 << 20

    private let checkpoint: Checkpoint
    /// Rows of the original.
    private let original: UnsafeMutableRawBufferPointer
    /// The same rows after repetition.
    private let grown: UnsafeMutableRawBufferPointer

    /// - Parameter tensors: everything that will be written; rows are at most `maximumRowBytes` long.
    init(_ checkpoint: Checkpoint, _ tensors: [GrownTensor]) {
        self.checkpoint = checkpoint
        let size = tensors.reduce(GrownTensorWriter.chunkBytes) { max($0, $1.rowBytes) }
        original = .allocate(byteCount: size, alignment: 64)
        grown = .allocate(byteCount: size, alignment: 64)
    }

    deinit {
        original.deallocate()
        grown.deallocate()
    }

    /// Appends all bytes of the tensor to the file.
    /// - Parameter advance: told the bytes of each piece.
    func write(_ tensor: GrownTensor, to file: NewFile, advance: (Int) throws -> Void) throws {
        if tensor.isZero { return try writeZeros(tensor.byteCount, to: file, advance: advance) }
        let rows = grown.count / tensor.rowBytes
        for _ in 0..<tensor.rowCopies {
            for first in stride(from: 0, to: tensor.sourceRows, by: rows) {
                let count = min(rows, tensor.sourceRows - first)
                try read(tensor, first: first, count: count)
                try file.write(repeated(tensor, count: count))
                try advance(count * tensor.rowBytes)
            }
        }
        checkpoint.dropPageCache(tensor.source)
    }

    private func writeZeros(_ byteCount: Int, to file: NewFile, advance: (Int) throws -> Void) throws {
        _ = grown.initializeMemory(as: UInt8.self, repeating: 0)
        for start in stride(from: 0, to: byteCount, by: grown.count) {
            let count = min(grown.count, byteCount - start)
            try file.write(UnsafeRawBufferPointer(rebasing: grown[..<count]))
            try advance(count)
        }
    }

    /// Reads, checks and divides rows of the original.
    private func read(_ tensor: GrownTensor, first: Int, count: Int) throws {
        let source = tensor.source
        let rowBytes = tensor.sourceColumns * tensor.elementBytes
        let piece = UnsafeMutableRawBufferPointer(rebasing: original[..<(count * rowBytes)])
        try checkpoint.read(source, fromByte: first * rowBytes, into: piece)
        let place = "\(checkpoint.fileNames[source.file]): tensor \(shown(source.name))"
        if let check = ValueCheck(source), check.violations(in: UnsafeRawBufferPointer(piece)) > 0 {
            throw CheckpointError(
                "\(place) holds bad values in its rows from \(first) on",
                expected: check.rule == .scale ? BlockScales.expectation : "finite numbers",
                hint: "the file is damaged or was badly converted; download it again")
        }
        guard tensor.divisor > 1, !ExactDivision(source.type, by: tensor.divisor).apply(piece) else { return }
        throw CheckpointError(
            "\(place) holds values too small to be divided by \(tensor.divisor) without loss in "
                + "\(source.type.rawValue), in its rows from \(first) on",
            hint: "use smaller factors, or store the checkpoint in a type with a wider exponent (BF16, F32)")
    }

    /// The rows that were read last, each vector of each row repeated.
    private func repeated(_ tensor: GrownTensor, count: Int) -> UnsafeRawBufferPointer {
        let vectorBytes = tensor.sourceColumns / tensor.vectors * tensor.elementBytes
        guard var from = UnsafeRawPointer(original.baseAddress), var to = grown.baseAddress else { return .init(grown) }
        for _ in 0..<count * tensor.vectors {
            for _ in 0..<tensor.columnCopies {
                memcpy(to, from, vectorBytes)
                to += vectorBytes
            }
            from += vectorBytes
        }
        return UnsafeRawBufferPointer(rebasing: grown[..<(count * tensor.rowBytes)])
    }
}
