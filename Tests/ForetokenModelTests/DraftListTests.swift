import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Tokens that drafts are chosen from: frequent ones and those of the text. Which they are, and what their logits are,
/// depends on the text's tokens alone.
@Suite(.serialized)
struct DraftListTests {
    /// Rows of a vocabulary of which a quarter, 525 rows or 17 panels, is frequent; its last panel has 20.
    private static let vocabulary = 2100
    private static let frequent: Int32 = 544
    /// An end token that is no frequent one.
    private static let end: Int32 = 2050

    private func model(_ modules: Int = 1) throws -> Model {
        let folder = try TemporaryFolder()
        let tiny = TinyModel(
            TinyGeometry {
                $0.vocabulary = Self.vocabulary
                $0.mtpModules = modules
                // Modules that are alike would hide which of them has drafted.
                $0.mtpCopies = modules != 2
            })
        for (name, bytes) in tiny.files() {
            let text = name == "config.json" ? String(decoding: bytes, as: UTF8.self) : ""
            let parts = text.split(separator: "\"eos_token_id\": 1")
            try folder.write(
                parts.count == 2 ? Array("\(parts[0])\"eos_token_id\": \(Self.end)\(parts[1])".utf8) : bytes, name)
        }
        let model = try Model.load(folder.path)
        #expect(model.configuration.eosTokens == [Self.end])
        return model
    }

    /// Tokens of which about one in `every` is not frequent.
    private func tokens(_ count: Int, oneIn every: Int, _ random: inout SeededGenerator) -> [Int32] {
        (0..<count).map { _ in
            Int.random(in: 0..<every, using: &random) == 0
                ? Int32.random(in: Self.frequent..<Int32(Self.vocabulary), using: &random)
                : Int32.random(in: 0..<Self.frequent, using: &random)
        }
    }

    /// A sixteenth of the vocabulary.
    private let mostRare = 131

    /// What a draft behind `text` is to be chosen from, said another way.
    private func expected(_ text: [Int32]) -> Set<Int32> {
        var rare = [Self.end]
        var new: [Int] = []
        for (position, token) in text.enumerated() where token >= Self.frequent && !rare.contains(token) {
            rare.append(token)
            new.append(position)
            if rare.count > mostRare { rare.remove(at: 1) }
        }
        let isWhole = new.count { $0 >= text.count - 64 } > 8
        return Set(isWhole ? Array(0..<Int32(Self.vocabulary)) : Array(0..<Self.frequent) + rare)
    }

    /// Tokens with a logit above -infinity in the last draft of a row.
    private func listed(_ model: Model, row: Int) -> Set<Int32> {
        let logits = model.draftHead!.logits(row: row)
        #expect(logits.count == Self.vocabulary && logits.allSatisfy { $0.isFinite || $0 == -.infinity })
        return Set(logits.indices.filter { logits[$0].isFinite }.map { Int32($0) })
    }

    @Test("Texts that grow, are cut, changed and begun anew, one or several in a call")
    func listsFollowFromTheTokens() throws {
        let model = try model()
        let capacity = 6000
        let texts = try (0..<3).map { _ in try model.makeSequence(context: capacity) }
        var random = SeededGenerator(seed: 5)
        var (wholes, longest, cuts) = (0, 0, 0)
        for _ in 0..<400 {
            for text in texts {
                let every = [2, 5, 20, 1000].randomElement(using: &random)!
                switch Int.random(in: 0..<100, using: &random) {
                case 0: text.restart(tokens(20, oneIn: every, &random))
                case 1...12:
                    let isDeep = Int.random(in: 0..<5, using: &random) == 0
                    text.count -= Int.random(in: 0...(isDeep ? text.count : min(100, text.count)), using: &random)
                    cuts += 1
                    // Drafts lie behind the text, and are none of it.
                    text.tokens[text.count] = Self.frequent + 7
                default:
                    let count = Int.random(in: 1...120, using: &random)
                    if text.count + count > capacity { text.count = capacity / 2 }
                    text.append(tokens(count, oneIn: every, &random))
                }
            }
            let count = Int.random(in: 1...texts.count, using: &random)
            let chosen = Array(texts.shuffled(using: &random).prefix(count))
            model.draftHead!.drawDrafts(chosen)
            for (row, text) in chosen.enumerated() {
                let expected = expected(Array(UnsafeBufferPointer(start: text.tokens, count: text.count)))
                #expect(listed(model, row: row) == expected)
                if expected.count == Self.vocabulary { wholes += 1 } else { longest = max(longest, expected.count) }
            }
        }
        #expect(wholes > 50 && cuts > 100 && longest == Int(Self.frequent) + mostRare, "\(wholes), \(cuts), \(longest)")
    }

    /// A text that verifier and modules have read, all but its newest token.
    private func text(_ model: Model, _ tokens: [Int32], number: Int = 0) throws -> TokenSequence {
        let sequence = try model.makeSequence(context: tokens.count + 100)
        sequence.number = number
        sequence.append(tokens)
        var step = Step()
        step.readPrompt(sequence, to: tokens.count - 1)
        model.verifier.run(step)
        let hidden = model.verifier.hidden(row: 0)
        model.draftHead!.read(
            sequence, hidden, stride: model.verifier.hiddenStride, count: step.rowCount, firstRow: 0)
        model.draftHead!.catchUp([sequence])
        return sequence
    }

    /// Other tokens in a text's place; nothing is run anew.
    private func put(_ tokens: [Int32], into sequence: TokenSequence) {
        sequence.count = 0
        for (i, token) in tokens.enumerated() { sequence.tokens[i] = token }
        sequence.count = tokens.count
    }

    /// A draft with the scores that chose it and all logits.
    private struct DraftBits: Hashable {
        let token: Int32
        let score: UInt32
        let runnerUp: UInt32
        let logits: [UInt32]

        init(_ head: MTPHead, row: Int) {
            let drawn = head.drawn(row: row)
            (token, score, runnerUp) = (drawn.token, drawn.score.bitPattern, drawn.runnerUp.bitPattern)
            logits = head.logits(row: row).map(\.bitPattern)
        }

        func logit(_ token: Int32) -> Float { Float(bitPattern: logits[Int(token)]) }
    }

    private static func rule(_ temperature: Float) -> DrawRule {
        DrawRule(inverseTemperature: temperature == 0 ? 0 : 1 / temperature, limit: vocabulary - 3, seed: 9)
    }

    /// The same guess, once from the text's list and once from all tokens: other tokens are put into the text's place for
    /// that, many new ones, of which the module has seen nothing.
    @Test(arguments: [1, 2, 3]) func listedTokensHaveTheLogitsOfTheWholeHead(modules: Int) throws {
        let model = try model(modules)
        let head = model.draftHead!
        var random = SeededGenerator(seed: 6)
        var (inList, outside) = (0, 0)
        for number in 0..<12 {
            let tokens = tokens(60 + number, oneIn: 12, &random)
            let sequence = try text(model, tokens)
            for made in 0..<4 {
                let rule = Self.rule(number % 3 == 0 ? 0 : 1)
                func draft() -> DraftBits {
                    head.drawDrafts([sequence]) { _ in Draw(rule, position: 70 + made) }
                    return DraftBits(head, row: 0)
                }
                let short = draft()
                put((0..<60).map { Self.frequent + $0 }, into: sequence)
                let whole = draft()
                put(tokens, into: sequence)
                let expected = expected(tokens)
                #expect(expected.count < Self.vocabulary && listed(short) == expected)
                #expect(listed(whole).count == Self.vocabulary)
                for token in expected { #expect(short.logits[Int(token)] == whole.logits[Int(token)]) }
                if expected.contains(whole.token) {
                    #expect((short.token, short.score) == (whole.token, whole.score))
                    inList += 1
                } else {
                    #expect(expected.contains(short.token) && Int(short.token) < rule.limit)
                    #expect(Float(bitPattern: short.score) <= Float(bitPattern: whole.score))
                    outside += 1
                }
                sequence.tokens[sequence.count + made] = short.token
                head.advance([sequence])
            }
        }
        #expect(inList > 4 && outside > 8, "\(inList) and \(outside)")
    }

    private func listed(_ draft: DraftBits) -> Set<Int32> {
        Set((0..<Int32(Self.vocabulary)).filter { draft.logit($0).isFinite })
    }

    @Test("In company, and wherever the rows lie", arguments: [[1], [2], [1, 1], [2, 1], [1, 1, 1], [1, 0]])
    func companyAndPlaceChangeNothing(workers: [Int]) throws {
        var random = SeededGenerator(seed: 7)
        // Some have few tokens that are not frequent, some many and old ones, some many new ones.
        let count = 200
        let all =
            [40, 12, 2, 3].map { tokens(count, oneIn: $0, &random) }
            + [tokens(120, oneIn: 2, &random) + tokens(80, oneIn: 30, &random), Array(repeating: 3, count: count)]
        #expect(Set(all.map { expected($0).count == Self.vocabulary }) == [false, true])
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.vocabulary = Self.vocabulary }).write(to: folder)
        func drafts(_ model: Model, together: Bool) throws -> [[DraftBits]] {
            let texts = try all.enumerated().map { try text(model, $1, number: $0) }
            let head = model.draftHead!
            var drafts = [[DraftBits]](repeating: [], count: texts.count)
            for made in 0..<3 {
                for company in together ? [Array(texts.indices)] : texts.indices.map({ [$0] }) {
                    let sequences = company.map { texts[$0] }
                    head.drawDrafts(sequences) {
                        Draw(Self.rule(company[$0] % 2 == 0 ? 0 : 0.9), position: count + made)
                    }
                    for (row, text) in company.enumerated() {
                        drafts[text].append(DraftBits(head, row: row))
                        sequences[row].tokens[count + made] = drafts[text].last!.token
                    }
                    head.advance(sequences)
                }
            }
            return drafts
        }
        let reference = try drafts(Model.load(folder.path, threads: 1), together: false)
        let model = try Model.load(folder.path, threads: workers.reduce(0, +), nodes: .madeUp(workers))
        #expect(try drafts(model, together: true) == reference)
        #expect(try drafts(model, together: false) == reference)
        #expect(Set(reference.joined().map(\.token)).count > 5, "drafts of every kind")
    }

    @Test func smallVocabulariesAreScoredWhole() {
        #expect(CutCoarseLMHead.frequentRows(of: 2047) == 2047)
        #expect(CutCoarseLMHead.frequentRows(of: 2048) == 512)
        #expect(CutCoarseLMHead.frequentRows(of: Self.vocabulary) == Int(Self.frequent))
        #expect(CutCoarseLMHead.frequentRows(of: 4096) == 1024)
    }
}
