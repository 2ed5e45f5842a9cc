import Testing

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
