import CForetokenKernels
import ForetokenHardware

/// An output head's INT8 copy, as the kernels read it. Plain data in the model's arena.
public typealias DraftHead = foretoken_draft_head

extension DraftHead: @retroactive @unchecked Sendable {}

extension DraftHead {
    /// Columns as stored: padded to whole groups of 128.
    public var paddedColumns: Int {
        let group = Int(FORETOKEN_SCALE_BLOCK)
        return (Int(columns) + group - 1) / group * group
    }

    /// Panels of 32 rows.
    public var panelCount: Int { (Int(rows) + Int(FORETOKEN_PANEL_ROWS) - 1) / Int(FORETOKEN_PANEL_ROWS) }

    /// Bytes of weights and scales.
    public var byteCount: Int { panelCount * Int(FORETOKEN_PANEL_ROWS) * (paddedColumns + 4) }
}

/// A head and the copy to make of it.
struct DraftHeadSource: Sendable {
    let head: Linear
    let draftHead: DraftHead
}

/// Makes INT8 copies of output heads for drafting: 70 % of an MTP step's bytes is the BF16 head, and a guess needs no
/// exact logits. One scale per row, amax / 127.
enum DraftHeads {
    static func build(_ sources: [DraftHeadSource], on pool: WorkerPool) {
        for source in sources {
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
        let head = source.head.matrix
        let columns = Int(head.pointee.columns)
        let padded = source.draftHead.paddedColumns
        let values = UnsafeMutablePointer<Float>.allocate(capacity: columns * lanes)
        defer { values.deallocate() }
        let codes = UnsafeMutablePointer(mutating: source.draftHead.panels!)
        let scales = UnsafeMutablePointer(mutating: source.draftHead.scales!)
        let kernels = foretoken_kernels_best()!
        for panel in panels {
            kernels.pointee.decode_panels(head, Int32(panel), 1, 0, head.pointee.columns, values)
            let panelCodes = codes + panel * padded * lanes
            for lane in 0..<lanes {
                var largest: Float = 0
                for k in 0..<columns { largest = max(largest, abs(values[k * lanes + lane])) }
                scales[panel * lanes + lane] = largest / 127
                // Smaller rows than any real head has: their inverse would overflow.
                let inverse = largest > 1e-30 ? 127 / largest : 0
                for k in 0..<padded {
                    let code = k < columns ? (values[k * lanes + lane] * inverse).rounded(.toNearestOrEven) : 0
                    panelCodes[(k / 4 * lanes + lane) * 4 + k % 4] = Int8(code)
                }
            }
        }
    }
}
