import ForetokenGrammar
import ForetokenJSON
import ForetokenTestSupport
import Testing

@Suite("The language of a grammar")
struct LanguageTests {
    @Test(
        "Any object",
        arguments: [
            ("{}", true), (#"{"a":1}"#, true), (#" {"a": [1, 2.5e-3, -0, true, null, {"b": ""}]}"#, true),
            ("{\n  \"a\": 1,\n\t\"b\" : 2 , \"c\":[ ]\n}", true), ("[]", false), ("1", false), ("", false),
            ("{", false),
            (#"{"a":1,}"#, false), (#"{"a" 1}"#, false), (#"{"a":01}"#, false), (#"{"a":1.}"#, false),
            (#"{"a":-}"#, false), (#"{"a":.5}"#, false), (#"{"a":1e}"#, false), (#"{"a":+1}"#, false),
            (#"{"a":[1,]}"#, false), (#"{"a":[,1]}"#, false), (#"{a:1}"#, false), (#"{"a":NaN}"#, false),
            (#"{"a":tru}"#, false), ("{}}", false), ("{} ", false), ("{}\n", false), ("{\"a\":  1}", false),
            ("{\n\n}", false), ("{ \n}", false), ("{\r\n}", false), ("{\t}", false), ("{\n \t }", true),
            ("{\n" + String(repeating: " ", count: 80) + "}", true),
            ("{\n" + String(repeating: " ", count: 81) + "}", false),
        ])
    func objects(_ text: String, _ isOne: Bool) throws {
        #expect(try Grammar.jsonObject().accepts(text) == isOne)
    }

    @Test(
        "Strings",
        arguments: [
            (#""""#, true), (#""a\"\\\/\b\f\n\r\t""#, true), (#""\u00e9\uD7FF\uE000\uabCD""#, true),
            (#""\ud83d\ude00\uDBFF\uDFFF""#, true), (#""\ud83d""#, false), (#""\ud83dx""#, false),
            (#""\ud83d\u0041""#, false), (#""\ude00""#, false), (#""\ud83d\n""#, false), (#""\u12g4""#, false),
            (#""\x""#, false), ("\"\n\"", false), ("\"\u{1F}\"", false), ("\"\u{7F}é中😀\u{10FFFF}\"", true),
            ("\"a", false),
        ])
    func strings(_ text: String, _ isOne: Bool) throws {
        #expect(try grammar(#"{"type": "string"}"#).accepts(text) == isOne)
        // Where there are no more than so many scalars, only what must be is escaped.
        let isPlain = !text.dropFirst(2).contains("\\u") && !text.contains("\\b")
        #expect(try grammar(#"{"type": "string", "maxLength": 12}"#).accepts(text) == (isOne && isPlain))
    }

    @Test("Bytes that are no UTF-8 are refused where they begin to be none")
    func encoding() throws {
        for schema in ["{}", #"{"minLength": 1}"#, #"{"pattern": "é"}"#] {
            let grammar = try grammar(schema)
            for (bytes, count) in [
                ([0x80], 0), ([0xC0], 0), ([0xC1], 0), ([0xC3, 0x28], 1), ([0xE0, 0x9F], 1), ([0xED, 0xA0], 1),
                ([0xE1, 0x80, 0x22], 2), ([0xF0, 0x8F], 1), ([0xF4, 0x90], 1), ([0xF5], 0), ([0xFF], 0),
                ([0xF4, 0x8F, 0xBF, 0xBF], 4), ([0xEF, 0xBF, 0xBF], 3), ([0xED, 0x9F, 0xBF], 3),
            ] as [([UInt8], Int)] {
                #expect(grammar.taken([0x22] + bytes).count == 1 + count, "\(bytes) by \(schema)")
            }
        }
    }

    @Test(
        "Schemas",
        arguments: [
            (#"{"type": "object"}"#, [#"{"x": 1}"#, "{}"], ["[]"]),
            (
                #"{"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["b"]}"#,
                [#"{"b":1}"#, #"{"a":-3,"b":[]}"#, #"{"b":1,"c":2,"d":3}"#],
                [#"{"a":1}"#, #"{"b":1,"a":1}"#, #"{"a":1.0,"b":1}"#, "{}", #"{"b":1,"b":1}"#, "3", #"{"\u0062":1}"#]
            ),
            (
                #"{"properties": {"a": true}, "required": ["c", "b"], "additionalProperties": {"type": "null"}}"#,
                [#"{"a":1,"b":null,"c":null}"#, #"{"b":null,"c":null,"d":null}"#],
                [#"{"a":1,"c":null,"b":null}"#, #"{"a":1}"#, #"{"b":null,"c":null,"a":null}"#]
            ),
            (
                #"{"properties": {"é": {"const": 1}, "e\u0301": {"const": 2}}, "additionalProperties": false}"#,
                ["{\"\u{E9}\":1}", "{\"e\u{301}\":2}", "{\"\u{E9}\":1,\"e\u{301}\":2}"],
                ["{\"\u{E9}\":2}", "{\"e\u{301}\":1}", #"{"e":1}"#]
            ),
            (
                #"{"properties": {"ab": {"const": 1}, "a\"": {"const": 2}, "": {"const": 3}}}"#,
                [#"{"a":0,"abc":0,"a\"b":0,"a\\":0,"é":0,"\n":0}"#, #"{"":3}"#, #"{"ab":1,"a\"":2,"":3,"\"":0}"#],
                [#"{"x":0,"ab":0}"#, #"{"x":0,"a\"":0}"#, #"{"x":0,"":0}"#, #"{"\u0061b":0}"#, #"{"\/":0}"#]
            ),
            (#"{"properties": {"a": false}, "additionalProperties": false}"#, ["{}"], [#"{"a":1}"#]),
            (
                #"{"items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}"#, ["[true]", "[true, false]"],
                ["[]", "[true,true,true]"]
            ),
            (
                #"{"prefixItems": [{"const": 1}], "items": {"const": 2}}"#, ["[]", "[1]", "[1,2,2]"],
                ["[2]", "[1,1]", "[1,]"]
            ),
            (#"{"prefixItems": [{"const": 1}, {}], "items": false}"#, ["[]", "[1]", "[1,[]]"], ["[1,2,3]"]),
            (#"{"type": "array", "maxItems": 0}"#, ["[]", "[ ]"], ["[1]"]),
            (#"{"type": ["integer", "null"]}"#, ["-1", "0", "null"], ["1.5", "-", "00"]),
            (#"{"type": "number"}"#, ["-0.5E+3", "7"], ["1e", "1.e3", "01"]),
            (#"{"enum": [1, 12, "1", "12"]}"#, ["1", "12", "\"1\""], ["123", "2", "\"123\"", "1.0"]),
            (#"{"enum": [1, "a", null], "type": ["string", "null"]}"#, ["\"a\"", "null"], ["1"]),
            (#"{"enum": [1, 1.5, 2e0], "type": "integer"}"#, ["1", "2e0"], ["1.5", "2"]),
            (
                #"{"const": {"a": [1, {"b": null}], "é": "\n"}}"#, ["{\"a\":[1,{\"b\":null}],\"é\":\"\\n\"}"],
                [#"{"a":[1]}"#]
            ),
            (
                #"{"anyOf": [{"properties": {"t": {"const": "a"}, "x": {"type": "integer"}}, "required": ["t", "x"]},"#
                    + #"{"properties": {"t": {"const": "ab"}, "y": {"type": "null"}}, "required": ["t", "y"]}]}"#,
                [#"{"t":"a","x":1}"#, #"{"t":"ab","y":null}"#, #"{"t":"a","x":1,"y":2}"#],
                [#"{"t":"a","y":null}"#, #"{"t":"ab","x":1}"#, #"{"t":"b"}"#]
            ),
            (
                #"{"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": ["number", "string"]}, "maxItems": 2}]}"#,
                ["[1,2,3]", "[1.5,\"a\"]", "[1,2.5]"], ["[1.5,2,3]", "[1,2,3.5]", "[1,2,\"a\"]"]
            ),
            (#"{"allOf": [{"type": "null"}]}"#, ["null"], ["1"]),
            (
                ##"{"$defs": {"node": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},"##
                    + ##""required": ["next"], "additionalProperties": false}}, "$ref": "#/$defs/node"}"##,
                [#"{"next":null}"#, #"{"next":{"next":{"next":null}}}"#], ["null", "{}", #"{"next":{}}"#]
            ),
            (##"{"items": {"$ref": "#"}, "type": "array"}"##, ["[]", "[[],[[]]]"], ["[1]", "[[1]]"]),
            (
                ##"{"properties": {"a/b~": {"type": "null"}, "c": {"$ref": "#/properties/a~1b~0"}}}"##,
                [#"{"c":null}"#], [#"{"c":1}"#]
            ),
            (
                #"{"format": "date-time"}"#, ["\"2024-02-28T23:59:59.5Z\""],
                ["\"2024-02-30T00:00:00Z\"", "\"2024-02-28\""]
            ),
            (#"{"format": "ipv4"}"#, ["\"255.0.10.1\""], ["\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""]),
            (#"{"minLength": 2, "maxLength": 3}"#, ["\"é😀\"", "\"\\\"\\n\\\\\""], ["\"é\"", "\"abcd\""]),
        ])
    func schemas(_ schema: String, _ ones: [String], _ others: [String]) throws {
        let grammar = try grammar(schema)
        for text in ones { #expect(grammar.accepts(text), "\(text)") }
        for text in others { #expect(!grammar.accepts(text), "\(text)") }
    }

    @Test(
        "Patterns",
        arguments: [
            "^[a-c]+$", "b", "^b", "b$", "^a|b$", "^$", "", "^(?:ab|a)(bc)?$", "a{2}", "^a{2,}$", "^a{0,2}b*?$",
            "[^a-c]",
            #"^\d+\.\d{2}$"#, #"\s"#, #"^\S+$"#, #"^\w+$"#, #"^[\w.-]+@\w+\.[a-z]{2,}$"#, "^.$", "[é-ö]", #"^[^"\\]*$"#,
            #"\u00e9"#,
            "^(a|(b|c)*)d$", "^(a*)*$", "()|c", "[中-😀]", #"^[-a]$"#, #"^[a\-c]$"#,
        ])
    func patterns(_ pattern: String) throws {
        let grammar = try grammar(#"{"pattern": \#(JSONValue.string(pattern).text)}"#)
        var random = SeededGenerator(seed: 5, name: pattern)
        let pieces = [
            "a", "b", "c", "ab", "aa", "d", "1", "23", ".", "-", "@", "é", "ß", "中", "😀", "\"", "\\", "\n", " ",
            "\u{A0}", "_",
        ]
        var hits = 0
        for _ in 0..<600 {
            let text = (0..<random.below(5)).map { _ in random.choice(pieces) }.joined()
            let isHit = matches(pattern, text)
            if isHit { hits += 1 }
            #expect(grammar.accepts(JSONValue.string(text).text) == isHit, "\(text.debugDescription)")
        }
        #expect(hits > 0 || pattern.contains("@") || pattern.contains(#"\."#))
    }

    @Test("With `isStrict` an object has only the properties that are given")
    func strict() throws {
        let schema = #"{"properties": {"a": {"type": "object"}}}"#
        let (strict, open) = (try grammar(schema, isStrict: true), try grammar(schema))
        for (text, isStrict) in [(#"{"a":{"x":1}}"#, true), (#"{"b":1}"#, false)] {
            #expect(strict.accepts(text) == isStrict)
            #expect(open.accepts(text))
        }
    }

    @Test("No more than 64 levels are begun, and none that could not be ended within them")
    func levels() throws {
        func lists(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        let any = try grammar("{}")
        #expect(any.accepts(lists(64)))
        #expect(any.taken(lists(65).utf8).count == 64)

        let child = try grammar(##"{"properties": {"c": {"$ref": "#"}}, "additionalProperties": false}"##)
        let steps = String(repeating: #"{"c":"#, count: 63) + "{"
        #expect(child.taken(steps.utf8).count == steps.utf8.count)
        // At the deepest level the key would need another one.
        #expect(child.taken(steps.utf8).cursor.allowed() == Array("\n }".utf8).map(Int32.init))
        #expect(child.accepts(steps + String(repeating: "}", count: 64)))
        #expect(throws: GrammarError.self) {
            try grammar(##"{"properties": {"c": {"$ref": "#"}}, "required": ["c"]}"##)
        }
    }

    @Test("A text may end exactly where the value is complete, and tokens without bytes never come")
    func ends() throws {
        let grammar = try grammar(#"{"anyOf": [{"type": "integer"}, {"const": "a"}]}"#)
        var cursor = GrammarCursor(TokenGrammar(grammar, bytewise))
        #expect(!cursor.isComplete)
        var before = cursor
        let isTaken = cursor.advance(Int32(UInt8(ascii: "1")))
        #expect(isTaken && cursor.isComplete && cursor.allowed() == (0..<10).map { 0x30 + $0 })
        // An older copy stands where it stood.
        #expect(!before.isComplete)
        let word = Array("\"a\"".utf8).map { before.advance(Int32($0)) }
        #expect(word == [true, true, true] && before.isComplete && before.allowed().isEmpty)
        for cursor in [cursor, before] { #expect(!cursor.allows(256) && !cursor.allows(-1) && !cursor.allows(300)) }
    }
}
