import ForetokenHardware
import ForetokenModel

/// Measures the machine without a model: memory, OpenBLAS, and panel products beside them.
final class RoofBench {
    /// Activation rows of panel products.
    static let productRows = [1, 2, 3, 4, 6, 8, 12, 16]

    /// By thread count.
    private let readRoofs: [ReadRoof]
    private let productRoof: ProductRoof
    private let products: [PanelProducts]
    private let threadCounts: [Int]
    private var reading: [[Double]]
    private var multiplying: [[Double]]
    /// By format and rows.
    private var productTimes: [[[Double]]]

    /// Bytes of one format's matrices: what the last-level caches hold cannot serve them.
    static func setBytes(cacheBytes: Int) -> Int { max(128 << 20, 2 * cacheBytes) }

    /// Bytes of memory that all of it takes.
    static func byteCount(cacheBytes: Int, workers: Int) -> Int {
        BenchReport.Roofs.threadCounts(workers).count * ReadRoof.byteCount(cacheBytes: cacheBytes)
            + PanelFormat.all.count * (setBytes(cacheBytes: cacheBytes) + (64 << 20))
    }

    init(pool: WorkerPool, instructionSet: String, cacheBytes: Int) throws {
        let threadCounts = BenchReport.Roofs.threadCounts(pool.workerCount)
        self.threadCounts = threadCounts
        readRoofs = try threadCounts.map { try ReadRoof(pool: pool, threads: $0, cacheBytes: cacheBytes) }
        productRoof = try ProductRoof(pool: pool)
        products = try PanelFormat.all.map {
            try PanelProducts(
                $0, byteCount: Self.setBytes(cacheBytes: cacheBytes), pool: pool, instructionSet: instructionSet)
        }
        reading = .init(repeating: [], count: threadCounts.count)
        multiplying = reading
        productTimes = .init(repeating: .init(repeating: [], count: Self.productRows.count), count: products.count)
    }

    /// A few samples of each roof.
    func timeRoofs() -> Bool {
        for _ in 0..<Self.samples {
            for (i, threads) in threadCounts.enumerated() {
                reading[i].append(readRoofs[i].measure())
                multiplying[i].append(productRoof.measure(threads: threads))
            }
        }
        return true
    }

    private static let samples = 3

    /// One sample of each width of a format.
    func timeProducts(_ format: Int) -> Bool {
        for (i, rows) in Self.productRows.enumerated() {
            productTimes[format][i].append(products[format].measure(rows: rows))
        }
        return true
    }

    /// Formats that products are timed in.
    var formatCount: Int { products.count }

    /// What was measured so far.
    var roofs: BenchReport.Roofs {
        var roofs = BenchReport.Roofs()
        for (i, threads) in threadCounts.enumerated() where !reading[i].isEmpty {
            roofs.read.append(.init(threads: threads, perSecond: median(reading[i])))
            roofs.sgemm.append(.init(threads: threads, perSecond: median(multiplying[i])))
        }
        return roofs
    }

    /// What was measured so far, beside those roofs.
    func results(_ roofs: BenchReport.Roofs) -> [BenchReport.Product] {
        zip(products, productTimes).flatMap { product, widths in
            zip(Self.productRows, widths).filter { !$0.1.isEmpty }.map { rows, samples in
                let time = median(samples)
                let bytes = Double(product.byteCount) / time * 1e9
                let operations = product.operations(rows: rows) / time * 1e9
                return BenchReport.Product(
                    format: product.format.name, rows: rows, bytesPerSecond: bytes, operationsPerSecond: operations,
                    readShare: roofs.fullRead.map { bytes / $0 }, sgemmShare: roofs.fullSgemm.map { operations / $0 })
            }
        }
    }
}

extension BenchReport.Roofs {
    /// All counts on small machines; powers of two, and all threads, on large ones.
    package static func threadCounts(_ workers: Int) -> [Int] {
        guard workers > 8 else { return Array(1...workers) }
        var counts = [1]
        while counts.last! * 2 < workers { counts.append(counts.last! * 2) }
        return counts + [workers]
    }
}
