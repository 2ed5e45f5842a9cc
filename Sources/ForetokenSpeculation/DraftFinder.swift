/// Looks for what may follow a text: where it has been before as it is now, how the prediction of its answer goes on, and
/// where other texts have been so. The longest match wins; of equal ones the prediction's, then the text's own. It goes
/// by true tokens and the drafts behind them alone. Looking allocates nothing.
package final class DraftFinder {
    private let text: TextLookup
    private let prediction: LookupBase?
    private let others: [LookupBase]
    /// Where the answer is in its prediction, and where drafts behind it have got to: those up to `draftEnd`.
    private var place = PredictionPlace()
    private var draftPlace = PredictionPlace()
    private var draftEnd = 0

    /// - Parameters:
    ///   - text: of the sequence that is continued.
    ///   - count: its tokens: the answer begins behind them.
    ///   - prediction: what the answer is expected to be like.
    package init(_ text: TextLookup, count: Int, prediction: LookupBase?, others: [LookupBase]) {
        self.text = text
        self.prediction = prediction
        self.others = others
        text.grow(to: count)
        draftEnd = count
    }

    /// Takes in the text's tokens up to `end`.
    /// - Parameter observe: told of each of them what had been found for its place, if anything.
    package func grow(to end: Int, observe: (_ found: LookupMatch, _ token: Int32) -> Void) {
        draftPlace = place
        draftEnd = text.count
        while text.count < end {
            if let found = match(end: text.count) { observe(found, text.tokens[text.count]) }
            text.grow(to: text.count + 1)
            advance(to: text.count)
            place = draftPlace
        }
    }

    /// What was found for the place behind the text's first `end` tokens, those behind the taken-in ones being drafts. A
    /// round asks for one place after the other.
    package func match(end: Int) -> LookupMatch? {
        advance(to: end)
        let hashes = text.hashes(end: end)
        var best = text.match(end: end, hashes)
        let predicted = prediction.flatMap { draftPlace.match(in: $0) }
        if let predicted, predicted.length >= best?.length ?? 0 { best = predicted }
        for base in others {
            let length = best?.length ?? 0
            if length == TextLookup.longestMatch { break }
            let place = base.place(text.tokens + end, known: end, hashes, longerThan: length)
            if let place, place.length > length { best = base.match(place) }
        }
        if let predicted, predicted.token == best?.token { best?.isPredicted = true }
        return best
    }

    /// Follows the prediction as far as `end`.
    private func advance(to end: Int) {
        guard let prediction else { return }
        while draftEnd < end {
            draftEnd += 1
            draftPlace.take(text.tokens + draftEnd, known: draftEnd, in: prediction)
        }
    }
}
