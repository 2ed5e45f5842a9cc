import ForetokenTokenizer
import Testing

/// Texts between the places where an expression cuts.
private func pieces(_ expression: String, _ text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    var cuts = [0]
    for match in try SplitPattern(.regex(expression)).matches(in: bytes) {
        cuts += [match.lowerBound, match.upperBound]
    }
    cuts.append(bytes.count)
    return zip(cuts, cuts.dropFirst()).filter { $0 < $1 }.map { String(decoding: bytes[$0..<$1], as: UTF8.self) }
}

/// What published tokenizer.json files of the family and of its relatives ask for.
private enum Published {
    static let deepseek =
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let llama3 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"#
        + #"|\s+(?!\S)|\s+"#
    static let cl100k =
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"#
        + #"|\s+(?!\S)|\s"#
    static let all = [deepseek, llama3, cl100k]
}

/// All code points in order, with what the reference library was seen to find among them.
@Suite struct UnicodeTableTests {
    /// How many code points a property has, and FNV-1a over them.
    private struct Members: Decodable, Equatable {
        var count = 0
        var checksum = ""

        init(_ scalars: some Sequence<Unicode.Scalar>) {
            var sum: UInt64 = 0xCBF2_9CE4_8422_2325
            for scalar in scalars {
                sum = (sum ^ UInt64(scalar.value)) &* 0x100_0000_01B3
                count += 1
            }
            let digits = String(sum, radix: 16)
            checksum = String(repeating: "0", count: 16 - digits.count) + digits
        }

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            count = try row.decode(Int.self)
            checksum = try row.decode(String.self)
        }
    }

    private static let every: [UInt8] = (UInt32(0)...0x10FFFF).flatMap { value in
        Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
    }

    /// The scalars that an expression of one character finds among all.
    private func found(_ expression: String) throws -> [Unicode.Scalar] {
        try SplitPattern(.regex(expression)).matches(in: Self.every).flatMap {
            String(decoding: Self.every[$0], as: UTF8.self).unicodeScalars
        }
    }

    @Test func everyCodePointIsWhereTheReferenceLibraryHasIt() throws {
        let fixture = try Files.fixture("unicode-checksums.json", as: [String: Members].self)
        #expect(fixture.count == 57)
        for (name, members) in fixture {
            #expect(try Members(found(#"\p{\#(name)}"#)) == members, "\(name)")
        }
    }

    @Test func classesAreMadeOfTheTable() throws {
        #expect(try found(#"[^\P{L}]"#) == found(#"[\p{Lu}\p{Ll}\p{Lt}\p{Lm}\p{Lo}]"#))
        #expect(try found(#"\d"#) == found(#"\p{Nd}"#))
        #expect(try found(#"\s"#).map(\.value).count == 25)
        #expect(try Members(found(#"[\s\S]"#)).count == 0x110000 - 0x800)
        #expect(try found("(?i:s)") == ["S", "s", "\u{17F}"])
        #expect(try found("(?i:[j-l])") == ["J", "K", "L", "j", "k", "l", "\u{212A}"])
        #expect(Tokenizer.unicodeVersion == "16.0")
    }

    @Test(.enabled(if: Files.hasPublished, "run Tests/fetch-tokenizer for the published tokenizer"))
    func newSignsGetTheIdsOfTheReferenceLibrary() throws {
        let tokenizer = try publishedTokenizer.get()
        #expect(try tokenizer.encode("I love you \u{1FA77}") == [43, 3518, 440, 7351, 105, 118])
        // Unassigned until Unicode 15: with an older table the space stays with what follows.
        #expect(try tokenizer.encode("a \u{1FAE8}").first == 67)
        #expect(try pieces(Published.deepseek, "a \u{1FAE8}") == ["a", " \u{1FAE8}"])
    }
}

@Suite struct SplitPatternTests {
    @Test(
        arguments: [
            ("(*NO_JIT)a", "a verb (*…)"), ("(*UTF)", "a verb (*…)"), ("a(*FAIL)|b", "a verb (*…)"),
            ("(?C)a", "a group of an unknown kind (?…)"), ("(?C1)a", "of an unknown kind"),
            ("a(?R)?", "of an unknown kind"),
            ("(a)(?1)", "of an unknown kind"), ("(?<n>a)", "of an unknown kind"), ("(?P<n>a)", "of an unknown kind"),
            ("(?(1)a|b)", "of an unknown kind"), ("(?|a|b)", "of an unknown kind"), ("(?#note)a", "of an unknown kind"),
            ("(?x) a", "of an unknown kind"), ("(?m:.)", "of an unknown kind"), ("(?~a)", "of an unknown kind"),
            (#"(a)\1"#, #"\1"#), (#"(a)\k<1>"#, #"\k"#), (#"\g<0>"#, #"\g"#), (#"\w"#, #"\w"#), (#"\b"#, #"\b"#),
            (#"\X"#, #"\X"#), (#"\R"#, #"\R"#), (#"\K"#, #"\K"#), (#"\G"#, #"\G"#), (#"\Qa\E"#, #"\Q"#),
            ("[[:alpha:]]", "a class [:…:]"), (#"\pL"#, "a property without braces"),
            (#"\p{Alphabetic}"#, "the unknown property Alphabetic"), (#"\p{Script=Han}"#, "the unknown property"),
            ("(?<=ab)c", "looking back by other than one character"), ("(?i:é)", "ignoring case beyond ASCII"),
            (#"(?i:\p{Lu})"#, "ignoring case beyond ASCII"), ("(?i:st)", "st where case is ignored"),
            ("(", "a group without end"), ("a)", "a closing parenthesis too many"), ("[a", "a class without end"),
            ("*a", "a repetition of nothing"), ("a{x}", "a brace that is no repetition"), ("a{3,1}", "out of bounds"),
            ("a{0}", "out of bounds"), ("a{2}?", "a question mark after {n}"), ("[z-a]", "a range without an end"),
            ("(a*)*b", "an endless repetition of what may be empty"), ("(?=a)*", "a repeated assertion"),
            ("(?:b|(?=a)){2}", "a repeated assertion"), ("(?<!(a))b", "looking back"),
            ("((a{1,1000}){1,1000}){1,1000}", "it is too large"),
            ("((((){1000}){1000}){1000}){1000}", "it is too large"),
            (#"((\p{L}\p{N}){0,1000}){9}"#, "it is too large"),
            (String(repeating: "a|", count: 5000), "more than 4000"),
            (String(repeating: "(", count: 3000), "nested too deeply"),
        ]) func whatMayMeanSomethingElseIsRefused(expression: String, reason: String)
    {
        let error = #expect(throws: TokenizerError.self) { try SplitPattern(.regex(expression)) }
        guard case .unsupported(file: "tokenizer.json", let feature) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(feature.contains(reason))
    }

    @Test(
        arguments: [
            ("[a[bc]]+", "xabcx", ["x", "abc", "x"]), ("[a-d&&[^b]]+", "abcd", ["a", "b", "cd"]),
            (#"\h+"#, "xbeefx", ["x", "beef", "x"]), ("a{,2}b", "aaab", ["a", "aab"]),
            ("a{1,2}+b", "aaab", ["aaab"]), ("a+?b", "aab", ["aab"]), ("a?+a", "aa a", ["aa", " a"]),
            ("(?>a|ab)c|b", "abc", ["a", "b", "c"]), (#"(?<=\s)a"#, "a aa", ["a ", "a", "a"]),
            ("(?<!a)b", "abb", ["ab", "b"]), ("^a|b$", "ab\nab", ["a", "b", "\n", "a", "b"]),
            (#"\Aa|b\z"#, "aab\nab", ["a", "ab\na", "b"]), ("(?i:k)", "k\u{212A}K", ["k", "\u{212A}", "K"]),
            (#"\x41|\u4E00|\x{1F600}"#, "A一😀b", ["A", "一", "😀", "b"]), (#"\p{^L}"#, "a1b", ["a", "1", "b"]),
            (#"\P{Han}+"#, "ab中cd", ["ab", "中", "cd"]), ("(?i)AB|c", "abC", ["ab", "C"]), ("", "a中", ["a", "中"]),
        ] as [(String, String, [String])]) func whatIsCertainCuts(expression: String, text: String, expected: [String])
        throws
    {
        #expect(try pieces(expression, text) == expected)
    }

    /// Ten megabytes as few pieces: a step for every pair of places would exceed what a text may cost.
    @Test(.timeLimit(.minutes(10)), arguments: Published.all)
    func longPiecesTakeLinearTime(expression: String) throws {
        let pattern = try SplitPattern(.regex(expression))
        for (part, most) in [(" ", 2), ("a", 2), ("中", 2), ("!", 2), (" \n\t\r\n  ", 2), (" \u{3000}\u{85}", 2)] {
            let bytes = Array(String(repeating: part, count: 10_000_000 / part.utf8.count).utf8)
            let matches = try pattern.matches(in: bytes)
            #expect(matches.count <= most, "\(part.debugDescription)")
            #expect(matches.first?.lowerBound == 0 && matches.last?.upperBound == bytes.count)
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            ("(?:a+)+b", "a", 60), ("(?:a|aa)+b", "a", 90), ("(?:a?){60}a{60}b", "a", 60), ("a++b", "a", 30_000),
            ("(?>(?:ab)+)c", "ab", 40_000), (#"\s*\n"#, " ", 30_000), ("(?:a*?b)+?c", "ab", 30_000),
            ("(?=(?:a+)+b)a", "a", 60),
        ]) func tryingWithoutEndIsAnError(expression: String, part: String, count: Int) throws
    {
        let pattern = try SplitPattern(.regex(expression))
        let bytes = Array(String(repeating: part, count: count).utf8)
        let error = #expect(throws: TokenizerError.self) { try pattern.matches(in: bytes) }
        #expect(error?.description.contains("too many steps") == true, "\(error?.description ?? "")")
    }

    @Test func emptyTextHasNoMatches() throws {
        #expect(try SplitPattern(.regex(#"\s*"#)).matches(in: []).isEmpty)
        #expect(throws: TokenizerError.invalidUTF8(offset: 1)) {
            try SplitPattern(.literal("a")).matches(in: [0x61, 0xFF])
        }
    }
}
