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
    /// Whether its rows are the vocabulary's frequent tokens, which every draft reads; otherwise none of them is, and most
    /// drafts read a few.
    public let isFrequent: Bool
}

/// An lm_head's INT8 copy. The rows of frequent tokens are cut over the teams for themselves, since most drafts read no
/// others as a whole.
public struct CutCoarseLMHead: @unchecked Sendable, BitwiseCopyable {
    /// Parts in ascending order.
    public let parts: UnsafePointer<CoarseLMHeadPart>
    /// Number of parts, one or more.
    public let partCount: Int
    /// Inputs.
    public var columns: Int { Int(parts.pointee.lmHead.columns) }
    /// Bytes of weights and scales.
    public var byteCount: Int { (0..<partCount).reduce(0) { $0 + parts[$1].lmHead.byteCount } }

    /// Ids below this are frequent tokens: the first quarter, in whole panels, of a vocabulary that is worth dividing. BPE
    /// numbers its tokens in the order in which it merged them, the most frequent first.
    public static func frequentRows(of vocabulary: Int) -> Int {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        return vocabulary < 2048 ? vocabulary : ((vocabulary + 3) / 4 + lanes - 1) / lanes * lanes
    }
}

/// An lm_head and the copy to make of it.
struct CoarseLMHeadSource: Sendable {
    let lmHead: Linear
    let coarseLMHead: CutCoarseLMHead
}

/// Makes INT8 copies of lm_heads for drafting: 70 % of an MTP step's bytes is the BF16 lm_head, and a guess needs no
/// exact logits. One scale per row, amax / 127.
enum CoarseLMHeads {
    /// Panels that lie in one part of an lm_head and in one part of its copy.
    private struct Piece {
        let lmHead: MatrixPart
        let copy: CoarseLMHeadPart
        /// Panels of the whole lm_head.
        let panels: Range<Int>
    }

    static func build(_ sources: [CoarseLMHeadSource], on pool: WorkerPool) {
        for source in sources {
            for i in 0..<source.coarseLMHead.partCount {
                let copy = source.coarseLMHead.parts[i]
                let first = Int(copy.firstPanel)
                source.lmHead.forEachPart(of: first..<first + copy.lmHead.panelCount) { part, panels in
                    build(Piece(lmHead: source.lmHead.parts[part], copy: copy, panels: panels), on: pool)
                }
            }
        }
    }

    private static func build(_ piece: Piece, on pool: WorkerPool) {
        withUnsafePointer(to: piece) { pointer in
            pool.run(
                { context, worker, workers in
                    let piece = context!.assumingMemoryBound(to: Piece.self).pointee
                    let (first, count) = (piece.panels.lowerBound, piece.panels.count)
                    let share = count * Int(worker) / Int(workers)..<count * Int(worker + 1) / Int(workers)
                    CoarseLMHeads.quantise(piece, panels: first + share.lowerBound..<first + share.upperBound)
                }, UnsafeMutableRawPointer(mutating: pointer))
        }
    }

    private static func quantise(_ piece: Piece, panels: Range<Int>) {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        var lmHead = piece.lmHead.matrix
        let copy = piece.copy.lmHead
        let columns = Int(lmHead.columns)
        let padded = copy.paddedColumns
        let values = UnsafeMutablePointer<Float>.allocate(capacity: columns * lanes)
        defer { values.deallocate() }
        let kernels = foretoken_kernels_best()!
        for panel in panels {
            let place = panel - Int(piece.copy.firstPanel)
            let codes = UnsafeMutablePointer(mutating: copy.codes!) + place * padded * lanes
            let scales = UnsafeMutablePointer(mutating: copy.scales!) + place * lanes
            kernels.pointee.decode_panels(
                &lmHead, Int32(panel) - piece.lmHead.firstPanel, 1, 0, lmHead.columns, values, lanes)
            for lane in 0..<lanes {
                var largest: Float = 0
                for k in 0..<columns { largest = max(largest, abs(values[k * lanes + lane])) }
                scales[lane] = largest / 127
                // Smaller rows than any real lm_head has: their inverse would overflow.
                let inverse = largest > 1e-30 ? 127 / largest : 0
                for k in 0..<padded {
                    let code = k < columns ? (values[k * lanes + lane] * inverse).rounded(.toNearestOrEven) : 0
                    codes[lane * padded + k] = Int8(code)
                }
            }
        }
    }
}
