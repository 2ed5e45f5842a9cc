import CForetokenKernels
import ForetokenHardware

/// An lm_head's INT8 copy, as the kernels read it. Plain data in the model's arena.
public typealias CoarseLMHead = foretoken_coarse_lm_head

extension CoarseLMHead: @retroactive @unchecked Sendable {}

extension CoarseLMHead {
    /// Columns as stored: padded to whole column groups of 128.
    public var paddedColumns: Int {
        let size = Int(FORETOKEN_SCALE_BLOCK)
        return (Int(columns) + size - 1) / size * size
    }

    /// Panels of 32 rows.
    public var panelCount: Int { (Int(rows) + Int(FORETOKEN_PANEL_ROWS) - 1) / Int(FORETOKEN_PANEL_ROWS) }

    /// Bytes of weights and scales.
    public var byteCount: Int { panelCount * Int(FORETOKEN_PANEL_ROWS) * (paddedColumns + 4) }
}

/// Consecutive panels of an lm_head's copy, in the memory of one node.
public struct CoarseLMHeadPart: BitwiseCopyable, Sendable {
    /// The part's panels; its rows are those of the part.
    public let lmHead: CoarseLMHead
    /// Panel of the whole lm_head at which the part begins.
    public let firstPanel: Int32
    /// The team that reads it.
    public let team: Int32
}

/// An lm_head's INT8 copy, cut like it.
public struct CutCoarseLMHead: @unchecked Sendable, BitwiseCopyable {
    /// Parts in ascending order.
    public let parts: UnsafePointer<CoarseLMHeadPart>
    /// Number of parts, one or more.
    public let partCount: Int
    /// Inputs.
    public var columns: Int { Int(parts.pointee.lmHead.columns) }
    /// Bytes of weights and scales.
    public var byteCount: Int { (0..<partCount).reduce(0) { $0 + parts[$1].lmHead.byteCount } }
}

/// An lm_head and the copy to make of it.
struct CoarseLMHeadSource: Sendable {
    let lmHead: Linear
    let coarseLMHead: CutCoarseLMHead
}

/// Makes INT8 copies of lm_heads for drafting: 70 % of an MTP step's bytes is the BF16 lm_head, and a guess needs no
/// exact logits. One scale per row, amax / 127.
enum CoarseLMHeads {
    /// One part of an lm_head and of its copy.
    private struct PartSource {
        let lmHead: PackedMatrix
        let copy: CoarseLMHead
    }

    static func build(_ sources: [CoarseLMHeadSource], on pool: WorkerPool) {
        for source in sources {
            for i in 0..<source.coarseLMHead.partCount {
                let part = PartSource(
                    lmHead: source.lmHead.parts[i].matrix, copy: source.coarseLMHead.parts[i].lmHead)
                withUnsafePointer(to: part) { pointer in
                    pool.run(
                        { context, worker, workers in
                            let part = context!.assumingMemoryBound(to: PartSource.self).pointee
                            let panels = part.copy.panelCount
                            let range = panels * Int(worker) / Int(workers)..<panels * Int(worker + 1) / Int(workers)
                            CoarseLMHeads.quantise(part.lmHead, into: part.copy, panels: range)
                        }, UnsafeMutableRawPointer(mutating: pointer))
                }
            }
        }
    }

    private static func quantise(_ lmHead: PackedMatrix, into copy: CoarseLMHead, panels: Range<Int>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let columns = Int(lmHead.columns)
        let padded = copy.paddedColumns
        let values = UnsafeMutablePointer<Float>.allocate(capacity: columns * lanes)
        defer { values.deallocate() }
        let codes = UnsafeMutablePointer(mutating: copy.panels!)
        let scales = UnsafeMutablePointer(mutating: copy.scales!)
        let kernels = foretoken_kernels_best()!
        var lmHead = lmHead
        for panel in panels {
            kernels.pointee.decode_panels(&lmHead, Int32(panel), 1, 0, lmHead.columns, values, lanes)
            let panelCodes = codes + panel * padded * lanes
            for lane in 0..<lanes {
                var largest: Float = 0
                for k in 0..<columns { largest = max(largest, abs(values[k * lanes + lane])) }
                scales[panel * lanes + lane] = largest / 127
                // Smaller rows than any real lm_head has: their inverse would overflow.
                let inverse = largest > 1e-30 ? 127 / largest : 0
                for k in 0..<padded {
                    let code = k < columns ? (values[k * lanes + lane] * inverse).rounded(.toNearestOrEven) : 0
                    panelCodes[(k / 4 * lanes + lane) * 4 + k % 4] = Int8(code)
                }
            }
        }
    }
}
