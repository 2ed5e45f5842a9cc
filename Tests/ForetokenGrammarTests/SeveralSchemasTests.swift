import ForetokenGrammar
import ForetokenJSON
import Testing

/// Grammars of several schemas, and values with a text behind them.
@Suite("Several schemas, and suffixes") struct SeveralSchemasTests {
    private func grammar(_ schemas: [String], suffix: String = "") throws -> TokenGrammar {
        let grammar = try Grammar(schemas: schemas.map { (try json($0), true) }, suffix: suffix)
        return TokenGrammar(grammar, bytewise)
    }

    private func accepts(_ grammar: TokenGrammar, _ schema: Int, _ text: String) -> Bool {
        var cursor = GrammarCursor(grammar, schema: schema)
        for byte in text.utf8 {
            guard cursor.allowed().contains(Int32(byte)), cursor.advance(Int32(byte)) else { return false }
        }
        return cursor.isComplete
    }

    private let schemas = [
        ##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}"##,
        ##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}"##,
        #"{"type": "object"}"#, #"{"type": "integer"}"#,
    ]

    @Test(arguments: ["", "\n```", "}"]) func eachTextFitsItsOwn(suffix: String) throws {
        let grammar = try grammar(schemas, suffix: suffix)
        let texts = [#"{"a":1}"#, #"{"a": "x"}"#, " {\n  \"b\": [{}]}", "\n-12"]
        let fits = [[true, false, true, false], [false, true, true, false], [false, false, true, false]]
        for (index, text) in texts.enumerated() {
            for schema in 0..<4 {
                let isFit = schema == 3 ? index == 3 : index < 3 && fits[index][schema]
                #expect(accepts(grammar, schema, text + suffix) == isFit, "\(schema): \(text)")
                guard !suffix.isEmpty else { continue }
                #expect(!accepts(grammar, schema, text))
                #expect(!accepts(grammar, schema, text + suffix + " "))
            }
        }
    }

    @Test("A token may hold the end of the value and the suffix's beginning") func tokensAcross() throws {
        let tokens = (0..<256).map { [UInt8($0)] } + ["1}\n", "}\n```", "}\n``` "].map { Array($0.utf8) }
        let grammar = TokenGrammar(
            try Grammar(schemas: [(try json(#"{"properties": {"a": {"type": "integer"}}}"#), true)], suffix: "\n```"),
            GrammarVocabulary(tokens))
        func cursor(behind text: String, then tokens: [Int32] = []) throws -> GrammarCursor {
            var cursor = GrammarCursor(grammar)
            for token in text.utf8.map(Int32.init) + tokens {
                let isTaken = cursor.allowed().contains(token) && cursor.advance(token)
                try #require(isTaken)
            }
            return cursor
        }
        let open = try cursor(behind: #"{"a":"#).allowed()
        #expect(open.contains(256) && !open.contains(257))
        let behind = try cursor(behind: #"{"a":1"#).allowed()
        #expect(behind.contains(257) && !behind.contains(258))
        let whole = try cursor(behind: #"{"a":1"#, then: [257])
        #expect(whole.isComplete && whole.allowed().isEmpty)
        let cut = try cursor(behind: #"{"a":"#, then: [256])
        #expect(!cut.isComplete && cut.allowed() == [0x60])
        #expect(try cursor(behind: #"{"a":"#, then: [256, 0x60, 0x60, 0x60]).isComplete)
    }

    @Test("The bound on levels leaves room for each value's end, with a suffix and without")
    func deepest() throws {
        for (suffix, levels) in [("", 64), ("!", 63)] {
            let grammar = try grammar(["{}"], suffix: suffix)
            let deep = String(repeating: "[", count: levels)
            #expect(accepts(grammar, 0, deep + deep.replacing("[", with: "]") + suffix))
            #expect(!accepts(grammar, 0, "[" + deep + deep.replacing("[", with: "]") + "]" + suffix))
        }
        // A value that needs all levels.
        let lists = (1...64).map {
            ##""\##($0)": {"items": {"$ref": "#/$defs/\##($0 - 1)"}, "minItems": 1, "type": "array"}"##
        }
        let schema =
            ##"{"$ref": "#/$defs/64", "$defs": {"0": {"type": "null"}, \##(lists.joined(separator: ", "))}}"##
        let nested = String(repeating: "[", count: 64)
        #expect(accepts(try grammar([schema]), 0, nested + "null" + nested.replacing("[", with: "]")))
        #expect(throws: GrammarError.self) { try grammar([schema], suffix: "!") }
    }

    @Test func whoseFaultItIs() throws {
        for (schemas, culprit) in [
            (["{}", #"{"properties": {"a": {"minimum": 0}}}"#], 1), ([#"{"if": 1}"#, "{}"], 0),
            (["{}", "{}", "false"], 2),
        ] {
            let error = #expect(throws: GrammarError.self) { try grammar(schemas) }
            #expect(error?.schema == culprit)
        }
        // Each is small enough, but not both.
        let large = #"{"type": "string", "maxLength": 2500}"#
        #expect(throws: Never.self) { try grammar([large]) }
        let error = #expect(throws: GrammarError.self) { try grammar([large, large.replacing("500", with: "400")]) }
        #expect(error?.schema == nil && error?.reason.contains("too large") == true)
    }
}
