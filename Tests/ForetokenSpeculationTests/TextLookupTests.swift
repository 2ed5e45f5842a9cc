import CForetokenAllocationProbe
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// The index of a text against a search through all of it.
@Suite struct TextLookupTests {
    /// The same by looking everywhere.
    private func naive(_ text: [Int32], known: Int) -> LookupMatch? {
        for span in [16, 8, 5, 3] where span < text.count {
            let end = text[(text.count - span)...]
            // Where the same tokens end and their follower is a true one, the newest first.
            let places = (span..<max(span, min(known, text.count))).filter { text[($0 - span)..<$0] == end }.reversed()
            guard let newest = places.first else { continue }
            let seen = places.prefix { text[$0] == text[newest] }.count
            var length = span
            while length < min(newest, TextLookup.longestMatch)
                && text[newest - length - 1] == text[text.count - length - 1]
            {
                length += 1
            }
            return LookupMatch(token: text[newest], length: length, timesSeen: min(seen, 7))
        }
        return nil
    }

    /// Compares at every length of the text, and behind drafts.
    private func expectSame(_ text: [Int32], mask: UInt64 = .max, _ name: String) {
        text.withUnsafeBufferPointer { tokens in
            let lookup = TextLookup(tokens.baseAddress!, capacity: text.count, mask: mask)
            var found = 0
            for end in 0...text.count {
                lookup.grow(to: end)
                let match = lookup.match(end: end)
                #expect(match == naive(Array(text[..<end]), known: end), "\(name), \(end) tokens")
                if match != nil { found += 1 }
                for drafts in 1...4 where end + drafts <= text.count {
                    #expect(
                        lookup.match(end: end + drafts) == naive(Array(text[..<(end + drafts)]), known: end),
                        "\(name), \(end) tokens and \(drafts) drafts")
                }
            }
            #expect(found > 0, "\(name): nothing to be found")
        }
    }

    private func random(_ count: Int, below vocabulary: Int32, seed: UInt64) -> [Int32] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Int32.random(in: 0..<vocabulary, using: &random) }
    }

    /// A text that is copied with an error here and there.
    private func copied(_ text: [Int32], times: Int, errors: Float, seed: UInt64) -> [Int32] {
        var random = SeededGenerator(seed: seed)
        return text
            + (0..<times).flatMap { _ in
                text.map { random.uniform() < errors ? Int32.random(in: 0..<99, using: &random) : $0 }
            }
    }

    @Test func asSearchingEverywhere() {
        for vocabulary: Int32 in [1, 2, 3, 7] {
            expectSame(random(300, below: vocabulary, seed: UInt64(vocabulary)), "random of \(vocabulary)")
        }
        for period in [1, 2, 3, 5, 16, 17, 40] {
            let one = random(period, below: 5000, seed: UInt64(period))
            expectSame((0..<200).map { one[$0 % period] }, "period \(period)")
        }
        expectSame(copied(random(80, below: 100_000, seed: 3), times: 3, errors: 0.05, seed: 4), "copies")
        expectSame([.max, .min, -1, 0, .max, .min, -1, 0, .max, .min, -1], "odd ids")
    }

    @Test func collisionsAreNoMatches() {
        let text = copied(random(50, below: 100_000, seed: 5), times: 2, errors: 0.1, seed: 6)
        // One hash for all; every hash in one place; places of their own that all look alike.
        for mask: UInt64 in [0, 0xFF, 0xFFFF_FFFF_0000_0000, 7 << 61] { expectSame(text, mask: mask, "mask \(mask)") }
    }

    /// More of one hash than slots are looked through: some places are not found, but what is found is true.
    @Test func aTextMadeToCollideIsServed() {
        let text = copied(random(1000, below: 100_000, seed: 7), times: 1, errors: 0, seed: 8)
        text.withUnsafeBufferPointer { tokens in
            let lookup = TextLookup(tokens.baseAddress!, capacity: text.count, mask: 0)
            var found = 0
            for end in text.indices {
                lookup.grow(to: end)
                guard let match = lookup.match(end: end) else { continue }
                #expect(match.token == text[end])
                found += 1
            }
            #expect((200..<400).contains(found), "\(found)")
        }
    }

    @Test func clearedItIsAsNew() {
        let text = copied(random(40, below: 9, seed: 9), times: 2, errors: 0.1, seed: 10)
        text.withUnsafeBufferPointer { tokens in
            let lookup = TextLookup(tokens.baseAddress!, capacity: text.count)
            lookup.grow(to: text.count)
            lookup.clear()
            for end in 0...text.count {
                lookup.grow(to: end)
                #expect(lookup.match(end: end) == naive(Array(text[..<end]), known: end))
            }
        }
    }

    /// In 128k tokens, half of which repeat the other half: prints what a round takes.
    @Test func smallAndWithoutAllocations() {
        let count = 131_072
        let text = copied(random(count / 2, below: 129_280, seed: 11), times: 1, errors: 0.02, seed: 12)
        text.withUnsafeBufferPointer { tokens in
            let lookup = TextLookup(tokens.baseAddress!, capacity: count)
            #expect(TextLookup.byteCount(capacity: count) <= 32 * count)
            lookup.grow(to: count * 3 / 4)
            let before = foretoken_allocation_count()
            var held = 0
            let growing = ContinuousClock().measure {
                for end in lookup.count..<count - 16 {
                    lookup.grow(to: end)
                    if lookup.match(end: end)?.token == tokens[end] { held += 1 }
                }
            }
            var found = 0
            let finding = ContinuousClock().measure {
                lookup.grow(to: count - 16)
                for end in count - 16...count where lookup.match(end: end) != nil { found += 1 }
            }
            #expect(foretoken_allocation_count() == before)
            #expect(held > count / 4 * 7 / 10 && found > 0)
            print("look-up at 128k tokens: \(growing / (count / 4)) a token taken in, \(finding / 17) a draft")
        }
    }
}
