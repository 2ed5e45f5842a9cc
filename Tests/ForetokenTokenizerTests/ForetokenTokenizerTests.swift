import Testing

import ForetokenTokenizer

@Suite struct DemoTokenizerTests {
    @Test func idsEqualTheReferenceLibrary() throws {
        let tokenizer = try demoTokenizer.get()
        for vector in try Files.fixture("demo-tokenizer-golden.json", as: [GoldenVector].self) {
            let ids = try tokenizer.encode(vector.text)
            #expect(ids == vector.ids, "\(vector.text.debugDescription)")
            #expect(tokenizer.decode(ids, skippingSpecial: false) == Array(vector.text.utf8))
        }
    }

    @Test func namesItsTokens() throws {
        let tokenizer = try demoTokenizer.get()
        #expect(tokenizer.vocabularyCount == 4096)
        #expect((tokenizer.bos, tokenizer.eos) == (0, 1))
        #expect(tokenizer.id(of: "<｜User｜>") == 4084)
        #expect(tokenizer.id(of: "no such token") == nil)
        #expect(tokenizer.bytes(of: 3) == [UInt8(ascii: "!")])
        #expect(tokenizer.id(of: "Ġ").flatMap(tokenizer.bytes) == [0x20])
        for id in [-1, 4096, .max, .min] as [Int32] {
            #expect(tokenizer.bytes(of: id) == nil)
            #expect(!tokenizer.isSpecial(id))
        }
        #expect(tokenizer.isSpecial(0))
        #expect(!tokenizer.isSpecial(4084))
        #expect(tokenizer.chatTemplates["default"]?.contains("<｜Assistant｜>") == true)
    }

    @Test func addedTokensCanBeOrdinaryText() throws {
        let tokenizer = try demoTokenizer.get()
        let text = "<｜User｜>"
        let ids = try tokenizer.encode(text, addedTokens: false)
        #expect(!ids.contains(4084))
        #expect(tokenizer.decode(ids) == Array(text.utf8))
        #expect(try tokenizer.encode(text) == [4084])
    }

    @Test func specialTokensCanBeLeftOut() throws {
        let tokenizer = try demoTokenizer.get()
        let ids = try tokenizer.encode("<｜begin▁of▁sentence｜>a<｜User｜>")
        #expect(tokenizer.decode(ids) == Array("a<｜User｜>".utf8))
        #expect(tokenizer.decode(ids + [99_999, -5], skippingSpecial: true) == Array("a<｜User｜>".utf8))
    }

    @Test func invalidTextIsRefusedWithItsOffset() throws {
        let tokenizer = try demoTokenizer.get()
        let cases: [([UInt8], Int)] = [
            ([0x80], 0), ([0x61, 0xC0, 0x80], 1), ([0x61, 0x62, 0xED, 0xA0, 0x80], 2), ([0xF4, 0x90, 0x80, 0x80], 0),
            (Array("0123456789é".utf8) + [0xE4, 0xBD], 12), ([0xFF], 0), ([0xE0, 0x80, 0x80], 0), ([0xF5], 0),
        ]
        for (bytes, offset) in cases {
            #expect(throws: TokenizerError.invalidUTF8(offset: offset)) {
                try bytes.withUnsafeBufferPointer { try tokenizer.encode($0) }
            }
        }
    }

    @Test(arguments: 0..<40) func randomTextsComeBack(seed: UInt64) throws {
        let tokenizer = try demoTokenizer.get()
        var random = Repeatable(state: seed)
        let ranges: [ClosedRange<UInt32>] = [0...0x7F, 0...0x7FF, 0x2000...0x2FFF, 0x3000...0x9FFF, 0...0x10FFFF]
        let range = ranges[Int(seed) % ranges.count]
        var text = ""
        for _ in 0..<200 {
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) {
                text.unicodeScalars.append(scalar)
            }
        }
        #expect(tokenizer.decode(try tokenizer.encode(text), skippingSpecial: false) == Array(text.utf8))

        let bytes = (0..<24).map { _ in UInt8.random(in: 0...255, using: &random) }
        if let ids = try? bytes.withUnsafeBufferPointer({ try tokenizer.encode($0) }) {
            #expect(tokenizer.decode(ids, skippingSpecial: false) == bytes)
        } else {
            #expect(String(validating: bytes, as: UTF8.self) == nil)
        }
    }
}

@Suite(.enabled(if: Files.hasPublished, "run Tests/fetch-tokenizer for the published tokenizer"))
struct PublishedTokenizerTests {
    @Test func idsEqualTheGoldenVectors() throws {
        let tokenizer = try publishedTokenizer.get()
        let vectors = try Files.fixture("tokenizer-golden.json", as: [GoldenVector].self)
        #expect(vectors.count == 72)
        for vector in vectors {
            #expect(try tokenizer.encode(vector.text) == vector.ids, "\(vector.text.debugDescription)")
        }
    }

    @Test func namesItsTokens() throws {
        let tokenizer = try publishedTokenizer.get()
        #expect(tokenizer.vocabularyCount == 128_815)
        #expect((tokenizer.bos, tokenizer.eos) == (0, 1))
        #expect(tokenizer.id(of: "<think>") == 128_798)
        #expect(!tokenizer.isSpecial(128_798))
        #expect(tokenizer.isSpecial(128_805))
    }

    @Test func writesAConversation() throws {
        let tokenizer = try publishedTokenizer.get()
        let messages: [ChatMessage] = [
            .init(.system, "You are helpful."), .init(.user, "Hi"), .init(.assistant, "Hello!"), .init(.user, "2+2?"),
        ]
        let ids = try ChatFormat(.v3, tokenizer).encode(ChatPrompt(messages), tokenizer)
        #expect(
            ids == [
                0, 3476, 477, 11502, 16, 128_803, 23166, 128_804, 19923, 3, 1, 128_803, 20, 13, 20, 33, 128_804,
            ])
    }
}
