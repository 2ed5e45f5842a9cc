import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Work on one activation row after the other. A chunk's rows are divided over the workers; those of a verify window
/// take less time than a meeting of all workers, so the conductor does them.
protocol RowPhase: Phase {
    var rowCount: Int { get }
    func run(_ rows: Range<Int>, worker: Int)
}

extension RowPhase {
    func work(worker: Int, workers: Int) {
        run(rowCount * worker / workers..<rowCount * (worker + 1) / workers, worker: worker)
    }
}

extension WorkerPool {
    @inline(__always)
    func runRows<P: RowPhase>(_ phase: P) {
        if phase.rowCount > Workspace.windowRows {
            run(phase)
        } else {
            phase.run(0..<phase.rowCount, worker: 0)
        }
    }
}

/// output[row] = norm(input[row]) ⊙ weight.
struct NormPhase: RowPhase {
    let kernels: KernelTable
    let input: foretoken_rows
    let weight: UnsafePointer<Float>
    let output: foretoken_rows
    let width: Int
    let epsilon: Float
    let rowCount: Int

    static var entry: WorkerPool.Entry {
        { $0.phase(NormPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    func run(_ rows: Range<Int>, worker: Int) {
        for row in rows {
            kernels.pointee.rms_norm(
                input.base! + row * input.stride, weight, output.base! + row * output.stride, Int32(width), epsilon)
        }
    }
}

/// Normalises latents (never the rotary keys), rotates the keys, and writes both to the cache.
struct LatentPhase: RowPhase {
    let kernels: KernelTable
    /// [row][rank | rope]
    let latent: foretoken_rows
    let weight: UnsafePointer<Float>
    let epsilon: Float
    /// [row][rope / 2] each.
    let cosines: foretoken_rows
    let sines: foretoken_rows
    /// The first text's latents; those of the others differ in their pages.
    let cache: foretoken_latents
    /// The texts whose rows these are.
    let spans: UnsafePointer<RowSpan>
    let spanCount: Int
    let rowCount: Int

    static var entry: WorkerPool.Entry {
        { $0.phase(LatentPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    func run(_ rows: Range<Int>, worker: Int) {
        for i in 0..<spanCount {
            let span = spans[i]
            run(span.rows.clamped(to: rows), of: span)
        }
    }

    private func run(_ rows: Range<Int>, of span: RowSpan) {
        var cache = cache
        cache.pages = span.pages
        for row in rows {
            let values = latent.base! + row * latent.stride
            kernels.pointee.rms_norm(values, weight, values, cache.rank, epsilon)
            kernels.pointee.rotate(
                values + Int(cache.rank), cosines.base! + row * cosines.stride, sines.base! + row * sines.stride,
                cache.rope)
            kernels.pointee.store_latent(&cache, Int32(span.entry + row - span.firstRow), values)
        }
    }
}

/// Chooses every row's experts.
struct RoutePhase: RowPhase {
    let kernels: KernelTable
    let router: foretoken_router
    /// Makes the router's logits, here or before.
    let product: ProductJob
    let makesLogits: Bool
    /// [row][chosen] each.
    let chosen: UnsafeMutablePointer<Int32>
    let weights: UnsafeMutablePointer<Float>
    let scratch: WorkerScratch
    let rowCount: Int

    static var entry: WorkerPool.Entry {
        { $0.phase(RoutePhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    func run(_ rows: Range<Int>, worker: Int) {
        if makesLogits {
            for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Workspace.windowRows) {
                makeLogits(first..<min(first + Workspace.windowRows, rows.upperBound))
            }
        }
        var router = router
        let perRow = Int(router.chosen)
        let logits = product.output
        for row in rows {
            kernels.pointee.route(
                &router, logits.base! + row * logits.stride, chosen + row * perRow, weights + row * perRow,
                scratch.router(worker))
        }
    }

    /// By the narrow kernels, whose bits do not depend on how the rows are divided.
    private func makeLogits(_ rows: Range<Int>) {
        var (input, output) = (product.input, product.output)
        input.base! += rows.lowerBound * input.stride
        output.base! += rows.lowerBound * output.stride
        let linear = product.linear
        for i in 0..<linear.partCount {
            var partOutput = output
            partOutput.base! += Int(linear.parts[i].firstPanel) * Int(FORETOKEN_PANEL_ROWS)
            kernels.pointee.product(
                linear.matrix(i), 0, Int32(linear.matrix(i).pointee.panelCount), input, Int32(rows.count), partOutput,
                false)
        }
    }
}
