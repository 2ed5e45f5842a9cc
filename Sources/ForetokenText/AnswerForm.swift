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

    /// Tokens that have to come as they are, and what comes behind them. `CallFormat.anyNumber` among them is a token of digits.
    struct Head: Sendable {
        let tokens: [Int32]
        let goal: Goal
    }

    /// What comes behind a head.
    enum Goal: Sendable {
        /// Nothing but the answer's end.
        case end
        /// Whatever is behind a call.
        case callEnd
        /// A part of a call: a value of one of the grammar's schemas, or any text where that is nil; then a token, and behind it
        /// the heads of another list, or what is behind a call where that is nil.
        case part(schema: Int?, until: Int32, then: Int?)
        /// Another list's heads.
        case heads(Int)
        /// Anything: nobody asked for a form of this call's arguments.
        case anything
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
    /// What calls are made of, each list in the order of its tokens: the beginnings of the first call; those of a later one, or the
    /// end of the calls; and in formats of keys and values what comes behind each of these. Empty without calls.
    let heads: [[Head]]
    /// The token before a call, and how many tokens of a first call's head have come with it.
    let callBegin: Int32?
    let callDepth: Int
    /// Whether the calls have an end of their own.
    let closesCalls: Bool
    /// Tokens that are numbers, in order.
    let numbers: [Int32]
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
            (arguments, heads, numbers, barred) = (nil, [], [], closers)
            (callBegin, callDepth, closesCalls) = (nil, 0, false)
            return
        }
        barred = closers + calls.markers
        (callBegin, callDepth) = (calls.callBegin, calls.callsBegin == nil ? 1 : 2)
        closesCalls = calls.callsEnd != nil
        let tokenizer = try shelf.open.requiredTokenizer()
        numbers = try calls.isNumbered ? Self.numbers(tokenizer) : []
        var plan = try CallPlan(calls, tokenizer, isFree: content == nil && !mustCall)
        for (index, tool) in tools.enumerated() {
            do throws(GrammarError) {
                try plan.add(tool)
            } catch {
                var error = error
                if tool.parameters != nil { error.schema = tools[..<index].count { $0.parameters != nil } }
                throw error
            }
        }
        heads = try plan.heads(closers: closers)
        do {
            arguments = plan.schemas.isEmpty ? nil : try shelf.grammar(plan.schemas, suffix: plan.suffix)
        } catch let error as GrammarError {
            throw plan.placed(error)
        }
    }

    private static func numbers(_ tokenizer: Tokenizer) throws -> [Int32] {
        var numbers: Set<Int32> = []
        for number in 0..<1000 {
            let tokens = try tokenizer.encode("\(number)", addedTokens: false)
            if tokens.count == 1 { numbers.insert(tokens[0]) }
        }
        return numbers.sorted()
    }

    /// Whether anything may come outside of calls.
    var isFree: Bool { content == nil && !mustCall }
}
