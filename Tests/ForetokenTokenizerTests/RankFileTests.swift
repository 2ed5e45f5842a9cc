import ForetokenTokenizer
import FoundationEssentials
import Testing

/// Tokenizers made from a tiktoken.model. What the reference library makes of such files is compared in `Tests/Split`.
@Suite struct RankFileTests {
    /// Every byte, and some words.
    private static let tokens: [[UInt8]] =
        (UInt8.min...UInt8.max).map { [$0] }
        + ["he", "ll", "llo", "hello", " hello", "xyz", "好", "你好"].map { Array($0.utf8) }

    private static func file(_ tokens: [[UInt8]], end: String = "\n") -> [UInt8] {
        Array(
            tokens.enumerated().map { "\(Data($1).base64EncodedString()) \($0)\(end)" }.joined().utf8)
    }

    private static let settings = """
        {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]", "added_tokens_decoder": {
        "264": {"content": "[BOS]", "special": true}, "265": {"content": "[EOS]", "special": true},
        "266": {"content": "<|im_end|>", "special": true, "lstrip": false}, "270": {"content": "<think>", "special": false}}}
        """

    private func tokenizer(_ settings: String = settings) throws -> Tokenizer {
        try Tokenizer(ranks: Self.file(Self.tokens), configJSON: Array(settings.utf8))
    }

    @Test func wordsAreMergedByRank() throws {
        let tokenizer = try tokenizer()
        #expect(try tokenizer.encode("hello hello") == [259, 260])
        #expect(try tokenizer.encode("hell") == [256, 257])
        // No merges make it, but a piece that is a token is that token.
        #expect(try tokenizer.encode("xyz") == [261])
        #expect(try tokenizer.encode("xyzz") == [120, 121, 122, 122])
        #expect(try tokenizer.encode("你好 ") == [263, 32])
        #expect(try tokenizer.encode("hello\r\n") == [259, 13, 10])
        #expect(tokenizer.vocabularyCount == 264 + 256 && tokenizer.origin.contains("tiktoken.model"))
        #expect(String(decoding: tokenizer.decode([263, 260]), as: UTF8.self) == "你好 hello")
        let windows = try Tokenizer(ranks: Self.file(Self.tokens, end: "\r\n"))
        #expect(try windows.encode("hello") == [259] && windows.bos == nil && windows.eos == nil)
    }

    @Test func specialTokensStandBehind() throws {
        let tokenizer = try tokenizer()
        #expect(tokenizer.bos == 264 && tokenizer.eos == 265 && !tokenizer.addsBOS && !tokenizer.addsEOS)
        #expect(try tokenizer.encode("[BOS]hello<|im_end|><think>") == [264, 259, 266, 270])
        #expect(tokenizer.isSpecial(266) && !tokenizer.isSpecial(270) && tokenizer.isAdded(270))
        #expect(tokenizer.id(of: "<|reserved_token_267|>") == 267 && tokenizer.isSpecial(267))
        #expect(tokenizer.id(of: "<|reserved_token_519|>") == 519 && tokenizer.id(of: "<|reserved_token_264|>") == nil)
        let plain = try tokenizer.encode("[BOS]<think>", addedTokens: false)
        #expect(plain.allSatisfy { $0 < 264 } && tokenizer.decode(plain) == Array("[BOS]<think>".utf8))
    }

    /// A piece that is spelt like an added token is none where none are wanted.
    @Test func piecesAreNoAddedTokens() throws {
        let settings = Self.settings.replacing("<think>", with: "Think")
        let tokenizer = try tokenizer(settings)
        #expect(try tokenizer.encode("Think") == [270])
        #expect(try tokenizer.encode("Think", addedTokens: false) == Array("Think".utf8).map(Int32.init))
    }

    @Test func damagedFilesAreRefused() {
        let good = Self.file(Self.tokens)
        func text(_ change: (inout [[UInt8]]) -> Void) -> [UInt8] {
            var tokens = Self.tokens
            change(&tokens)
            return Self.file(tokens)
        }
        for (bytes, reason) in [
            ([], "expected 1 to"), (Array("\n\n".utf8), "expected 1 to"),
            (good + Array("aGVsbG8=".utf8), "line 265 does not begin"),
            (good + Array("aGVsbG8 264\n".utf8), "line 265 does not begin"),
            (good + Array("aGVsbG8! 264\n".utf8), "line 265 does not begin"),
            (good + Array(" 264\n".utf8), "line 265 does not begin"),
            (good + Array("aGVsbG9= 264\n".utf8), "line 265 does not begin"),
            (good + Array("aGk= -1\n".utf8), "line 265 does not end"),
            (good + Array("aGk= 99999999999999999999\n".utf8), "line 265 does not end"),
            (good + Array("aGk= 264 7\n".utf8), "line 265 does not end"),
            (good + Array("aGk= \n".utf8), "line 265 does not end"), (good + Array("aGk= 266\n".utf8), "is missing"),
            (good + Array("aGk= 7\n".utf8), "two tokens have the rank 7"),
            (text { $0.append(Array("he".utf8)) }, "twice"),
            (text { $0.remove(at: 200) }, "no token for byte 200"),
            (text { $0.append(Array(repeating: 7, count: 1025)) }, "has 1025 bytes"),
            (Array(good.dropLast(5)), "line 264 does not"),
        ] as [([UInt8], String)] {
            let error = #expect(throws: TokenizerError.self, "\(reason)") { try Tokenizer(ranks: bytes) }
            #expect(error?.description.contains("tiktoken.model is damaged: ") == true)
            #expect(error?.description.contains(reason) == true, "\(error.map(String.init(describing:)) ?? "")")
        }
    }

    @Test func settingsThatDoNotFitAreRefused() {
        for (old, new, reason) in [
            ("\"266\"", "\"7\"", "it names the token 7, which is one of the 264"),
            ("\"264\"", "\"271\"", "it ends at 263, but the first token that tokenizer_config.json names is 265"),
            ("\"266\"", "\"9999\"", "it names the token 9999"), ("\"266\"", "\"0266\"", "expected the id"),
            ("\"266\"", "\"-1\"", "expected the id"), ("<|im_end|>", "[EOS]", "contend"),
            ("<|im_end|>", "hello", "contend"), ("\"content\": \"<|im_end|>\"", "\"content\": \"\"", "without content"),
            ("TikTokenTokenizer", "HYTokenizer", "the class HYTokenizer beside tiktoken.model"),
            ("\"eos_token\": \"[EOS]\"", "\"eos_token\": \"</s>\"", "a token that tiktoken.model does not have"),
        ] {
            let settings = Self.settings.replacing(old, with: new)
            let error = #expect(throws: TokenizerError.self, "\(new)") { try tokenizer(settings) }
            #expect(error?.description.contains(reason) == true, "\(error.map(String.init(describing:)) ?? "")")
        }
    }
}
