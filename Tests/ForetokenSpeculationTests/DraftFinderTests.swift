import CForetokenAllocationProbe
import ForetokenSpeculation
import ForetokenTestSupport
import Glibc
import Testing

/// Drafts that are looked up in more than the text itself.
@Suite struct DraftFinderTests {
    private func random(_ count: Int, below vocabulary: Int32 = 100_000, seed: UInt64) -> [Int32] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Int32.random(in: 0..<vocabulary, using: &random) }
    }

    /// What is found for every place of a text behind its prompt.
    private func found(
        _ prompt: [Int32], _ answer: [Int32], prediction: LookupBase? = nil, others: [LookupBase] = []
    ) -> [LookupMatch?] {
        (prompt + answer).withUnsafeBufferPointer { tokens in
            let finder = DraftFinder(
                TextLookup(tokens.baseAddress!, capacity: tokens.count), count: prompt.count, prediction: prediction,
                others: others)
            return (prompt.count...tokens.count).map { end in
                finder.grow(to: end) { _, _ in }
                return finder.match(end: end)
            }
        }
    }

    /// Tokens of the answer that were found before they came.
    private func hits(_ prompt: [Int32], _ answer: [Int32], prediction: LookupBase? = nil) -> [Bool] {
        zip(found(prompt, answer, prediction: prediction), answer).map { $0?.token == $1 }
    }

    // MARK: Other texts

    /// The same by looking everywhere: the longest match of any text, counted up to 32, from three tokens on.
    private func longest(_ query: [Int32], _ texts: [[Int32]]) -> Int {
        texts.flatMap { text in
            text.indices.map { place in zip(text[..<place].reversed(), query.reversed()).prefix { $0 == $1 }.count }
        }.filter { $0 >= 3 }.map { min($0, TextLookup.longestMatch) }.max() ?? 0
    }

    /// Places of the same tokens are many in texts of few tokens, so that the newest need not be the longest: what is found is
    /// true, and there is something wherever there is anything to find.
    @Test(arguments: [2, 5, 30, 1000]) func asSearchingEverywhere(vocabulary: Int32) {
        let texts = [0, 1, 2, 3, 40, 17, 0, 60].enumerated().map {
            random($1, below: vocabulary, seed: UInt64($0))
        }
        let query = random(50, below: vocabulary, seed: 9) + texts[7][10..<50] + texts[4]
        let base = LookupBase(texts)
        let own = found([], query)
        var beyond = 0
        for (end, match) in found([], query, others: [base]).enumerated() {
            let before = Array(query[..<end])
            let most = longest(before, texts)
            guard let match else {
                #expect(most == 0 && own[end] == nil, "\(end)")
                continue
            }
            guard match.length > own[end]?.length ?? 0 else {
                #expect(match == own[end], "the text itself comes first")
                continue
            }
            beyond += 1
            #expect(match.length <= most)
            let sought = before.suffix(match.length) + [match.token]
            #expect(texts.contains { text in text.indices.contains { text[$0...].starts(with: sought) } })
        }
        #expect(beyond > 30)
    }

    @Test func nothingMatchesAcrossTexts() {
        let text = random(40, seed: 1)
        let base = LookupBase([Array(text[..<20]), Array(text[20...])])
        let found = found([], text + text, others: [base])
        // Neither the follower of a text's end, nor a match that begins before its beginning.
        #expect(found[20] == nil && found[21] == nil && found[22] == nil)
        #expect(found[23]?.length == 3 && found[23]?.token == text[23] && found[39]?.length == 19)
        #expect(found[19]?.token == text[19])
    }

    @Test func theLongestWins() {
        let tail = random(8, seed: 2)
        func ending(_ count: Int, _ follower: Int32) -> [Int32] { [-5] + tail.suffix(count) + [follower] }
        func first(own: Int, predicted: Int, other: Int, another: Int) -> Int32? {
            let prompt = ending(own, 1) + [7, 7, 7] + tail
            // The prediction is found where the answer has lost it.
            let prediction = LookupBase([[9] + ending(predicted, 2)])
            return found(
                Array(prompt.dropLast(7)), Array(prompt.suffix(7)), prediction: prediction,
                others: [LookupBase([ending(other, 3)]), LookupBase([ending(another, 4)])]
            ).last!?.token
        }
        #expect(first(own: 5, predicted: 5, other: 5, another: 5) == 2)
        #expect(first(own: 5, predicted: 4, other: 5, another: 5) == 1)
        #expect(first(own: 3, predicted: 4, other: 6, another: 6) == 3)
        #expect(first(own: 3, predicted: 4, other: 6, another: 7) == 4)
        #expect(first(own: 7, predicted: 6, other: 6, another: 6) == 1)
    }

    // MARK: Predictions

    @Test func aPredictionIsFollowedFromItsBeginning() {
        let text = random(50, seed: 3)
        let matches = found(random(10, seed: 4), text, prediction: LookupBase([text]))
        for (place, match) in matches.dropLast().enumerated() {
            #expect(match?.token == text[place] && match?.isPredicted == true, "\(place)")
            #expect(match?.length == min(5 + place, 32), "\(place)")
        }
        #expect(matches.last! == nil, "it is over")
        #expect(found([1], [2, 3], prediction: LookupBase([])) == [nil, nil, nil])
    }

    /// Two tokens behind a change the prediction is followed again, whatever was changed, though there are other places alike.
    @Test func itIsFoundAgainBehindChanges() {
        let text: [Int32] = (100..<108).flatMap { (line: Int32) -> [Int32] in [line, 1, 2, 3, 4, 5, 6, 7, 8, 9] }
        let prediction = LookupBase([text])
        for (name, removed, inserted) in [
            ("one for one", 1, 1), ("removed", 2, 0), ("inserted", 0, 12), ("longer", 1, 3), ("shorter", 4, 1),
        ] {
            var answer = text
            answer.replaceSubrange(33..<33 + removed, with: (0..<inserted).map { 900 + Int32($0) })
            let hits = hits([77], answer, prediction: prediction)
            #expect(hits[..<33].allSatisfy { $0 } && !hits[33], "\(name)")
            #expect(hits[(33 + inserted + 2)...].allSatisfy { $0 }, "\(name): \(hits)")
            if removed == inserted { #expect(hits[34...].allSatisfy { $0 }, "\(name)") }
        }
    }

    /// What a text repeats with other values in it is followed through them, as a prediction is.
    @Test func aRepetitionIsFollowedThroughChanges() {
        let record: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        var next = record
        (next[6], next[7]) = (901, 902)
        let hits = hits(record + record, next)
        #expect(hits.indices.filter { !hits[$0] } == [6, 7], "\(hits)")
        let matches = found(record + record, next)
        #expect(matches[..<12].map { $0?.isResumed == true } == (0..<12).map { (7..<12).contains($0) })
        #expect(matches[7...11].map { $0?.length } == [0, 0, 1, 2, 3])
    }

    @Test func itIsFoundAgainFarAway() {
        let text = random(500, seed: 5)
        let answer = Array(text[..<20] + text[400...] + text[100..<200])
        let hits = hits([77], answer, prediction: LookupBase([text]))
        #expect(hits.count { !$0 } <= 8 && hits[24..<120].allSatisfy { $0 } && hits[124...].allSatisfy { $0 })
    }

    @Test func draftsAreFollowedToo() {
        let (prompt, text) = (random(10, seed: 6), random(30, seed: 7))
        let drafts = text[..<4] + [5] + text[5..<12]
        (prompt + drafts).withUnsafeBufferPointer { tokens in
            let finder = DraftFinder(
                TextLookup(tokens.baseAddress!, capacity: 40), count: 10, prediction: LookupBase([text]), others: [])
            for round in 0..<2 {
                finder.grow(to: 10 + round) { found, token in #expect(found.token == token) }
                for end in 10 + round...13 { #expect(finder.match(end: end)?.token == text[end - 10]) }
                #expect(finder.match(end: 14)?.token == text[4])
                let resumed = finder.match(end: 15)
                #expect(resumed?.length == 0 && resumed?.isResumed == true, "one token may have been replaced")
                for end in 15...21 { #expect(finder.match(end: end)?.token == text[end - 10], "\(end)") }
            }
        }
    }

    // MARK: Cost

    /// Nanoseconds of this thread, whatever else the machine does.
    private func time(_ work: () -> Void) -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
        }
        let start = now()
        work()
        return now() - start
    }

    /// Prints what a place takes where the text, its prediction and two more have 128k tokens each.
    @Test func smallAndWithoutAllocations() {
        let count = 131_072
        let text = random(count, seed: 11)
        // A difference every 40 tokens, and a second half that is nowhere else.
        var answer = text[..<(count / 2)] + random(count / 2, seed: 15)
        for place in stride(from: 20, to: count, by: 40) { answer[place] = 7 }
        #expect(LookupBase.byteCount([count]) <= 32 * count)
        #expect(LookupBase.byteCount(.init(repeating: 10, count: count / 10)) <= 35 * count, "borders are tokens, too")
        var others = [LookupBase([random(9, seed: 13), random(count, seed: 14)])]
        let building = time { others.append(LookupBase([random(count, seed: 12)])) }
        let prediction = LookupBase([text])
        answer.withUnsafeBufferPointer { tokens in
            func read(_ finder: DraftFinder) -> (held: Int, time: Double) {
                var held = 0
                let time = time { finder.grow(to: count) { if $0.token == $1 { held += 1 } } }
                return (held, time / Double(count))
            }
            func finder(_ prediction: LookupBase?, _ others: [LookupBase]) -> DraftFinder {
                DraftFinder(
                    TextLookup(tokens.baseAddress!, capacity: count), count: 1, prediction: prediction, others: others)
            }
            let (plain, full) = (finder(nil, []), finder(prediction, others))
            let alone = read(plain)
            let before = foretoken_allocation_count()
            let all = read(full)
            #expect(foretoken_allocation_count() == before)
            #expect(alone.held < count / 20 && all.held > count / 2 * 9 / 10)
            print(
                "look-up, ns a token taken in: \(alone.time) in the text, \(all.time) in three more; ",
                "\(building / Double(count)) to make one of them")
        }
    }
}
