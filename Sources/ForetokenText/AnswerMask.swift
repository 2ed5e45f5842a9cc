import ForetokenGrammar
import ForetokenSpeculation
import ForetokenTokenizer

/// Which tokens may come next in an answer that has a form.
///
/// A grammar that is complete before enough tokens have come ends the answer: nothing may follow it.
package struct AnswerMask: TokenMask {
    private enum Place: Sendable {
        /// Anything may come; a call has a form once it has begun.
        case free
        /// Before content or calls. The model may think first, unless it has, or was told not to.
        case beginning(mayThink: Bool)
        case thought
        case content
        /// In the beginning of a call; those heads are possible of which so many tokens are there.
        case head(isFirst: Bool, Range<Int>, depth: Int)
        case arguments
        /// Arguments that may be anything.
        case freeArguments
        /// Behind all calls, or behind a token that ends the answer.
        case end
    }

    private let form: AnswerForm
    private var place: Place
    /// In the content or in a call's arguments; where content may begin, before it.
    private var cursor: GrammarCursor?
    private var count = 0

    package init(_ form: AnswerForm) {
        self.form = form
        let mayThink = form.marks?.mayThink == true
        place = form.isFree ? .free : form.marks?.beginsInThought == true ? .thought : .beginning(mayThink: mayThink)
        cursor = form.content.map { GrammarCursor($0) }
    }

    package var wordCount: Int { (form.tokenCount + 63) / 64 }

    package var isComplete: Bool {
        switch place {
        case .free, .end: true
        case .content: cursor?.isComplete == true
        case .beginning, .thought, .head, .arguments, .freeArguments: false
        }
    }

    // MARK: Masks

    package func mask(into words: UnsafeMutablePointer<UInt64>) {
        switch place {
        case .free: words.update(repeating: .max, count: wordCount)
        case .beginning(let mayThink):
            fill(words)
            if let begin = form.firstHeads.first?.tokens.first { allow(begin, words) }
            if mayThink, let begin = form.marks?.thoughtBegin { allow(begin, words) }
        case .thought: fillFreely(words, until: form.marks?.thoughtEnd)
        case .content:
            fill(words)
            if isComplete { for token in form.closers { allow(token, words) } }
        case .head(let isFirst, let heads, let depth):
            words.update(repeating: 0, count: wordCount)
            allow(heads, of: isFirst ? form.firstHeads : form.laterHeads, at: depth, words)
        case .arguments:
            fill(words)
            if cursor?.isComplete == true, let end = form.marks?.calls?.callEnd { allow(end, words) }
        case .freeArguments: fillFreely(words, until: form.marks?.calls?.callEnd)
        case .end:
            words.update(repeating: 0, count: wordCount)
            for token in form.closers { allow(token, words) }
        }
        if count < form.minimumTokens { for token in form.endTokens { bar(token, words) } }
    }

    /// What the grammar allows; nothing where there is none.
    private func fill(_ words: UnsafeMutablePointer<UInt64>) {
        if let cursor { cursor.mask(into: words) } else { words.update(repeating: 0, count: wordCount) }
    }

    private func fillFreely(_ words: UnsafeMutablePointer<UInt64>, until end: Int32?) {
        words.update(repeating: .max, count: wordCount)
        for token in form.barred { bar(token, words) }
        if let end { allow(end, words) }
    }

    private func allow(_ token: Int32, _ words: UnsafeMutablePointer<UInt64>) {
        guard 0..<form.tokenCount ~= Int(token) else { return }
        words[Int(token >> 6)] |= 1 << UInt64(token & 63)
    }

    private func bar(_ token: Int32, _ words: UnsafeMutablePointer<UInt64>) {
        guard 0..<form.tokenCount ~= Int(token) else { return }
        words[Int(token >> 6)] &= ~(1 << UInt64(token & 63))
    }

    private func allow(
        _ range: Range<Int>, of heads: [AnswerForm.Head], at depth: Int, _ words: UnsafeMutablePointer<UInt64>
    ) {
        for index in range { allow(heads[index].tokens[depth], words) }
    }

    // MARK: Tokens

    package mutating func advance(_ token: Int32) -> Bool {
        guard count >= form.minimumTokens || !form.endTokens.contains(token), take(token) else { return false }
        count += 1
        return true
    }

    private mutating func take(_ token: Int32) -> Bool {
        switch place {
        case .free:
            if token == form.marks?.calls?.callBegin, !form.firstHeads.isEmpty {
                place = .head(isFirst: true, form.firstHeads.indices, depth: 2)
            }
            return true
        case .beginning(let mayThink):
            if mayThink && token == form.marks?.thoughtBegin {
                place = .thought
                return true
            }
            if let begin = form.firstHeads.first?.tokens.first, token == begin {
                place = .head(isFirst: true, form.firstHeads.indices, depth: 1)
                return true
            }
            guard cursor?.advance(token) == true else { return false }
            place = .content
            return true
        case .thought:
            guard token != form.marks?.thoughtEnd else {
                place = .beginning(mayThink: false)
                return true
            }
            return !form.barred.contains(token)
        case .content:
            guard isComplete && form.closers.contains(token) else { return cursor?.advance(token) == true }
            place = .end
            return true
        case .head(let isFirst, let heads, let depth): return takeHead(token, isFirst, heads, depth)
        case .arguments:
            guard cursor?.isComplete == true && token == form.marks?.calls?.callEnd else {
                return cursor?.advance(token) == true
            }
            endCall()
            return true
        case .freeArguments:
            guard token != form.marks?.calls?.callEnd else {
                endCall()
                return true
            }
            return !form.barred.contains(token)
        case .end: return form.closers.contains(token)
        }
    }

    /// Keeps the heads that have the token next. None begins with all of another, since names have no white space.
    private mutating func takeHead(_ token: Int32, _ isFirst: Bool, _ range: Range<Int>, _ depth: Int) -> Bool {
        let heads = isFirst ? form.firstHeads : form.laterHeads
        guard let first = range.first(where: { heads[$0].tokens[depth] == token }) else { return false }
        let end = (first..<range.upperBound).first { heads[$0].tokens[depth] != token } ?? range.upperBound
        let head = heads[first]
        guard head.tokens.count == depth + 1 else {
            place = .head(isFirst: isFirst, first..<end, depth: depth + 1)
            return true
        }
        if head.isEnd {
            place = .end
        } else if let schema = head.schema, let grammar = form.arguments {
            cursor = GrammarCursor(grammar, schema: schema)
            place = .arguments
        } else {
            place = form.isFree ? .free : .freeArguments
        }
        return true
    }

    private mutating func endCall() {
        place = form.isFree ? .free : .head(isFirst: false, form.laterHeads.indices, depth: 0)
    }
}
