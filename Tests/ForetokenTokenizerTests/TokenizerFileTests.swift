import ForetokenTokenizer
import Testing

/// A small sound tokenizer.json whose parts a test can replace.
private struct Draft {
    static let byteSymbols: [String] = {
        var next: UInt32 = 0x100
        return (0..<256).map { byte in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || byte >= 0xAE { return String(Unicode.Scalar(UInt8(byte))) }
            defer { next += 1 }
            return String(Unicode.Scalar(next)!)
        }
    }()

    var vocabulary =
        Draft.byteSymbols.enumerated().map { ($1, "\($0)") } + [("ab", "256"), ("abc", "257"), ("bc", "258")]
    var merges = #"["b c", "a b", "ab c"]"#
    var addedTokens = #"{"id": 300, "content": "<x>", "special": true}"#
    var normalizer = "null"
    var split = #"{"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": false}"#
    var byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}"#
    var modelType = "BPE"
    var modelExtra = ""
    var decoder = #"{"type": "ByteLevel"}"#

    var json: String {
        let entries = vocabulary.map { token, id in
            "\"\(token.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\": \(id)"
        }
        return """
            {"added_tokens": [\(addedTokens)], "normalizer": \(normalizer),
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [\(split), \(byteLevel)]},
             "decoder": \(decoder),
             "model": {"type": "\(modelType)", \(modelExtra) "vocab": {\(entries.joined(separator: ","))}, "merges": \(merges)}}
            """
    }

    func tokenizer() throws -> Tokenizer { try Tokenizer(tokenizerJSON: Array(json.utf8)) }

    /// Expects a refusal whose message contains `part`.
    static func refuses(
        _ part: String, sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout Draft) -> Void
    ) {
        var draft = Draft()
        change(&draft)
        let error = #expect(throws: TokenizerError.self, sourceLocation: sourceLocation) { try draft.tokenizer() }
        #expect(
            error?.description.contains(part) == true, "\(error?.description ?? "")", sourceLocation: sourceLocation)
    }
}

@Suite struct TokenizerFileTests {
    @Test func mergesGoByRankInBothSpellings() throws {
        var draft = Draft()
        #expect(try draft.tokenizer().encode("abc") == [0x61, 258])
        draft.merges = #"[["a", "b"], ["b", "c"], ["ab", "c"]]"#
        #expect(try draft.tokenizer().encode("abc") == [257])
        #expect(try draft.tokenizer().encode("abcab<x>") == [257, 256, 300])
    }

    @Test func ignoreMergesTakesWholeTokens() throws {
        var draft = Draft()
        draft.modelExtra = #""ignore_merges": true,"#
        #expect(try draft.tokenizer().encode("abc") == [257])
        #expect(try draft.tokenizer().encode("abcb") == [0x61, 258, 0x62])
    }

    @Test(
        arguments: [
            ("(?=b)", "abab", [0x61, 0x62, 0x61, 0x62]),
            ("", "abc", [0x61, 0x62, 0x63]),
            ("b", "abc", [0x61, 0x62, 0x63]),
            ("c", "abc", [256, 0x63]),
            (#"[^\\s]"#, "ab", [0x61, 0x62]), ("[a[c]]", "abc", [0x61, 0x62, 0x63]),
            ("[a-c&&[^a]]+", "abc", [0x61, 258]),
            (#"\\h"#, "ab", [0x61, 0x62]),
        ] as [(String, String, [Int32])]) func patternsIsolateTheirMatches(regex: String, text: String, ids: [Int32])
        throws
    {
        var draft = Draft()
        draft.split = #"{"type": "Split", "pattern": {"Regex": "\#(regex)"}, "behavior": "Isolated", "invert": false}"#
        #expect(try draft.tokenizer().encode(text) == ids)
    }

    @Test func literalPatternsAreNotExpressions() throws {
        var draft = Draft()
        draft.split = #"{"type": "Split", "pattern": {"String": "b."}, "behavior": "Isolated", "invert": false}"#
        #expect(try draft.tokenizer().encode("abc") == [0x61, 258])
        #expect(try draft.tokenizer().encode("ab.c") == [0x61, 0x62, 0x2E, 0x63])
    }

    @Test func longestAddedTokenWinsAtTheLeftmostPlace() throws {
        var draft = Draft()
        draft.addedTokens = ["<x", "<x>y", "x>y>", "中"].enumerated().map { index, token in
            #"{"id": \#(300 + index), "content": "\#(token)"}"#
        }.joined(separator: ",")
        let tokenizer = try draft.tokenizer()
        #expect(try tokenizer.encode("<x>y>") == [301, 0x3E])
        #expect(try tokenizer.encode("<x>x>y>中") == [300, 0x3E, 302, 303])
        #expect(tokenizer.decode([303]) == Array("中".utf8))
    }

    @Test func notNormalizedTokensAreCutOutFirst() throws {
        var draft = Draft()
        draft.addedTokens = """
            {"id": 300, "content": "xyz", "normalized": true}, {"id": 301, "content": "yz", "normalized": false}
            """
        #expect(try draft.tokenizer().encode("xyz") == [0x78, 301])
    }

    @Test func unsupportedPartsAreNamed() {
        Draft.refuses("the normalizer NFC") { $0.normalizer = #"{"type": "NFC"}"# }
        Draft.refuses("the normalizer Lowercase") {
            $0.normalizer = #"{"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}"#
        }
        Draft.refuses("the pre-tokenizer Metaspace") { $0.split = #"{"type": "Metaspace", "replacement": "_"}"# }
        Draft.refuses("behavior Removed") { $0.split.replace("Isolated", with: "Removed") }
        Draft.refuses("with invert") { $0.split.replace("\"invert\": false", with: "\"invert\": true") }
        Draft.refuses("add_prefix_space") { $0.byteLevel = #"{"type": "ByteLevel", "use_regex": false}"# }
        Draft.refuses("use_regex") { $0.byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false}"# }
        Draft.refuses("do not end in ByteLevel") { $0.byteLevel = $0.split }
        Draft.refuses("the model WordPiece") { $0.modelType = "WordPiece" }
        Draft.refuses("dropout") { $0.modelExtra = #""dropout": 0.1,"# }
        Draft.refuses("end_of_word_suffix") { $0.modelExtra = #""end_of_word_suffix": "</w>","# }
        Draft.refuses("the decoder WordPiece") { $0.decoder = #"{"type": "WordPiece"}"# }
        Draft.refuses("lstrip for the added token \"<x>\"") {
            $0.addedTokens = #"{"id": 300, "content": "<x>", "lstrip": true}"#
        }
        Draft.refuses("the expression (") { $0.split.replace(#"\\s+"#, with: "(") }
        Draft.refuses("a verb (*…)") { $0.split.replace(#"\\s+"#, with: #"(*NO_JIT)\\s+"#) }
        Draft.refuses("\\w") { $0.split.replace(#"\\s+"#, with: #"\\w+"#) }
    }

    @Test func damagedPartsAreNamed() {
        Draft.refuses("merge 1 of \"a\" and \"q?\"") { $0.merges = #"["b c", "a q?"]"# }
        Draft.refuses("merge 0 of \"a\" and \"c\"") { $0.merges = #"["a c"]"# }
        Draft.refuses("merge 1 repeats") { $0.merges = #"["b c", "b c"]"# }
        Draft.refuses("in merge 0") { $0.merges = #"["a b c"]"# }
        Draft.refuses("found 1, in merge 0") { $0.merges = #"[["a"]]"# }
        Draft.refuses("expected a list") { $0.merges = "{}" }
        Draft.refuses("two tokens have the id 65") { $0.vocabulary.append(("zz", "65")) }
        Draft.refuses("the key \"ab\" appears twice") { $0.vocabulary.append(("ab", "400")) }
        Draft.refuses("found -1") { $0.vocabulary.append(("zz", "-1")) }
        Draft.refuses("found 2147483648") { $0.vocabulary.append(("zz", "2147483648")) }
        Draft.refuses("expected a whole number") { $0.vocabulary.append(("zz", "99999999999999999999999")) }
        Draft.refuses("expected a whole number") { $0.vocabulary.append(("zz", "1.5")) }
        Draft.refuses("expected a whole number") { $0.vocabulary.append(("zz", "true")) }
        Draft.refuses("an empty token") { $0.vocabulary.append(("", "400")) }
        Draft.refuses("no token for byte 65") { $0.vocabulary.remove(at: 65) }
        Draft.refuses("contend for an id") { $0.addedTokens = #"{"id": 65, "content": "<x>"}"# }
        Draft.refuses("contend for an id") { $0.addedTokens = #"{"id": 400, "content": "ab"}"# }
        Draft.refuses("found -7") { $0.addedTokens = #"{"id": -7, "content": "<x>"}"# }
        Draft.refuses("without id or content") { $0.addedTokens = #"{"id": 300}"# }
        Draft.refuses("bytes") {
            $0.addedTokens = #"{"id": 300, "content": "\#(String(repeating: "x", count: 5000))"}"#
        }
        Draft.refuses("the lone surrogate") { $0.addedTokens = #"{"id": 300, "content": "\ud800"}"# }
        Draft.refuses("levels of lists and objects") {
            $0.modelExtra = "\"x\": \(String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)),"
        }
        Draft.refuses("levels of lists and objects") {
            $0.decoder = String(repeating: #"{"type":"Sequence","decoders":["#, count: 100_000)
        }
    }

    @Test func everyTruncationIsRefused() throws {
        let whole = Array(Draft().json.utf8)
        for count in stride(from: 0, to: whole.count - 1, by: 7) {
            #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: Array(whole[..<count])) }
        }
        #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: whole + [UInt8(ascii: "}")]) }
        #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: whole + [0xFF]) }
    }

    @Test func flippedBytesNeverTrap() throws {
        let whole = Array(Draft().json.utf8)
        var random = Repeatable(state: 3)
        for _ in 0..<400 {
            var file = whole
            for _ in 0..<3 {
                file[Int.random(in: file.indices, using: &random)] = .random(in: 0x20...0x7E, using: &random)
            }
            if let tokenizer = try? Tokenizer(tokenizerJSON: file) { _ = try tokenizer.encode("abc<x> abc") }
        }
    }

    @Test func anExpressionThatGivesUpIsAnError() throws {
        var draft = Draft()
        draft.split.replace(#"\\s+"#, with: #"(a+)+$"#)
        let tokenizer = try draft.tokenizer()
        #expect(throws: TokenizerError.self) { try tokenizer.encode(String(repeating: "a", count: 60) + "b") }
    }

    @Test func configurationMustNameKnownTokens() throws {
        let file = Array(Draft().json.utf8)
        #expect(try Tokenizer(tokenizerJSON: file).bos == nil)
        let sound = Array(#"{"bos_token": {"content": "<x>"}, "eos_token": null}"#.utf8)
        #expect(try Tokenizer(tokenizerJSON: file, configJSON: sound).bos == 300)
        for text in [#"{"bos_token": "<y>"}"#, #"{"bos_token": 1}"#, #"{"eos_token": {}}"#, "[]", ""] {
            #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: file, configJSON: Array(text.utf8)) }
        }
    }
}

@Suite(.serialized) struct LongPieceTests {
    /// Quadratic merging would take hours here; the limit leaves room for a slow and busy machine.
    @Test(
        .timeLimit(.minutes(15)),
        arguments: ["a", " ", "\n", "7", "中", "한", "!", "\u{301}", "<", "<｜User", "\r\n", "x y"])
    func aMegabyteWithoutStructure(part: String) throws {
        let text = String(repeating: part, count: 1_000_000 / part.utf8.count)
        let tokenizer = try Files.hasPublished ? publishedTokenizer.get() : demoTokenizer.get()
        let ids = try tokenizer.encode(text)
        #expect(tokenizer.decode(ids) == Array(text.utf8))
    }

    /// The scan and the heap must agree: the same letters as one long piece, and as a piece just short enough.
    @Test func shortAndLongPiecesMergeAlike() throws {
        let tokenizer = try demoTokenizer.get()
        var random = Repeatable(state: 11)
        for length in 40...70 {
            let letters = (0..<length).map { _ in UInt8.random(in: 0x61...0x68, using: &random) }
            let ids = try letters.withUnsafeBufferPointer { try tokenizer.encode($0) }
            #expect(ids == slowEncoding(letters, tokenizer), "\(String(decoding: letters, as: UTF8.self))")
        }
    }

    /// Merges by looking up every pair again after every step, with the order of ids as the order of ranks: the demo's
    /// vocabulary was numbered as its merges were found.
    private func slowEncoding(_ bytes: [UInt8], _ tokenizer: Tokenizer) -> [Int32] {
        var parts = bytes.map { String(Unicode.Scalar($0)) }
        while true {
            let pairs = parts.indices.dropLast().compactMap { index in
                tokenizer.id(of: parts[index] + parts[index + 1]).map { (id: $0, index: index) }
            }
            guard let best = pairs.min(by: { ($0.id, $0.index) < ($1.id, $1.index) }) else { break }
            parts[best.index] += parts.remove(at: best.index + 1)
        }
        return parts.compactMap(tokenizer.id(of:))
    }
}
