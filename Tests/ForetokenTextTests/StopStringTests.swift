import ForetokenText
import Testing

@Suite struct StopStringTests {
    /// Feeds pieces; returns what was shown and whether the text ended.
    private func feed(_ stops: [String], _ pieces: [String]) -> (text: String, isEnd: Bool) {
        var watcher = StopStrings(stops)
        var shown: [UInt8] = []
        for piece in pieces {
            let (text, isEnd) = watcher.push(piece.utf8)
            shown += text
            if isEnd { return (String(decoding: shown, as: UTF8.self), true) }
        }
        shown += watcher.finish()
        return (String(decoding: shown, as: UTF8.self), false)
    }

    @Test func textPassesWithoutStops() {
        #expect(feed([], ["a", "bc"]) == ("abc", false))
    }

    @Test func stopsSpreadOverPiecesAreFound() {
        #expect(feed(["END"], ["xE", "N", "Dy"]) == ("x", true))
        #expect(feed(["aab"], ["a", "a", "a", "b"]) == ("a", true))
        #expect(feed(["\n\n"], ["one\n", "two\n", "\nthree"]) == ("one\ntwo", true))
    }

    @Test func theFirstOccurrenceCounts() {
        #expect(feed(["cd", "bcde"], ["abcde"]) == ("a", true))
        #expect(feed(["cd", "b"], ["abcd"]) == ("a", true))
    }

    @Test func beginningsAreHeldBackOnlyAsLongAsNeeded() {
        var watcher = StopStrings(["abc"])
        #expect(watcher.push("xab".utf8).text == Array("x".utf8))
        #expect(watcher.push("x".utf8).text == Array("abx".utf8))
        #expect(watcher.push("a".utf8).text.isEmpty)
        #expect(watcher.finish() == Array("a".utf8))
    }
}
