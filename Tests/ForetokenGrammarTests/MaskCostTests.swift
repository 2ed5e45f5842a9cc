import CForetokenAllocationProbe
import ForetokenGrammar
import ForetokenJSON
import ForetokenTestSupport
import ForetokenTokenizer
import FoundationEssentials
import Testing

/// Where `Tests/fetch-tokenizer` puts the tokenizer of DeepSeek-V3.
private let publishedTokenizer = "\(#filePath.split(separator: "/ForetokenGrammarTests/")[0])/.fetched/tokenizer.json"
private let hasPublishedTokenizer = FileManager.default.fileExists(atPath: publishedTokenizer)

/// A schema such as applications send.
private let order = ##"""
    {"type": "object", "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"},
    "zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "country": {"enum": ["DE", "FR", "US"]}},
    "required": ["street", "city", "zip", "country"], "additionalProperties": false}},
    "properties": {"id": {"type": "integer"}, "customer": {"type": "object", "properties": {"name": {"type": "string"},
    "email": {"type": ["string", "null"]}, "home": {"$ref": "#/$defs/address"}, "work": {"anyOf": [{"$ref": "#/$defs/address"},
    {"type": "null"}]}}, "required": ["name", "email", "home", "work"], "additionalProperties": false},
    "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 32},
    "quantity": {"type": "integer"}, "price": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5}},
    "required": ["sku", "quantity", "price", "tags"], "additionalProperties": false}, "minItems": 1},
    "status": {"enum": ["open", "paid", "shipped", "cancelled"]}, "placed": {"type": "string", "format": "date-time"},
    "notes": {"type": ["string", "null"]}}, "required": ["id", "customer", "items", "status", "placed", "notes"],
    "additionalProperties": false}
    """##
private let sample = ##"""
    {"id": 1234, "customer": {"name": "Ada Lovelace", "email": null, "home": {"street": "12 St James's Square", "city": "London",
      "zip": "12345", "country": "DE"}, "work": null}, "items": [{"sku": "AB-12", "quantity": 2, "price": 9.99, "tags": ["new", "café"]},
      {"sku": "CD \"34\"", "quantity": 10, "price": 1e3, "tags": []}], "status": "paid", "placed": "2024-02-28T12:00:00Z",
      "notes": "Ring the bell, please: it is the 2nd door.\nThanks!"}
    """##

/// As many tokens as DeepSeek-V3 has, made up: words with and without a blank, marks of JSON, numbers, parts of UTF-8.
private func largeVocabulary() -> [[UInt8]] {
    var random = SeededGenerator(seed: 7)
    var tokens = Set((0..<256).map { [UInt8($0)] })
    for number in 0..<1110 { tokens.insert(Array("\(number)".utf8)) }
    let marks = [
        "\"", "{", "}", "[", "]", ",", ":", "\\", "\n", " ", "  ", "    ", "'", ".", "(", ")", ";", "<", ">", "=", "/",
    ]
    while tokens.count < 3000 {
        tokens.insert(Array((0..<2 + random.below(3)).map { _ in random.choice(marks) }.joined().utf8))
    }
    let syllables = (0..<400).map { _ in
        String((0..<1 + random.below(3)).map { _ in Character(Unicode.Scalar(UInt8(97 + random.below(26)))) })
    }
    while tokens.count < 129_000 {
        let word = (0..<1 + random.below(4)).map { _ in random.choice(syllables) }.joined()
        let start = random.choice(["", " ", " ", "_", "\"", "é", "中", "П"])
        tokens.insert(Array((start + (random.isHit(oneIn: 3) ? word.uppercased() : word)).utf8))
    }
    return tokens.sorted { $0.lexicographicallyPrecedes($1) }.shuffled(using: &random)
        + [[UInt8]](repeating: [], count: 280)
}
@Suite("What masks cost", .serialized)
struct MaskCostTests {
    @Test("Masks of 129,280 made-up tokens along a text, whose times are printed")
    func times() throws {
        let tokens = largeVocabulary()
        let clock = ContinuousClock()
        var vocabulary: GrammarVocabulary?
        print("sorting \(tokens.count) tokens: \(clock.measure { vocabulary = GrammarVocabulary(tokens) })")
        try measure(try #require(vocabulary), tokens)
    }

    @Test(
        "The same with the published tokens, as which the text is written",
        .enabled(if: hasPublishedTokenizer, "Tests/fetch-tokenizer fetches it"))
    func published() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: Array(try Data(contentsOf: URL(filePath: publishedTokenizer))))
        let tokens = (0..<Int32(129_280)).map { tokenizer.isSpecial($0) ? [] : Array(tokenizer.bytes(of: $0) ?? []) }
        let clock = ContinuousClock()
        var vocabulary: GrammarVocabulary?
        print("sorting \(tokens.count) tokens: \(clock.measure { vocabulary = GrammarVocabulary(tokens) })")
        try measure(try #require(vocabulary), tokens, try tokenizer.encode(sample))

        // Every token one by one, at some places.
        let bound = TokenGrammar(try grammar(order, isStrict: true), try #require(vocabulary))
        var cursor = GrammarCursor(bound)
        for (number, token) in try tokenizer.encode(sample).enumerated() {
            if number % 6 == 0 {
                let singly = (0..<Int32(tokens.count)).filter { cursor.allows($0) }
                #expect(cursor.allowed() == singly)
            }
            guard cursor.advance(token) else { break }
        }
        #expect(cursor.isComplete)
    }

    /// Goes along the sample three times, as these tokens or byte by byte, and prints what it took.
    private func measure(_ vocabulary: GrammarVocabulary, _ tokens: [[UInt8]], _ text: [Int32]? = nil) throws {
        let clock = ContinuousClock()
        let schema = try json(order)
        var grammar: Grammar?
        for _ in 0..<3 {
            let time = try clock.measure { grammar = try Grammar(schema: schema, isStrict: true) }
            print("compiling the schema: \(time), \(grammar?.stateCount ?? 0) states")
        }
        let bound = TokenGrammar(try #require(grammar), vocabulary)
        let bytes = Dictionary(
            tokens.enumerated().filter { $1.count == 1 }.map { ($1[0], Int32($0)) },
            uniquingKeysWith: { first, _ in first })
        let text = try text ?? sample.utf8.map { try #require(bytes[$0]) }
        var words = [UInt64](repeating: 0, count: bound.wordCount)
        let prepared = TokenGrammar(try #require(grammar), vocabulary)
        let time = clock.measure { prepared.prepare() }
        print("preparing \(prepared.keptMasks) masks: \(time)")
        for (pass, bound) in [("first", bound), ("second", bound), ("third", bound), ("first prepared", prepared)] {
            var (times, cursor) = ([Duration](), GrammarCursor(bound))
            var advances = Duration.zero
            for token in text {
                times.append(
                    clock.measure { words.withUnsafeMutableBufferPointer { cursor.mask(into: $0.baseAddress!) } })
                #expect(words[Int(token / 64)] >> UInt64(token % 64) & 1 == 1)
                var isTaken = false
                advances += clock.measure { isTaken = cursor.advance(token) }
                #expect(isTaken)
            }
            #expect(cursor.isComplete)
            let sum = times.reduce(.zero, +)
            print(
                "\(pass) pass of \(times.count): \(sum / times.count) a mask, at most \(times.max() ?? .zero), "
                    + "\(times.count { $0 > .milliseconds(1) }) above 1 ms; \(advances / times.count) to advance")
        }
    }

    @Test(
        "Neither masks that are kept nor advancing allocates",
        .enabled(if: foretoken_allocation_probe_is_active(), "sanitizers replace the allocator"))
    func allocations() throws {
        let bound = TokenGrammar(try grammar(order, isStrict: true), bytewise)
        var words = [UInt64](repeating: 0, count: bound.wordCount)
        var counts: [UInt64] = []
        for _ in 0..<3 {
            let before = foretoken_allocation_count()
            var cursor = GrammarCursor(bound)
            for byte in sample.utf8 {
                words.withUnsafeMutableBufferPointer { cursor.mask(into: $0.baseAddress!) }
                let copy = cursor
                guard cursor.advance(Int32(byte)), copy.allows(Int32(byte)) else { break }
            }
            counts.append(foretoken_allocation_count() - before)
            #expect(cursor.isComplete)
        }
        #expect(counts[0] > 0 && counts[2] == 0, "\(counts)")
    }

    @Test("Masks that were prepared are those that are made when needed")
    func preparing() throws {
        let tokens =
            (0..<256).map { [UInt8($0)] } + ["\", \"", "\"}", " \"", "abc", "1,", "00Z\""].map { Array($0.utf8) }
        let (grammar, vocabulary) = (try grammar(order, isStrict: true), GrammarVocabulary(tokens))
        let (late, early) = (TokenGrammar(grammar, vocabulary), TokenGrammar(grammar, vocabulary))
        early.prepare()
        #expect(late.keptMasks == 0 && early.keptMasks > 8)
        var (left, right) = (GrammarCursor(late), GrammarCursor(early))
        for byte in sample.utf8 {
            #expect(left.allowed() == right.allowed())
            let areTaken = (left.advance(Int32(byte)), right.advance(Int32(byte)))
            #expect(areTaken == (true, true))
        }
    }

    @Test("Far from the end of a long string its states share a mask, which is still exact near the end")
    func longStrings() throws {
        let tokens = (0..<256).map { [UInt8($0)] } + ["abc", "é\",", "中中", "\"]"].map { Array($0.utf8) }
        let schema = #"{"items": {"type": "string", "minLength": 3, "maxLength": 400}, "maxItems": 2}"#
        let bound = TokenGrammar(try grammar(schema), GrammarVocabulary(tokens))
        var cursor = GrammarCursor(bound)
        for byte in (#"[""# + String(repeating: "xé", count: 200)).utf8 {
            #expect(cursor.allowed() == (0..<Int32(tokens.count)).filter { cursor.allows($0) })
            let isTaken = cursor.advance(Int32(byte))
            #expect(isTaken)
        }
        #expect(cursor.allowed() == [0x22, 259])
    }

    @Test("Masks are kept where levels might run out, too, by how many are left")
    func deepMasks() throws {
        let lists = (1...60).map {
            ##""\##($0)": {"items": {"$ref": "#/$defs/\##($0 - 1)"}, "minItems": 1, "type": "array"}"##
        }
        let schema =
            ##"{"$ref": "#/$defs/60", "$defs": {"0": {"type": ["array", "string"]}, \##(lists.joined(separator: ", "))}}"##
        let tokens = (0..<256).map { [UInt8($0)] } + ["[[[[[", "[[", "]]", "[]", "],[", "\"]"].map { Array($0.utf8) }
        let bound = TokenGrammar(try grammar(schema), GrammarVocabulary(tokens))
        let text = String(repeating: "[", count: 60)
        for levels in [64, 62] {
            var kept = 0
            for pass in 0..<2 {
                var cursor = GrammarCursor(bound)
                for byte in (text + String(repeating: "[", count: levels - 60) + "]").utf8 {
                    #expect(cursor.allowed() == (0..<Int32(tokens.count)).filter { cursor.allows($0) })
                    let isTaken = cursor.advance(Int32(byte))
                    try #require(isTaken)
                }
                if pass == 1 { #expect(bound.keptMasks == kept) }
                kept = bound.keptMasks
            }
            #expect(kept >= 64)
        }
    }

    @Test("What is counted of a grammar are its tables and all that is kept of masks")
    func bytes() throws {
        // Ten values of one list that end in ten ways, and tokens that go on behind a number.
        let texts = (1...10).map { "{\"pattern\": \"^a{\($0)}$\"}" }.joined(separator: ", ")
        let schema = #"{"items": {"anyOf": [\#(texts), {"type": "integer"}]}}"#
        let small = try grammar(#"{"items": {"type": "integer"}}"#)
        let large = try grammar(schema)
        let tokens = (0..<256).map { [UInt8($0)] } + (100..<900).map { Array("\($0),".utf8) }
        let vocabulary = GrammarVocabulary(tokens)
        let (bound, other) = (TokenGrammar(large, vocabulary), TokenGrammar(small, vocabulary))
        let (tables, otherTables) = (bound.byteCount, other.byteCount)
        // Of each state at least a row of moves, its outcome, how far its end is, and where it returns to.
        #expect(tables > large.stateCount * (4 + 2 + 1 + 4) && otherTables < tables)
        var cursor = GrammarCursor(bound)
        for byte in "[1".utf8 {
            let isTaken = cursor.advance(Int32(byte))
            try #require(isTaken)
        }
        #expect(cursor.allowed().count > 800)
        // The allowed tokens, and the places of 800 tokens where the number ends, 8 bytes each.
        #expect(bound.keptMasks == 2 && bound.byteCount > tables + bound.wordCount * 8 + 6400)
    }
}
