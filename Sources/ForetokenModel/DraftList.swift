import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The tokens that one text's drafts are chosen from: the frequent ones of the vocabulary, the model's end tokens, and
/// the other tokens of the text so far, the newest where these are many. It depends on the text's tokens alone, and so do
/// the drafts.
final class DraftList {
    /// While more than `mostNew` of the newest `window` tokens were not on the list before they came, it is of little use,
    /// as at the start of some texts and all through those in a script whose tokens are no frequent ones: drafts are chosen
    /// from all tokens then. Up to an eighth the next token was hardly ever another new one.
    static let window = 64
    static let mostNew = 8

    private let endTokens: [Int32]
    /// Ids below this are frequent.
    private let frequent: Int32
    private let vocabulary: Int32
    /// Most tokens beside the frequent ones; the first that came, but for the end tokens, gives way to another.
    private let mostRare: Int
    /// Tokens of the text that have been taken in.
    private(set) var taken = 0
    /// Tokens that have come to the list, those that gave way included.
    private var arrivals = 0
    /// The first so many of them stay.
    private var staying = 0
    /// [mostRare]: the first arrivals that stay, and the newest of the others in turn.
    private let tokens: ScratchBuffer<Int32>
    /// Beside them: where they came; no position for an end token.
    private let positions: ScratchBuffer<Int32>
    /// [panels]: a bit for each row that is on the list beside the frequent ones.
    private let panels: ScratchBuffer<UInt32>

    /// - Parameter configuration: the model's; nil for a text that modules do not draft for.
    /// - Throws: `HardwareError` without memory.
    init(_ configuration: ModelConfiguration?, _ make: inout BufferMaker) throws {
        let vocabulary = configuration?.vocabularySize ?? 0
        self.vocabulary = Int32(vocabulary)
        endTokens = configuration?.eosTokens ?? []
        frequent = Int32(CutCoarseLMHead.frequentRows(of: vocabulary))
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let panelCount = (vocabulary + lanes - 1) / lanes
        mostRare = min(1024, vocabulary / 16)
        tokens = try make.elements(mostRare)
        positions = try make.elements(mostRare)
        panels = try make.elements(panelCount)
    }

    /// The list behind the first `count` of `text`'s tokens; takes in those that are new. Valid until the list changes.
    func rows(behind count: Int, of text: UnsafePointer<Int32>) -> ListedRows {
        if taken == 0 {
            for token in endTokens.prefix(mostRare / 2) { add(token, at: .min) }
            staying = arrivals
        }
        for i in taken..<count { add(text[i], at: Int32(i)) }
        taken = count
        return ListedRows(
            isWhole: isWhole, rare: UnsafeBufferPointer(start: tokens.pointer, count: min(arrivals, mostRare)),
            panels: UnsafePointer(panels.pointer))
    }

    private var isWhole: Bool {
        let oldest = arrivals - 1 - Self.mostNew
        return oldest >= 0 && Int(positions.pointer[place(of: oldest)]) >= taken - Self.window
    }

    private func add(_ token: Int32, at position: Int32) {
        guard token >= frequent else { return }
        precondition(token < vocabulary, "a token of the vocabulary")
        guard !isListed(token) else { return }
        let place = place(of: arrivals)
        if arrivals >= mostRare { flip(tokens.pointer[place]) }
        tokens.pointer[place] = token
        positions.pointer[place] = position
        flip(token)
        arrivals += 1
    }

    private func place(of arrival: Int) -> Int {
        arrival < mostRare ? arrival : staying + (arrival - staying) % (mostRare - staying)
    }

    private func isListed(_ token: Int32) -> Bool {
        panels.pointer[Int(token / FORETOKEN_PANEL_ROWS)] >> UInt32(token % FORETOKEN_PANEL_ROWS) & 1 == 1
    }

    private func flip(_ token: Int32) {
        panels.pointer[Int(token / FORETOKEN_PANEL_ROWS)] ^= 1 << UInt32(token % FORETOKEN_PANEL_ROWS)
    }

    /// Forgets all tokens of the text from `count` on.
    func cut(to count: Int) {
        guard count < taken else { return }
        // What gave way to a forgotten token is not known any more: everything is to be taken in again.
        let kept = arrivals > mostRare ? 0 : count
        arrivals = min(arrivals, mostRare)
        while arrivals > 0 && (kept == 0 || Int(positions.pointer[arrivals - 1]) >= kept) {
            arrivals -= 1
            flip(tokens.pointer[arrivals])
        }
        taken = kept
    }
}

/// A draft list as workers read it.
struct ListedRows: BitwiseCopyable {
    /// Whether all tokens are to be chosen from; otherwise the frequent ones and `rare`.
    let isWhole: Bool
    /// Tokens beside the frequent ones, in no order.
    let rare: UnsafeBufferPointer<Int32>
    /// [panels]: a bit for each row that is in `rare`.
    let panels: UnsafePointer<UInt32>
}
