import ForetokenGrammar
import ForetokenJSON
import ForetokenTokenizer
import ForetokenWeights

/// What an answer may be made of; all answers to a request share it. Either its content has a grammar, or it must be calls of
/// tools, both behind whatever the model thinks first; or anything may come, and only the calls in it have a form.
package final class AnswerForm: Sendable {
    /// A tool that may be called.
    package struct Tool: Sendable {
        let name: String
        /// The schema that the arguments of its calls are to fit; nil where they may be anything.
        package let parameters: JSONValue?
        let isStrict: Bool

        package init(name: String, parameters: JSONValue?, isStrict: Bool) {
            (self.name, self.parameters, self.isStrict) = (name, parameters, isStrict)
        }
    }

    /// Tokens up to the arguments of a call, or those behind the last call.
    struct Head: Sendable {
        let tokens: [Int32]
        /// The grammar's schema for what follows; nil where anything may.
        var schema: Int?
        var isEnd = false
    }

    /// Ids of the model's tokens are below.
    let tokenCount: Int
    /// Tokens that end the answer, none of which may come before so many others.
    let endTokens: [Int32]
    let minimumTokens: Int
    /// Those of them that are no text and so may stand behind a text that is complete.
    let closers: [Int32]
    let marks: AnswerGrammar?
    /// What content must be; nil where there is to be none, or any.
    let content: TokenGrammar?
    /// Whether the answer must be calls.
    let mustCall: Bool
    /// Arguments of calls; nil where they may be anything.
    let arguments: TokenGrammar?
    /// Beginnings of the first call and of a later one, or the end of the calls, in the order of their tokens.
    let firstHeads: [Head]
    let laterHeads: [Head]
    /// Tokens that neither a thought nor free arguments may have where the rest of the answer has a form.
    let barred: [Int32]

    /// - Parameters:
    ///   - marks: how answers are told apart; nil where all is content.
    ///   - content: what content must be; nil for anything.
    ///   - tools: those that may be called. Their names must differ.
    ///   - mustCall: whether the answer must be calls; then its content does not matter.
    ///   - endTokens: tokens that end the answer.
    ///   - minimumTokens: so many tokens come before any of them.
    /// - Throws: `InputError` without a tokenizer; `TokenizerError`; `GrammarError` for the schema of a tool.
    package init(
        _ shelf: GrammarShelf, marks: AnswerGrammar?, content: TokenGrammar?, tools: [Tool], mustCall: Bool,
        endTokens: [Int32], minimumTokens: Int
    ) throws {
        tokenCount = shelf.open.configuration.vocabularySize
        closers = endTokens.filter { shelf.isNoText($0) }
        (self.endTokens, self.minimumTokens) = (endTokens, minimumTokens)
        (self.marks, self.mustCall) = (marks, mustCall)
        self.content = mustCall ? nil : content
        guard let calls = marks?.calls, !tools.isEmpty else {
            precondition(!mustCall, "calls need tools, and a way to write them")
            (arguments, firstHeads, laterHeads, barred) = (nil, [], [], closers)
            return
        }
        barred = closers + [calls.callsBegin, calls.callsEnd, calls.callBegin, calls.callEnd]
        let schemas = tools.compactMap { tool in tool.parameters.map { (schema: $0, isStrict: tool.isStrict) } }
        arguments = schemas.isEmpty ? nil : try shelf.grammar(schemas, suffix: calls.tail)
        let tokens = try shelf.open.requiredTokenizer()
        var heads: [Head] = []
        var schema = 0
        for tool in tools {
            heads.append(Head(tokens: try calls.head(name: tool.name, tokens)))
            guard tool.parameters != nil else { continue }
            heads[heads.count - 1].schema = schema
            schema += 1
        }
        let gap = try calls.gap(tokens)
        firstHeads = Self.sorted(heads.map { Head(tokens: [calls.callsBegin] + $0.tokens, schema: $0.schema) })
        laterHeads = Self.sorted(
            heads.map { Head(tokens: gap + $0.tokens, schema: $0.schema) }
                + [Head(tokens: [calls.callsEnd], isEnd: true)])
    }

    private static func sorted(_ heads: [Head]) -> [Head] {
        heads.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
    }

    /// Whether anything may come outside of calls.
    var isFree: Bool { content == nil && !mustCall }
}
