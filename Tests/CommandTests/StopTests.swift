import Testing
import foretoken

extension EngineTests {
    @Suite struct Stopping {
        /// Stop strings that begin and end inside tokens, and lie inside accepted runs, cut at the same place at every
        /// draft length.
        @Test(arguments: ["off", "1", "8", "auto"])
        func stopStringsCutExactly(draft: String) throws {
            let whole = try Command.generate(prompt, "--max-tokens", "80", "--draft", "off").text
            let scalars = Array(whole.unicodeScalars)
            for start in [3, 17, 18, 40, 61] {
                let stop = String(String.UnicodeScalarView(scalars[start..<start + 5]))
                let answer = try Command.generate(
                    prompt, "--max-tokens", "80", "--draft", draft, "--stop", "never in there", "--stop", stop)
                #expect(answer.finish_reason == "stop")
                #expect(!answer.text.contains(stop))
                #expect(whole.hasPrefix(answer.text + stop), "cut before the first occurrence")
                let shorter = try Command.generate(
                    prompt, "--max-tokens", "\(answer.tokens.count - 1)", "--draft", "off")
                #expect(!shorter.text.contains(stop), "the last token completed the stop string")
                #expect(answer.tokens.starts(with: shorter.tokens))
            }
        }

        @Test func heldBackTextAppearsWhenItProvesHarmless() throws {
            let plain = try Command.run("generate", prompt, "--max-tokens", "30")
            let last = String(plain.output.dropLast().suffix(2))
            let held = try Command.run("generate", prompt, "--max-tokens", "30", "--stop", last + "§")
            #expect(held.output == plain.output)
        }

        @Test func endOfSequenceStopsUnlessIgnored() throws {
            let answer = try Command.generate(answeredRequest, "--chat", "--max-tokens", "400")
            #expect(answer.finish_reason == "stop")
            #expect(answer.tokens.last == 1)
            #expect(!answer.text.contains("end▁of▁sentence"))
            let longer = try Command.generate(
                answeredRequest, "--chat", "--max-tokens", "\(answer.tokens.count + 3)", "--ignore-eos")
            #expect(longer.tokens.count == answer.tokens.count + 3)
            #expect(longer.tokens.starts(with: answer.tokens))
        }
    }
}

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
