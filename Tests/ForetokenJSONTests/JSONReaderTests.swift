import ForetokenJSON
import Testing

/// The tree of a text.
private func tree(_ text: String) throws -> JSONValue { try JSONValue(Array(text.utf8)) }

@Suite("The JSON reader")
struct JSONReaderTests {
    @Test(
        "Each fault has its own message and place",
        arguments: [
            (#"{"a":"\ud83d x"}"#, "lone surrogate \\ud83d", 6), (#"["\udc00"]"#, "lone surrogate \\udc00", 2),
            (#"["\ud83d\u0041"]"#, "lone surrogate \\ud83d", 2), (#"{"a":1,}"#, "a comma too many before `}`", 6),
            ("[1 , ]", "a comma too many before `]`", 3), (#"{"a":1 "b":2}"#, "a comma is missing", 7),
            (#"{"a":1,"a":2}"#, #"the key "a" appears twice"#, 7), (#"{"a":1,"\u0061":2}"#, "appears twice", 7),
            ("[\"a\nb\"]", "control character, U+000A", 3), (#"["\x"]"#, "no escape \\x", 2),
            (#"["\u12g4"]"#, "four hexadecimal digits", 6), ("[01]", "a zero must not stand", 1),
            ("[1.]", "a digit must follow the point", 1), ("[-]", "follow the minus", 1),
            ("[1e]", "the e of an exponent", 1), ("[.5]", "expected a value, found `.`", 1),
            ("{} {}", "something follows the end", 3), ("{a:1}", "a key in quotation marks, found `a`", 1),
            ("[1;2]", "expected `,` or `]`, found `;`", 2), (#"{"a""#, "the end of the text", 4),
            (#"["abc"#, "ends inside the string", 1), ("", "the end of the text", 0), ("[nul]", "expected a value", 1),
            ("[trux]", "expected true or false, found `t`", 1),
            (#"{"a":fals}"#, "expected true or false, found `f`", 5),
            (String(repeating: "[", count: 65), "more than 64 levels", 64),
        ])
    func faults(_ text: String, _ reason: String, _ offset: Int) {
        #expect {
            try tree(text)
        } throws: { error in
            guard let error = error as? JSONError else { return false }
            return error.reason.contains(reason) && error.offset == offset
                && "\(error)".hasPrefix("bad JSON at byte \(offset): ")
        }
    }

    @Test(
        "A sound value of another type is told from bad JSON, with its key",
        arguments: [
            (#"{"é":null}"#, #"wrong type at byte 6: expected a string as the value of "é", found null"#),
            (
                #"{"a":{"b":1},"c":[2]}"#,
                #"wrong type at byte 5: expected a string as the value of "a", found an object"#
            ),
            (#"{"a":["b"]}"#, #"wrong type at byte 5: expected a string as the value of "a", found a list"#),
            (#"{"a":[1,}"#, "bad JSON at byte 5: expected a string, found `[`"),
            (#"{"a":trie}"#, "bad JSON at byte 5: expected a string, found `t`"),
            (#"[]"#, "wrong type at byte 0: expected an object, found a list"),
        ])
    func types(_ text: String, _ message: String) {
        let error = #expect(throws: JSONError.self) {
            try JSONReader.read(Array(text.utf8)) { (reader) throws(JSONError) in
                try reader.beginObject()
                while try reader.nextKey() { _ = try reader.string() }
            }
        }
        #expect(error?.description == message)
        #expect(throws: JSONError.self) {
            try JSONReader.read(Array("[1, true]".utf8)) { (reader) throws(JSONError) in
                try reader.beginArray()
                while try reader.nextElement() { _ = try reader.integer() }
            }
        }
    }

    @Test("Bytes that are not UTF-8 are named with their place")
    func badUTF8() {
        for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            let bytes = Array("[\"ä".utf8) + bad + Array("\"]".utf8)
            #expect(throws: (any Error).self) { try JSONValue(bytes) }
            #expect {
                try JSONValue(bytes)
            } throws: { ($0 as? JSONError)?.offset == 4 && "\($0)".contains("not valid UTF-8") }
        }
    }

    @Test(
        "Values are equal by what they mean",
        arguments: [
            ("1", "1.0"), ("1", "1e0"), ("1", "10e-1"), ("-0", "0"), ("-0.0", "0"), ("32", "3.2e1"), ("0.1", "1e-1"),
            ("0.10", "0.1"), ("1e400", "10e399"), ("18446744073709551615", "18446744073709551615.0"),
            ("NaN", "NaN"), (#"{"a":1,"b":[2]}"#, #"{"b":[2.0],"a":1}"#), (#""\u0041""#, #""A""#),
            (#""\ud83d\ude00""#, #""😀""#), (#"{"a":1,"a":1.0}"#, #"{"a":1}"#),
            ("\u{FEFF}[1]", "[1]"), ("-9223372036854775808", "-9223372036854775808.0"),
        ])
    func equal(_ left: String, _ right: String) throws { #expect(try tree(left) == tree(right)) }

    @Test(
        "Values that mean something else are not equal",
        arguments: [
            ("9007199254740993", "9007199254740992"), ("18446744073709551615", "18446744073709551616"),
            ("1e400", "2e400"), ("1", "true"), ("0", "null"), ("1", #""1""#), ("Infinity", "-Infinity"),
            ("\"\u{E9}\"", "\"e\u{301}\""), (#"{"a":1}"#, #"{"a":1,"b":1}"#), ("[1,2]", "[2,1]"),
            ("-1", "1"), ("0.1", "0.2"),
        ])
    func different(_ left: String, _ right: String) throws { #expect(try tree(left) != tree(right)) }

    @Test("A zero with a point or an exponent keeps its sign, as in Python")
    func zeros() throws {
        for (text, sign) in [
            ("-0.0", FloatingPointSign.minus), ("-0e0", .minus), ("-0", .plus), ("0.0", .plus), ("-0.00e5", .minus),
        ] {
            guard case .number(let number) = try tree(text) else { throw JSONError("no number") }
            #expect(number.double == 0 && number.double.sign == sign && number.integer == 0)
        }
    }

    @Test("Whole numbers are whole however they are written, and exact")
    func wholeNumbers() throws {
        for (text, value) in [("32.0", 32), ("3.2e1", 32), ("-5", -5), ("9007199254740993.0", 9_007_199_254_740_993)] {
            #expect(try tree(text).integer == value)
        }
        #expect(try tree("9223372036854775808").integer == nil)
        #expect(try tree("1.5").integer == nil && tree("1e-1").integer == nil)
        #expect(try JSONField(tree("18446744073709551615")).unsigned() == .max)
        let long = String(repeating: "1234567890", count: 10)
        for text in ["0", "-5", "9223372036854775808", "-9223372036854775809", "18446744073709551616000", long] {
            guard case .number(let number) = try tree(text) else { throw JSONError("no number") }
            #expect(number.wholeDigits == text && !number.isWrittenAsReal)
            #expect(try tree("[\(text)]").text == "[\(text)]")
        }
        for text in ["1.0", "1e2", "1E2", "\(long).5", "\(long)e1", "Infinity", "NaN"] {
            guard case .number(let number) = try tree(text) else { throw JSONError("no number") }
            #expect(number.wholeDigits == nil && number.isWrittenAsReal)
        }
        var numbers: [Int] = []
        let bytes = Array("[3, 7.0, -12,1e2,123456789012345678 , 1234567890123456789]".utf8)
        try JSONReader.read(bytes) { (reader) throws(JSONError) in try reader.integers(into: &numbers) }
        #expect(numbers == [3, 7, -12, 100, 123_456_789_012_345_678, 1_234_567_890_123_456_789])
    }

    @Test("A repeated key is passed over by readers too, among few keys and many")
    func repeatedKeys() throws {
        let many = (0..<200).map { "\"k\($0)\":\($0)" }
        for (members, isFine) in [
            (many + ["\"k150\":150.0", "\"k0\":0"], true), (many + ["\"k150\":151"], false),
            (["\"a\":{\"b\":[1,{\"c\":2}]}", "\"a\":{\"b\":[1.0,{\"c\":2}]}"], true),
        ] {
            let bytes = Array("{\(members.joined(separator: ","))}".utf8)
            var count = 0
            func read() throws {
                try JSONReader.read(bytes) { reader in
                    try reader.beginObject()
                    while try reader.nextKey() {
                        count += 1
                        try reader.skip()
                    }
                    try reader.finish()
                }
            }
            if isFine { try read() } else { #expect(throws: JSONError.self) { try read() } }
            #expect(count == (members.count < 3 ? 1 : 200))
        }
    }

    @Test("Nested repetitions take no longer than the text is long, up to a logarithm")
    func nestedRepetitions() throws {
        var text = "1"
        for _ in 0..<14 { text = "{\"a\":\(text),\"a\":\(text)}" }
        _ = try tree(text)
    }

    @Test("Fields say which key is wrong, and what it should be")
    func fields() throws {
        let top = try JSONField(
            tree(#"{"nodes":[{"id":0},{"id":"x"}],"t":Infinity,"n":null,"m":[1,2.5]}"#)
        ).fields()
        let nodes = try top["nodes"].list()
        for (read, message) in [
            ({ _ = try nodes[1].fields()["id"].integer() }, "`nodes[1].id` must be a whole number, found \"x\""),
            ({ _ = try top["t"].number() }, "`t` must be a finite number, found Infinity"),
            ({ _ = try top["n"].string() }, "`n` must be a string, found null"),
            ({ _ = try top["z"].flag() }, "the key `z` is missing; it must be true or false"),
            ({ _ = try top["m"].integers() }, "`m[1]` must be a whole number, found 2.5"),
            ({ try top.refuseKeys(besides: ["nodes", "t", "m"]) }, "there is no key \"n\"; known are nodes, t, m"),
        ] as [(() throws -> Void, String)] {
            #expect { try read() } throws: { "\($0)" == message }
        }
        #expect(top["n"].given == nil && top["z"].given == nil && top["m"].given != nil)
        #expect(top.keys == ["nodes", "t", "n", "m"])
    }
}
