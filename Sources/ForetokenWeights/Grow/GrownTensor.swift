/// One tensor of an enlarged checkpoint: a tensor of the original, repeated along its dimensions and divided by a power
/// of two. A vector counts as a matrix of one row.
struct GrownTensor {
    /// What a step does with it.
    enum Role {
        /// One row of it is looked up.
        case embedding
        /// All of it is read.
        case shared
        /// It is read when the router chooses its expert.
        case expert
        /// All of it is read; an MTP module without an lm_head reads the main model's.
        case lmHead
    }

    /// Its new name.
    let name: String
    /// What it is made of.
    let source: TensorInfo
    /// How often all rows are repeated, one below the other.
    let rowCopies: Int
    /// How often each vector of a row is repeated, side by side.
    let columnCopies: Int
    /// Vectors of one length in a row that are repeated each on its own: 2 for `eh_proj`, whose inputs are two vectors.
    let vectors: Int
    /// What every element is divided by.
    let divisor: Int
    /// Whether all elements become zero instead.
    let isZero: Bool
    /// What a step does with it.
    let role: Role
    /// The MTP module it belongs to; nil for the main model.
    let module: Int?
    /// Bytes of one row after growth.
    let rowBytes: Int
    /// Bytes of the whole tensor after growth.
    let byteCount: Int

    /// Elements of a row of the original.
    var sourceColumns: Int { source.shape.last ?? 1 }
    /// Rows of the original.
    var sourceRows: Int { source.shape.count > 1 ? source.shape[0] : 1 }
    /// Bytes of one element.
    var elementBytes: Int { source.type.bits / 8 }

    /// Its new dimensions.
    var shape: [Int] {
        source.shape.count > 1
            ? [sourceRows * rowCopies, sourceColumns * columnCopies] : [sourceColumns * columnCopies]
    }

    /// - Throws: `CheckpointError` when the result would be larger than any file.
    init(
        name: String, source: TensorInfo, rowCopies: Int, columnCopies: Int, vectors: Int, divisor: Int, isZero: Bool,
        role: Role, module: Int?
    ) throws {
        self.name = name
        self.source = source
        self.rowCopies = rowCopies
        self.columnCopies = columnCopies
        self.vectors = vectors
        self.divisor = divisor
        self.isZero = isZero
        self.role = role
        self.module = module
        let factors = [source.range.count, rowCopies, columnCopies]
        guard let bytes = factors.product, bytes <= GrownTensor.maximumBytes else {
            throw CheckpointError(
                "tensor \(shown(name)) would become too large", expected: "at most \(GrownTensor.maximumBytes) bytes",
                hint: "use smaller factors")
        }
        byteCount = bytes
        rowBytes = bytes / (rowCopies * (source.shape.count > 1 ? source.shape[0] : 1))
    }

    /// Far beyond any disk, and small enough for sums of a million of them.
    private static let maximumBytes = 1 << 42
}

extension [Int] {
    /// The product of numbers that are not negative; nil when it overflows.
    fileprivate var product: Int? {
        reduce(1) { product, factor in
            product.flatMap {
                let (result, overflow) = $0.multipliedReportingOverflow(by: factor)
                return overflow ? nil : result
            }
        }
    }
}
