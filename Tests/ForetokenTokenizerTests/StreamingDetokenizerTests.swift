import ForetokenTokenizer
import Testing

@Suite struct StreamingDetokenizerTests {
    /// One id for each byte: the hardest way to write any text.
    private func ids(_ bytes: some Sequence<UInt8>, _ tokenizer: Tokenizer) throws -> [Int32] {
        let single = (0..<Int32(tokenizer.vocabularyCount)).reduce(into: [UInt8: Int32]()) { table, id in
            if let bytes = tokenizer.bytes(of: id), bytes.count == 1, let byte = bytes.first { table[byte] = id }
        }
        return try bytes.map { try #require(single[$0]) }
    }

    @Test func neverHandsOutHalfACharacter() throws {
        let tokenizer = try demoTokenizer.get()
        var stream = StreamingDetokenizer(tokenizer)
        let text = "aé中😀\r\n👩‍👧"
        var output: [UInt8] = []
        for id in try ids(text.utf8, tokenizer) {
            let part = stream.push(id)
            #expect(String(validating: part, as: UTF8.self) != nil)
            output += part
        }
        #expect(output == Array(text.utf8))
        #expect(stream.finish().isEmpty)
    }

    @Test func brokenBytesBecomeReplacementCharacters() throws {
        let tokenizer = try demoTokenizer.get()
        let choices: [UInt8] = [0x61, 0x80, 0x9F, 0xA0, 0xBF, 0xC3, 0xE0, 0xE4, 0xED, 0xF0, 0xF4, 0xF5]
        var random = Repeatable(state: 7)
        for _ in 0..<300 {
            let bytes = (0..<12).map { _ in choices[Int.random(in: choices.indices, using: &random)] }
            var stream = StreamingDetokenizer(tokenizer)
            var output: [UInt8] = []
            for id in try ids(bytes, tokenizer) { stream.push(id, into: &output) }
            output += stream.finish()
            #expect(output == Array(String(decoding: bytes, as: UTF8.self).utf8), "\(bytes)")
        }
    }

    @Test func specialTokensAreLeftOut() throws {
        let tokenizer = try demoTokenizer.get()
        var stream = StreamingDetokenizer(tokenizer)
        let ids = try tokenizer.encode("<｜begin▁of▁sentence｜>a<｜Assistant｜><｜end▁of▁sentence｜>") + [123_456, -1]
        #expect(ids.flatMap { stream.push($0) } == Array("a<｜Assistant｜>".utf8))
    }

    @Test func finishBeginsANewText() throws {
        let tokenizer = try demoTokenizer.get()
        var stream = StreamingDetokenizer(tokenizer)
        for id in try ids([0xE4, 0xBD], tokenizer) { #expect(stream.push(id).isEmpty) }
        #expect(stream.finish() == Array("\u{FFFD}".utf8))
        #expect(try ids([0x62], tokenizer).flatMap { stream.push($0) } == [0x62])
        #expect(stream.finish().isEmpty)
    }
}
