/// Looks for what may follow a text: where it has been before as it is now, how the prediction of its answer goes on, and
/// where other texts have been so. The longest match wins; of equal ones the prediction's, then the text's own. It goes
/// by true tokens and the drafts behind them alone. Looking allocates nothing.
package final class DraftFinder {
    private let text: TextLookup
    private let prediction: LookupBase?
    private let others: [LookupBase]
    /// Where the text is in its own past and in its prediction, and where drafts behind it have got to: those up to
    /// `draftEnd`.
    private var places = (own: FollowedPlace.nowhere, prediction: FollowedPlace.beginning)
    private var draftPlaces = (own: FollowedPlace.nowhere, prediction: FollowedPlace.beginning)
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
        draftPlaces = places
        draftEnd = text.count
        while text.count < end {
            if let found = match(end: text.count) { observe(found, text.tokens[text.count]) }
            text.grow(to: text.count + 1)
            advance(to: text.count)
            places = draftPlaces
        }
    }

    /// What was found for the place behind the text's first `end` tokens, those behind the taken-in ones being drafts. A
    /// round asks for one place after the other.
    package func match(end: Int) -> LookupMatch? {
        advance(to: end)
        let hashes = text.hashes(end: end)
        let place = text.place(end: end, hashes)
        var best = place.map(text.match)
        if let followed = draftPlaces.own.match(in: text), followed.isResumed {
            if place?.follower == draftPlaces.own.next {
                best?.isResumed = true
            } else if followed.length >= best?.length ?? 0 {
                best = followed
            }
        }
        let predicted = prediction.flatMap { draftPlaces.prediction.match(in: $0) }
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

    /// Follows what the text goes along with as far as `end`.
    private func advance(to end: Int) {
        while draftEnd < end {
            draftEnd += 1
            let hashes = text.hashes(end: draftEnd)
            let behind = text.tokens + draftEnd
            draftPlaces.own.take(behind, known: draftEnd, hashes, in: text)
            if let prediction { draftPlaces.prediction.take(behind, known: draftEnd, hashes, in: prediction) }
        }
    }
}
