import ForetokenGrammar
import ForetokenJSON
import ForetokenTestSupport
import Testing

@Suite("Grammars of random schemas")
struct RandomSchemaTests {
    /// A grammar of a random schema; nil where the schema refers to itself with nothing in between or admits nothing.
    private func random(_ schemas: inout RandomSchemas) throws -> (grammar: Grammar, schema: JSONValue, text: String)? {
        let text = schemas.schema()
        let schema = try json(text)
        do {
            return (try Grammar(schema: schema, isStrict: false), schema, text)
        } catch {
            #expect(
                error.reason.contains("refers to itself") || error.reason.contains("no value"), "\(error) of \(text)")
            return nil
        }
    }

    @Test("A value is of the language exactly where a checker says so", arguments: 0..<8)
    func sameLanguage(seed: UInt64) throws {
        var schemas = RandomSchemas(random: SeededGenerator(seed: seed))
        var (fitting, refused, compiled) = (0, 0, 0)
        for _ in 0..<60 {
            guard let (grammar, schema, text) = try random(&schemas) else { continue }
            compiled += 1
            let checker = Checker(schema)
            for _ in 0..<30 {
                guard let value = schemas.value(of: schema, checker) else { continue }
                try #require(checker.fits(value), "\(value.text()) by \(text)")
                fitting += 1
                for spelling in [value.text(), value.text(isCompact: true), value.pretty()] {
                    #expect(grammar.accepts(spelling), "\(spelling) by \(text)")
                }
                var other = value
                for _ in 0..<4 {
                    other = schemas.changed(other)
                    let fits = checker.fits(other)
                    if !fits { refused += 1 }
                    #expect(grammar.accepts(other.text()) == fits, "\(other.text()) by \(text)")
                }
            }
        }
        #expect(compiled > 40 && fitting > 500 && refused > 500)
    }

    @Test("Texts made by masks alone are JSON that fits the schema", arguments: 0..<8)
    func madeByMasks(seed: UInt64) throws {
        var schemas = RandomSchemas(random: SeededGenerator(seed: 100 + seed), allowsOthers: false)
        var complete = 0
        for _ in 0..<40 {
            guard let (grammar, schema, text) = try random(&schemas) else { continue }
            let checker = Checker(schema)
            let tokens = OddVocabulary(&schemas.random)
            let bound = TokenGrammar(grammar, GrammarVocabulary(tokens.bytes))
            for _ in 0..<5 {
                guard let made = try tokens.text(bound, &schemas.random) else { continue }
                complete += 1
                let value = try JSONValue(made)
                let shown = String(decoding: made, as: UTF8.self)
                let fits = checker.fits(Tree(value))
                #expect(fits, "\(shown) by \(text)")
            }
        }
        #expect(complete > 80)
    }

    @Test("Objects made by masks alone are JSON", arguments: 0..<8)
    func madeObjects(seed: UInt64) throws {
        var random = SeededGenerator(seed: 200 + seed)
        let grammar = try Grammar.jsonObject()
        let tokens = OddVocabulary(&random)
        let bound = TokenGrammar(grammar, GrammarVocabulary(tokens.bytes))
        var complete = 0
        for _ in 0..<60 {
            guard let made = try tokens.text(bound, &random) else { continue }
            do throws(JSONError) {
                let value = try JSONValue(made)
                #expect(value.object != nil)
                complete += 1
            } catch {
                // A grammar cannot remember names.
                #expect(error.reason.contains("appears twice"))
            }
        }
        #expect(complete > 30)
    }

    @Test("A mask has exactly the tokens that are allowed one by one", arguments: 0..<8)
    func masksAreExact(seed: UInt64) throws {
        var schemas = RandomSchemas(random: SeededGenerator(seed: 300 + seed))
        var states = 0
        for _ in 0..<12 {
            guard let (grammar, _, text) = try random(&schemas) else { continue }
            let tokens = OddVocabulary(&schemas.random)
            let bound = TokenGrammar(grammar, GrammarVocabulary(tokens.bytes))
            for _ in 0..<4 {
                var cursor = GrammarCursor(bound)
                for _ in 0..<60 {
                    let allowed = cursor.allowed()
                    let singly = (0..<Int32(tokens.bytes.count)).filter { cursor.allows($0) }
                    try #require(allowed == singly, "\(text)")
                    states += 1
                    guard let next = allowed.randomElement(using: &schemas.random), cursor.advance(next) else { break }
                }
            }
        }
        #expect(states > 500)
    }

    @Test("Masks are exact where levels run out, too", arguments: 0..<4)
    func masksOfDeepPlaces(seed: UInt64) throws {
        var random = SeededGenerator(seed: 400 + seed)
        let tokens = OddVocabulary(&random)
        let schema =
            ##"{"$defs": {"a": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}, {"##
            + ##""properties": {"a": {"$ref": "#/$defs/a"}}}, {"type": "number"}]}}, "$ref": "#/$defs/a"}"##
        for text in ["{}", schema] {
            let bound = TokenGrammar(
                try grammar(text), GrammarVocabulary(tokens.bytes))
            var cursor = GrammarCursor(bound)
            let deeper = tokens.bytes.indices.filter {
                ["[", "{\"a\":", "[["].map { Array($0.utf8) }.contains(tokens.bytes[$0])
            }
            var levels = 0
            while let next = deeper.map(Int32.init).filter({ cursor.allows($0) }).randomElement(using: &random) {
                let isTaken = cursor.advance(next)
                try #require(isTaken)
                levels += tokens.bytes[Int(next)].count { $0 == 0x5B || $0 == 0x7B }
                #expect(cursor.allowed() == (0..<Int32(tokens.bytes.count)).filter { cursor.allows($0) })
            }
            #expect(levels == 64)
        }
    }
}

/// Single bytes, tokens that cross marks, parts of UTF-8, random pieces, repeated and empty tokens.
struct OddVocabulary {
    var bytes: [[UInt8]]

    init(_ random: inout SeededGenerator) {
        let texts = [
            "\"},{\"", "\":", "\": ", "\", \"", "\":{\"", "{\"", "\"}", "}}", "]]", "}]}", "],[", "[[", "{\"a\":",
            "true",
            " true", "null,", "12", "123", "1,", "0]", ".5", "e+1", "-1", "\\u", "\\u00", "\\ud83d", "\\ude00", "\\\"",
            "\n  ",
            "\n    \"", "  ", " \n", "ab", "abc\"", "é", "é\"", "foo", "bar\"", "<end>", "[1,2],[3]", "\"\":\"\",\"",
            "[{", "}, {",
        ]
        var bytes = (0..<256).map { [UInt8($0)] } + texts.map { Array($0.utf8) }
        bytes += [[], [], [0xF0, 0x9F], [0x98, 0x80], [0xC3], [0xA9, 0x22], [0xED, 0xA0], Array("ab".utf8)]
        let marks = Array("{}[]\",:\\ \n0123-.eab".utf8)
        for _ in 0..<150 { bytes.append((0..<2 + random.below(4)).map { _ in random.choice(marks) }) }
        self.bytes = bytes + [[], Array("}".utf8)]
        self.bytes.shuffle(from: 0, to: bytes.count, using: &random)
    }

    /// A text of tokens that masks allow, a whole value; nil where it becomes none. It begins at random and then takes the
    /// shortest way out.
    func text(_ grammar: TokenGrammar, _ random: inout SeededGenerator) throws -> [UInt8]? {
        var (cursor, text) = (GrammarCursor(grammar), [UInt8]())
        let wild = random.below(60)
        for step in 0..<600 {
            let allowed = cursor.allowed()
            if cursor.isComplete, step > wild || allowed.isEmpty || random.isHit(oneIn: 8) { return text }
            // Every byte is a token, so there is always a way.
            var token = try #require(allowed.randomElement(using: &random), "\(String(decoding: text, as: UTF8.self))")
            if step > wild {
                let marks = "}]\"n0:t".utf8.flatMap { mark in allowed.filter { bytes[Int($0)] == [mark] } }
                if let first = marks.first, !random.isHit(oneIn: 10) { token = first }
            }
            let isTaken = cursor.advance(token)
            try #require(isTaken)
            text += bytes[Int(token)]
        }
        return nil
    }
}

extension [[UInt8]] {
    fileprivate mutating func shuffle(from first: Int, to last: Int, using random: inout SeededGenerator) {
        self[first..<last].shuffle(using: &random)
    }
}
