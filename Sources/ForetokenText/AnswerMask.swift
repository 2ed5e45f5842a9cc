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
        /// In the heads of a list; those are possible of which so many tokens are there.
        case heads(Int, Range<Int>, depth: Int)
        /// In a part of a call, up to a token; behind it come the heads of a list, or what is behind a call.
        case part(until: Int32, then: Int?)
        /// In one that may be anything.
        case freePart(until: Int32, then: Int?)
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
        // Calls without an end of their own are over behind any of them.
        case .heads(Self.later, _, depth: 0): !form.closesCalls
        case .beginning, .thought, .heads, .part, .freePart: false
        }
    }

    /// The lists of heads that every form with calls has.
    private static let (first, later) = (0, 1)

    /// What the first call begins with; nil where there are no calls.
    private var callsBegin: Int32? { form.heads.first?.first?.tokens.first }

    // MARK: Masks

    package func mask(into words: UnsafeMutablePointer<UInt64>) {
        switch place {
        case .free: words.update(repeating: .max, count: wordCount)
        case .beginning(let mayThink):
            fill(words)
            if let begin = callsBegin { allow(begin, words) }
            if mayThink, let begin = form.marks?.thoughtBegin { allow(begin, words) }
        case .thought: fillFreely(words, until: form.marks?.thoughtEnd)
        case .content:
            fill(words)
            if isComplete { for token in form.closers { allow(token, words) } }
        case .heads(let list, let range, let depth):
            words.update(repeating: 0, count: wordCount)
            allow(range, of: list, at: depth, words)
        case .part(let end, _):
            fill(words)
            if cursor?.isComplete == true { allow(end, words) }
        case .freePart(let end, _): fillFreely(words, until: end)
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

    private func allow(_ range: Range<Int>, of list: Int, at depth: Int, _ words: UnsafeMutablePointer<UInt64>) {
        for index in range {
            let token = form.heads[list][index].tokens[depth]
            if token == CallFormat.anyNumber {
                for number in form.numbers { allow(number, words) }
            } else {
                allow(token, words)
            }
        }
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
            if token == form.callBegin {
                place = .heads(Self.first, form.heads[Self.first].indices, depth: form.callDepth)
            }
            return true
        case .beginning(let mayThink):
            if mayThink && token == form.marks?.thoughtBegin {
                place = .thought
                return true
            }
            if token == callsBegin {
                place = .heads(Self.first, form.heads[Self.first].indices, depth: 1)
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
        case .heads(let list, let range, let depth): return takeHead(token, list, range, depth)
        case .part(let end, let next):
            guard cursor?.isComplete == true && token == end else { return cursor?.advance(token) == true }
            leavePart(next)
            return true
        case .freePart(let end, let next):
            guard token != end else {
                leavePart(next)
                return true
            }
            return !form.barred.contains(token)
        case .end: return form.closers.contains(token)
        }
    }

    /// Keeps the heads that have the token next. None begins with all of another: each ends with a marker, or with text that no
    /// name has.
    private mutating func takeHead(_ token: Int32, _ list: Int, _ range: Range<Int>, _ depth: Int) -> Bool {
        let heads = form.heads[list]
        guard let first = place(of: token, in: heads, range, depth) else { return false }
        let wanted = heads[first].tokens[depth]
        let end = (first..<range.upperBound).first { heads[$0].tokens[depth] != wanted } ?? range.upperBound
        let head = heads[first]
        guard head.tokens.count == depth + 1 else {
            place = .heads(list, first..<end, depth: depth + 1)
            return true
        }
        switch head.goal {
        case .end: place = .end
        case .callEnd: endCall()
        case .heads(let next): begin(next)
        case .anything: place = .free
        case .part(let schema?, let end, let next):
            cursor = form.arguments.map { GrammarCursor($0, schema: schema) }
            place = .part(until: end, then: next)
        case .part(nil, let end, let next): place = .freePart(until: end, then: next)
        }
        return true
    }

    /// The first head that may have the token next.
    private func place(of token: Int32, in heads: [AnswerForm.Head], _ range: Range<Int>, _ depth: Int) -> Int? {
        range.first { heads[$0].tokens[depth] == token }
            ?? range.first { heads[$0].tokens[depth] == CallFormat.anyNumber && form.numbers.contains(token) }
    }

    private mutating func begin(_ list: Int) { place = .heads(list, form.heads[list].indices, depth: 0) }

    private mutating func leavePart(_ next: Int?) { if let next { begin(next) } else { endCall() } }

    private mutating func endCall() { if form.isFree { place = .free } else { begin(Self.later) } }
}
