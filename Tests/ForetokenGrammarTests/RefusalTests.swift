import ForetokenGrammar
import ForetokenJSON
import ForetokenTestSupport
import Testing

@Suite("Schemas that are refused")
struct RefusalTests {
    @Test(
        "What is not supported is named with its place",
        arguments: [
            (
                #"{"properties": {"a": {"type": "integer", "minimum": 0}}}"#, "#/properties/a/minimum",
                "\"minimum\" is not supported"
            ),
            (#"{"items": {"multipleOf": 2}}"#, "#/items/multipleOf", "\"multipleOf\" is not supported"),
            (#"{"anyOf": [{}, {"not": {}}]}"#, "#/anyOf/1/not", "\"not\" is not supported"),
            (#"{"if": {}}"#, "#/if", "\"if\" is not supported"),
            (#"{"patternProperties": {}}"#, "#/patternProperties", "is not supported"),
            (#"{"minProperties": 1}"#, "#/minProperties", "is not supported"),
            (
                #"{"additionalProperties": {"exclusiveMaximum": 1}}"#, "#/additionalProperties/exclusiveMaximum",
                "is not supported"
            ),
            (#"{"properties": {"a/b~": {"x-y": 1}}}"#, "#/properties/a~1b~0/x-y", "\"x-y\" is not supported"),
            (#"{"items": {"$id": "x"}}"#, "#/items/$id", "is not supported"),
            (#"{"uniqueItems": true}"#, "#/uniqueItems", "is not supported"),
            (#"{"allOf": [{}, {}]}"#, "#/allOf", "more than one schema"),
            (
                ##"{"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {}}}"##, "#/type",
                "\"type\" is not supported beside \"$ref\""
            ),
            (#"{"anyOf": [{}], "properties": {}}"#, "#/properties", "beside \"anyOf\""),
            (#"{"enum": ["a"], "minLength": 1}"#, "#/minLength", "beside \"enum\""),
            (#"{"enum": [1], "const": 1}"#, "#/const", "beside \"enum\""),
            (#"{"pattern": "a", "maxLength": 1}"#, "#/maxLength", "beside \"pattern\""),
            (#"{"format": "email"}"#, "#/format", "expected one of date, date-time"),
            (#"{"type": "text"}"#, "#/type", "expected one of object"),
            (#"{"type": []}"#, "#/type", "expected one of object"),
            (#"{"type": ["null", 1]}"#, "#/type", "or a list of them"),
            (#"{"maxLength": 5000}"#, "#/maxLength", "from 0 to 4096, found 5000"),
            (#"{"minItems": -1}"#, "#/minItems", "from 0 to 4096"),
            (#"{"minItems": 3, "maxItems": 2}"#, "#/maxItems", "2 is less than minItems, 3"),
            (#"{"minLength": 3, "maxLength": 2}"#, "#/maxLength", "2 is less than minLength, 3"),
            (
                #"{"required": ["a"], "additionalProperties": false}"#, "#/required",
                "\"a\" is not one of the properties"
            ),
            (#"{"required": "a"}"#, "#/required", "a list of strings"),
            (#"{"properties": []}"#, "#/properties", "an object of schemas"),
            (#"{"enum": []}"#, "#/enum", "at least one value"),
            (#"{"enum": [1], "type": "string"}"#, "#/enum", "no value has the type"),
            (#"{"const": [NaN]}"#, "#/const", "NaN is not a number of JSON"),
            (#"{"anyOf": []}"#, "#/anyOf", "at least one schema"),
            (#"{"items": 1}"#, "#/items", "expected a schema, found 1"),
            ("[]", "#", "expected a schema"),
            ("false", "#", "no value"),
            (##"{"$ref": "other.json#/a"}"##, "#/$ref", "a place in the same schema"),
            (##"{"$ref": "#/$defs/a"}"##, "#/$ref", "there is nothing at \"#/$defs/a\""),
            (##"{"$ref": "#"}"##, "#", "refers to itself with nothing in between"),
            (
                ##"{"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {}]}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}"##,
                "#/$defs/", "refers to itself"
            ),
            (
                ##"{"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}, "$ref": "#/$defs/a"}"##,
                "#", "no value"
            ),
            (#"{"oneOf": [{"type": "integer"}, {"type": "number"}]}"#, "#/oneOf", "0 and 1 might not"),
            (
                #"{"oneOf": [{"type": "null"}, {"type": "object"}, {"required": ["a"]}]}"#, "#/oneOf",
                "1 and 2 might not"
            ),
            (#"{"pattern": "a(?=b)"}"#, "#/pattern", "this kind of group"),
            (#"{"pattern": "(a)\\1"}"#, "#/pattern", "this escape is not supported: \"1\" at character 4"),
            (#"{"pattern": "\\bfoo"}"#, "#/pattern", "this escape"),
            (#"{"pattern": "a^"}"#, "#/pattern", "\"^\" at character 1"),
            (#"{"pattern": "(^a)"}"#, "#/pattern", "\"^\" at character 1"),
            (#"{"pattern": "a)"}"#, "#/pattern", "\")\" at character 1"),
            (#"{"pattern": "(a"}"#, "#/pattern", "the end of a group: the end of the pattern"),
            (#"{"pattern": "[a"}"#, "#/pattern", "the end of a class"),
            (#"{"pattern": "[b-a]"}"#, "#/pattern", "expected a range"),
            (#"{"pattern": "*"}"#, "#/pattern", "\"*\" at character 0"),
            (#"{"pattern": "a{2,1}"}"#, "#/pattern", "the end of a count"),
            (#"{"pattern": "a{9999}"}"#, "#/pattern", "at most 4096"),
            (#"{"pattern": "\\p{L}"}"#, "#/pattern", "this escape"),
            (#"{"pattern": "\\ud800"}"#, "#/pattern", "half of a pair"),
        ])
    func refusals(_ schema: String, _ path: String, _ reason: String) throws {
        let schema = try json(schema)
        let error = #expect(throws: GrammarError.self) { try Grammar(schema: schema, isStrict: false) }
        #expect(
            error.map { $0.path.hasPrefix(path) && $0.reason.contains(reason) } == true, "\(String(describing: error))")
        #expect(error?.description == error.map { "\($0.path): \($0.reason)" })
    }

    @Test("Annotations are passed over, and so is what nothing refers to")
    func annotations() throws {
        let grammar = try grammar(
            ##"{"$schema": "x", "$id": "y", "title": "t", "description": "d", "default": 1, "examples": [], "deprecated": true, "##
                + ##""readOnly": true, "writeOnly": false, "$comment": "c", "definitions": {"a": {"not": {}}}, "type": "null"}"##
        )
        #expect(grammar.accepts("null") && !grammar.accepts("1"))
    }

    @Test("oneOf is taken where its schemas exclude each other")
    func exclusion() throws {
        let cats = ##"{"$ref": "#/$defs/cat"}, {"properties": {"kind": {"const": "dog"}}, "required": ["kind"]}"##
        let schema =
            ##"{"$defs": {"cat": {"properties": {"kind": {"enum": ["cat", "lion"]}}, "required": ["kind"]}}, "##
        let grammar = try grammar(
            schema + ##""oneOf": [\##(cats), {"type": "null"}, {"enum": [1, 2]}, {"const": 3.5}]}"##)
        for text in [#"{"kind": "lion"}"#, #"{"kind":"dog", "x":1}"#, "null", "2", "3.5"] {
            #expect(grammar.accepts(text))
        }
        for text in [#"{"kind": "cow"}"#, "{}", "3"] { #expect(!grammar.accepts(text)) }
    }

    @Test(
        "Large and hostile schemas end soon, most of them with an error that says so",
        arguments: [
            #"{"pattern": "(.?){4096}"}"#, #"{"pattern": "((a{100}){100}){100}"}"#,
            #"{"pattern": "((((){4096}){4096}){4096}){4096}$"}"#,
            #"{"pattern": "^(a|b)*a(a|b){40}$"}"#, #"{"pattern": "(x*)*y(x+x+)+y"}"#, #"{"maxLength": 4096}"#,
            #"{"maxItems": 4096}"#, #"{"minItems": 4096, "items": {"maxItems": 4096}}"#,
            #"{"pattern": "\#(String(repeating: "(", count: 70))"}"#,
            #"{"pattern": "(){0,4096}"}"#, #"{"pattern": "(((){0,4096}){0,4096}){0,31}"}"#,
            #"{"pattern": "((|){0,4096}){0,4096}"}"#, #"{"pattern": "(([a-c]|){0,4096}[^b]*){0,64}"}"#,
            #"{"enum": [\#((0..<5000).map { "\"\($0 * 7919)\"" }.joined(separator: ","))]}"#,
            #"{"properties": {\#((0..<3000).map { "\"p\($0)\": {}" }.joined(separator: ","))}}"#,
            #"{"anyOf": [\#((0..<400).map { "{\"properties\": {\"k\($0)\": {}, \"l\($0)\": {}}}" }.joined(separator: ","))]}"#,
            #"{"anyOf": [\#((0..<24).map { "{\"pattern\": \"\($0)..........\"}" }.joined(separator: ","))]}"#,
            ##"{"$defs": {\##((0..<4000).map { "\"\($0)\": {\"items\": {\"$ref\": \"#/$defs/\($0 + 1)\"}}" }.joined(separator: ",")), "4000": {}}, "$ref": "#/$defs/0"}"##,
            ##"{"$defs": {\##((0..<4000).map { "\"\($0)\": {\"$ref\": \"#/$defs/\($0 + 1)\"}" }.joined(separator: ",")), "4000": {}}, "$ref": "#/$defs/0"}"##,
            ##"{"$defs": {\##((1...14).map { "\"\($0)\": {\"properties\": {\"a\": {\"$ref\": \"#/$defs/\($0 - 1)\"}, \"b\": {\"$ref\": \"#/$defs/\($0 - 1)\"}}}" }.joined(separator: ",")), "0": {}}, "$ref": "#/$defs/14"}"##,
        ])
    func hostile(_ text: String) throws { try endsSoon(text) }

    private func endsSoon(_ text: String) throws {
        let schema = try json(text)
        do throws(GrammarError) {
            let grammar = try Grammar(schema: schema, isStrict: false)
            #expect(!grammar.taken([]).cursor.allowed().isEmpty)
        } catch {
            #expect(error.reason.contains("too large") || error.reason.contains("groups inside each other"))
        }
    }

    /// Schemas that are too long to be shown: each would take much time or memory if something were not counted.
    private static func huge(_ index: Int) -> String {
        func list(_ count: Int, _ text: (Int) -> String) -> String { (0..<count).map(text).joined(separator: ",") }
        return switch index {
        case 0: #"{"anyOf": [\#(list(32_760) { _ in "true" })]}"#
        case 1:
            #"{"properties": {"\#(String(repeating: "k", count: 1 << 20))": {"anyOf": [\#(list(32_000) { _ in "true" })]}}}"#
        case 2:
            ##"{"$defs": {\##(list(10_000) { "\"\($0)\": true" })}, "anyOf": [\##(list(10_000) { "{\"$ref\": \"#/$defs/\($0)\"}" })]}"##
        case 3:
            // As many ranges as scalars.
            "{\"pattern\": \"([\(String(String.UnicodeScalarView((0..<60_000).map { Unicode.Scalar(0x10000 + 2 * $0)! })))]a)*\"}"
        case 4: #"{"required": ["\#(String(repeating: "k", count: 120_000))"]}"#
        case 5:
            ##"{"$defs": {"a": {"anyOf": [\##(list(60) { "{\"maxLength\": \($0)}" })]}}, "prefixItems": [\##(list(8000) { _ in "{\"$ref\": \"#/$defs/a\"}" })]}"##
        case 6:
            ##"{"$defs": {"a": {"enum": [\##(list(16_000) { "\($0)" })]}}, "minItems": 4096, "items": {"$ref": "#/$defs/a"}}"##
        case 7:
            ##"{"$defs": {\##(list(64) { one in "\"\(one)\": {\"enum\": [\(list(64) { "\(one * 64 + $0)" })]}" })}, "anyOf": [\##(list(200) { _ in "{\"oneOf\": [\(list(64) { "{\"$ref\": \"#/$defs/\($0)\"}" })]}" })]}"##
        case 8: #"{"pattern": "(\#(String(repeating: "()", count: 200_000))a){4096}"}"#
        case 9:
            #"{"pattern": "([\#((0..<40).map { "\\\\u\(String(0x1020 + 2 * $0, radix: 16))" }.joined())]{0,4096}){0,64}"}"#
        case 10:
            ##"{"$defs": {"a": {"anyOf": [\##(list(4000) { "{\"items\": {\"enum\": [\($0)]}}" })]}}, "items": {"$ref": "#/$defs/a"}}"##
        case 11:
            ##"{"$defs": {"a": {"anyOf": [\##(list(300) { "{\"pattern\": \"^(a{\($0 + 1)})*$\"}" })]}}, "prefixItems": [\##(list(2000) { _ in "{\"$ref\": \"#/$defs/a\"}" })]}"##
        default: #"{"const": "\#(String(repeating: "\\u0001", count: 30_000))"}"#
        }
    }

    @Test("So do those that are too long to be shown", arguments: 0..<13)
    func huge(_ index: Int) throws { try endsSoon(Self.huge(index)) }

    @Test("Damaged schemas are read or refused, whatever the damage", arguments: 0..<8)
    func damaged(seed: UInt64) throws {
        var schemas = RandomSchemas(random: SeededGenerator(seed: 500 + seed))
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "$ref", "\"#\"", "anyOf", "1", "-", "null", "type", "object", "^", "(",
            "*", "{3}", "\\\\", "é", "4096",
        ]
        var (read, refused) = (0, 0)
        for _ in 0..<1500 {
            var text = Array(schemas.schema().unicodeScalars)
            for _ in 0...schemas.random.below(3) {
                let start = schemas.random.below(text.count)
                let end = min(start + schemas.random.below(4), text.count)
                text.replaceSubrange(start..<end, with: schemas.random.choice(pieces).unicodeScalars)
            }
            var whole = String.UnicodeScalarView()
            whole.append(contentsOf: text)
            guard let schema = try? json(String(whole)) else { continue }
            do throws(GrammarError) {
                let grammar = try Grammar(schema: schema, isStrict: schemas.random.isHit(oneIn: 2))
                #expect(!grammar.taken([]).cursor.allowed().isEmpty)
                read += 1
            } catch {
                #expect(error.path.hasPrefix("#") && !error.reason.isEmpty)
                refused += 1
            }
        }
        #expect(read > 20 && refused > 20)
    }
}
