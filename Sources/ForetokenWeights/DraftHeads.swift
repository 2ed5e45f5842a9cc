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

/// Consecutive panels of an output head's copy, in the memory of one node.
public struct DraftHeadPart: BitwiseCopyable, Sendable {
    /// The part's panels; its rows are those of the part.
    public let head: DraftHead
    /// Panel of the whole head at which the part begins.
    public let firstPanel: Int32
    /// The group of workers that reads it.
    public let group: Int32
}

/// An output head's INT8 copy, cut like the head.
public struct CutDraftHead: @unchecked Sendable, BitwiseCopyable {
    /// Parts in ascending order.
    public let parts: UnsafePointer<DraftHeadPart>
    /// Number of parts, one or more.
    public let partCount: Int
    /// Inputs.
    public var columns: Int { Int(parts.pointee.head.columns) }
    /// Bytes of weights and scales.
    public var byteCount: Int { (0..<partCount).reduce(0) { $0 + parts[$1].head.byteCount } }
}

/// A head and the copy to make of it.
struct DraftHeadSource: Sendable {
    let head: Linear
    let draftHead: CutDraftHead
}

/// Makes INT8 copies of output heads for drafting: 70 % of an MTP step's bytes is the BF16 head, and a guess needs no
/// exact logits. One scale per row, amax / 127.
enum DraftHeads {
    /// One part of a head and of its copy.
    private struct PartSource {
        let head: PackedMatrix
        let copy: DraftHead
    }

    static func build(_ sources: [DraftHeadSource], on pool: WorkerPool) {
        for source in sources {
            for i in 0..<source.draftHead.partCount {
                let part = PartSource(
                    head: source.head.parts[i].matrix, copy: source.draftHead.parts[i].head)
                withUnsafePointer(to: part) { pointer in
                    pool.run(
                        { context, worker, workers in
                            let part = context!.assumingMemoryBound(to: PartSource.self).pointee
                            let panels = part.copy.panelCount
                            let range = panels * Int(worker) / Int(workers)..<panels * Int(worker + 1) / Int(workers)
                            DraftHeads.quantise(part.head, into: part.copy, panels: range)
                        }, UnsafeMutableRawPointer(mutating: pointer))
                }
            }
        }
    }

    private static func quantise(_ head: PackedMatrix, into copy: DraftHead, panels: Range<Int>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let columns = Int(head.columns)
        let padded = copy.paddedColumns
        let values = UnsafeMutablePointer<Float>.allocate(capacity: columns * lanes)
        defer { values.deallocate() }
        let codes = UnsafeMutablePointer(mutating: copy.panels!)
        let scales = UnsafeMutablePointer(mutating: copy.scales!)
        let kernels = foretoken_kernels_best()!
        var head = head
        for panel in panels {
            kernels.pointee.decode_panels(&head, Int32(panel), 1, 0, head.columns, values, lanes)
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
