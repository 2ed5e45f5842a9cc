import CForetokenKernels
import ForetokenHardware

/// A head and the cheaper copy to make of it.
struct DraftHeadSource: Sendable {
    let head: PackedMatrix
    let draftHead: PackedMatrix
}

/// Makes FP8 copies of output heads for drafting: 70 % of an MTP step's bytes is the BF16 head, and a guess needs no
/// exact logits. One scale per row and 128 columns, amax / 448.
enum DraftHeads {
    static func build(_ sources: [DraftHeadSource], on pool: WorkerPool) {
        var done: Set<UnsafeRawPointer> = []
        for source in sources where done.insert(source.draftHead.panels).inserted {
            withUnsafePointer(to: source) { pointer in
                pool.run(
                    { context, worker, workers in
                        let source = context!.assumingMemoryBound(to: DraftHeadSource.self).pointee
                        let panels = source.draftHead.panelCount
                        let range = panels * Int(worker) / Int(workers)..<panels * Int(worker + 1) / Int(workers)
                        DraftHeads.quantise(source, panels: range)
                    }, UnsafeMutableRawPointer(mutating: pointer))
            }
        }
    }

    private static func quantise(_ source: DraftHeadSource, panels: Range<Int>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let columns = Int(source.head.columns)
        let groups = Int(source.draftHead.groups)
        let values = UnsafeMutablePointer<Float>.allocate(capacity: columns * lanes)
        defer { values.deallocate() }
        let codes = UnsafeMutableRawPointer(mutating: source.draftHead.panels!).assumingMemoryBound(to: UInt8.self)
        let scales = UnsafeMutablePointer(mutating: source.draftHead.scales!)
        let kernels = foretoken_kernels_best()!
        var head = source.head
        for panel in panels {
            kernels.pointee.decode_panels(&head, Int32(panel), 1, 0, head.columns, values)
            for group in 0..<groups {
                let start = group * Int(FORETOKEN_SCALE_BLOCK)
                let end = min(start + Int(FORETOKEN_SCALE_BLOCK), columns)
                for lane in 0..<lanes {
                    var largest: Float = 0
                    for k in start..<end { largest = max(largest, abs(values[k * lanes + lane])) }
                    let scale = largest > 0 ? largest / 448 : 1
                    scales[(panel * groups + group) * lanes + lane] = scale
                    for k in start..<end {
                        codes[(panel * columns + k) * lanes + lane] = foretoken_fp8_encode(values[k * lanes + lane] / scale)
                    }
                }
            }
        }
    }
}
