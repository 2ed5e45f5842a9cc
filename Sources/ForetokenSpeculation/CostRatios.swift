/// What steps and drafts take, in undrafted steps of one text; 0 where that is not known.
struct CostRatios {
    /// Steps by rows − 1; the first is 1 where anything is known.
    var rows = InlineArray<16, Double>(repeating: 0)
    /// First drafts after undrafted rounds, first drafts after drafting ones, and further drafts.
    var coldDraft = 0.0
    var warmDraft = 0.0
    var laterDraft = 0.0

    var isEmpty: Bool { rows[0] == 0 }

    /// Most drafts whose step is known.
    var mostDrafts: Int { rows.indices.last { rows[$0] > 0 } ?? 0 }

    /// What is known of texts of one span of lengths, by `ContextSpan.index`.
    typealias BySpan = InlineArray<10, CostRatios>
}

/// Texts between one length and the next, which is twice as long.
struct ContextSpan: Equatable {
    static let count = 10
    /// 0: below 256 tokens; then from 256, 512, …, 65,536 on.
    private(set) var index = 0

    /// The shortest texts.
    init() {}

    init(_ context: Int) {
        while index + 1 < Self.count && context >= 256 << index { index += 1 }
    }

    /// Whether the length is clearly outside: to and fro across a bound changes nothing.
    func excludes(_ context: Int) -> Bool {
        (index > 0 && context < (128 << index) * 4 / 5)
            || (index + 1 < Self.count && context >= (256 << index) * 5 / 4)
    }
}
