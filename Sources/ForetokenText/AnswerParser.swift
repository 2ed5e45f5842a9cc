import ForetokenJSON
import ForetokenTokenizer

/// Tells thoughts, calls of tools and content of an answer apart as it grows.
///
/// Markers are tokens, never text that looks like them: where a marker's own text lies in the answer's text is counted from
/// the tokens, and the text is cut there. So it does not matter how many tokens and how much text come at once, nor that text is
/// held back for a stop string. Thoughts and content are never lost. Of calls only what their format has room for is told: text
/// between keys and values is left out, and so is what stands between calls that are read together, or behind the last of them.
package struct AnswerParser: Sendable {
    private typealias Marker = AnswerGrammar.Marker

    private enum State {
        case thought
        case content
        /// Between calls.
        case calls
        /// Behind a call's begin: a fenced call's type, or a bare call's name.
        case head
        /// A fenced call's name, up to the end of its line.
        case name
        /// Where a fenced call's fence opens, perhaps.
        case fence
        case arguments(isFenced: Bool)
        /// Behind the begin of an argument's key.
        case key
        /// Between a key and its value, or behind a value.
        case pairs
        case value(ArgumentKind)
        /// A call that is read when it is whole.
        case body
    }

    /// A marker and the bytes of the text that are its own.
    private struct Place {
        let marker: Marker
        let range: Range<Int>
    }

    private let grammar: AnswerGrammar
    private let tokenizer: Tokenizer

    // By tokens.
    private var detokenizer: StreamingDetokenizer
    /// Bytes of the text of all tokens so far.
    private var written = 0
    private var isThinking: Bool
    /// Whether there were words outside thoughts.
    private var hasWords = false
    /// Tokens of thoughts so far, their markers included.
    package private(set) var reasoningTokens = 0

    // By text.
    private var places: [Place] = []
    /// Bytes of the text that have come.
    private var read = 0
    /// Bytes up to here are a marker's own.
    private var markerEnd = 0
    private var state: State
    /// Text that nobody knows yet what it is.
    private var held: [UInt8] = []
    /// Whether only white space has come since the content began.
    private var isLeading = true
    /// Whether that white space stands between a thought and the answer.
    private var isBehindThought = false
    private var hasArguments = false
    /// The calls' own ids so far.
    private var ids: Set<String> = []
    /// The called tool, and the key that its value is to come for.
    private var tool = ""
    private var key: String?
    private var parts: [AnswerPart] = []

    package init(_ grammar: AnswerGrammar, _ tokenizer: Tokenizer) {
        self.grammar = grammar
        self.tokenizer = tokenizer
        detokenizer = StreamingDetokenizer(tokenizer)
        isThinking = grammar.beginsInThought
        state = grammar.beginsInThought ? .thought : .content
    }

    /// Takes more of the answer. Text may come later than its tokens, never before them.
    /// - Parameter text: whole characters.
    package mutating func push(_ tokens: some Sequence<Int32>, text: some Collection<UInt8>) -> [AnswerPart] {
        for token in tokens { note(token) }
        var rest = Array(text)[...]
        repeat {
            let next = places.first?.range.lowerBound ?? .max
            if read >= next { reach(places.removeFirst()) }
            let end = min(places.first?.range.lowerBound ?? .max, read < markerEnd ? markerEnd : .max)
            let run = rest.prefix(end - read)
            rest = rest.dropFirst(run.count)
            if read >= markerEnd { take(run) }
            read += run.count
        } while !rest.isEmpty || places.first.map { read >= $0.range.lowerBound } == true
        return takeParts()
    }

    /// Ends the answer.
    package mutating func finish() -> [AnswerPart] {
        switch state {
        case .content: if !isBehindThought || !isLeading { giveHeld { .content($0) } }
        case .fence, .arguments: releaseArguments(isWhole: false)
        case .body where grammar.calls?.callEnd == nil: endCall()
        // The beginning of a call whose name nobody knows is none, nor is that of an argument.
        case .thought, .calls, .head, .name, .key, .pairs, .value, .body: break
        }
        held = []
        return takeParts()
    }

    private mutating func takeParts() -> [AnswerPart] {
        defer { parts = [] }
        return parts
    }

    // MARK: Tokens

    /// Finds out whether a token is a marker here, and where its text will be.
    private mutating func note(_ token: Int32) {
        let bytes = detokenizer.push(token)
        written += bytes.count
        let wasThinking = isThinking
        if let marker = grammar.marker(token), isMarker(marker) {
            let own = tokenizer.isSpecial(token) ? 0 : tokenizer.bytes(of: token)?.count ?? 0
            places.append(Place(marker: marker, range: written - own..<written))
        } else if !isThinking && !bytes.allSatisfy(\.isSpace) {
            hasWords = true
        }
        if wasThinking && (isThinking || grammar.marker(token) == .thoughtEnd) || !wasThinking && isThinking {
            reasoningTokens += 1
        }
    }

    /// Thoughts end once, and open only where nothing has been said: elsewhere their markers are text.
    private mutating func isMarker(_ marker: Marker) -> Bool {
        switch marker {
        case .thoughtBegin:
            guard !isThinking && !hasWords else { return false }
            isThinking = true
        case .thoughtEnd:
            guard isThinking else { return false }
            isThinking = false
        case .callsBegin, .callBegin:
            isThinking = false
            hasWords = true
        case .callsEnd, .callEnd, .separator, .keyBegin, .keyEnd, .valueBegin, .valueEnd: break
        }
        return true
    }

    // MARK: Markers

    private mutating func reach(_ place: Place) {
        if act(on: place.marker) { markerEnd = place.range.upperBound }
    }

    /// - Returns: whether the marker means anything here; it is text where not.
    private mutating func act(on marker: Marker) -> Bool {
        switch (marker, state) {
        case (.thoughtBegin, .content):
            held = []
            state = .thought
        case (.thoughtEnd, .thought):
            state = .content
            (isLeading, isBehindThought) = (true, true)
        case (.callsBegin, .thought), (.callsBegin, .content):
            // White space alone is no content before calls.
            held = []
            state = .calls
        // Within calls that are read together.
        case (.callBegin, .body) where grammar.calls?.body == .invokes: held.append(CallBody.marker)
        case (.callBegin, _):
            endCall()
            held = []
            state = grammar.calls?.isReadWhole == true ? .body : .head
        case (.separator, .head):
            if isFenced { state = .name } else { begin(with: .arguments(isFenced: false)) }
            held = []
        case (.callEnd, .head), (.callEnd, .name), (.callEnd, .fence), (.callEnd, .arguments), (.callEnd, .key),
            (.callEnd, .pairs), (.callEnd, .value), (.callEnd, .body):
            endCall()
            held = []
            state = .calls
        // Of a call without a name.
        case (.separator, .calls), (.callEnd, .calls): break
        case (.callsEnd, .thought), (.callsEnd, .content): return false
        case (.callsEnd, _):
            endCall()
            held = []
            state = .content
            (isLeading, isBehindThought) = (true, false)
        default: return actInPairs(on: marker)
        }
        return true
    }

    /// The same for the markers of keys and values.
    private mutating func actInPairs(on marker: Marker) -> Bool {
        switch (marker, state) {
        case (.keyBegin, .head), (.valueBegin, .head): begin(with: marker == .keyBegin ? .key : .pairs)
        case (.keyBegin, .key), (.keyBegin, .pairs), (.keyBegin, .value):
            endValue()
            state = .key
        case (.keyEnd, .key): endKey()
        case (.valueBegin, .key), (.valueBegin, .pairs):
            if case .key = state { endKey() }
            beginValue()
        case (.valueEnd, .value):
            endValue()
            state = .pairs
        // Of an argument without a key, or of a call without a name.
        case (.keyBegin, .calls), (.keyEnd, .calls), (.valueBegin, .calls), (.valueEnd, .calls), (.keyEnd, .pairs),
            (.valueEnd, .pairs):
            break
        default: return false
        }
        held = []
        return true
    }

    private var isFenced: Bool { grammar.calls?.body == .json(isFenced: true) }

    /// Begins the call whose name is held. Without a name it is none, and what follows is text.
    private mutating func begin(with next: State) {
        let head = String(decoding: held.trimmed, as: UTF8.self)
        held = []
        let (name, id) = grammar.calls?.called(head) ?? (head, nil)
        state = name.isEmpty ? .calls : next
        guard !name.isEmpty else { return }
        (tool, hasArguments) = (name, false)
        // An id that another call has is none.
        let isNew = id.map { ids.insert($0).inserted } ?? false
        parts.append(.call(name: name, id: isNew ? id : nil))
    }

    /// Ends the call that is under way, if one is.
    private mutating func endCall() {
        switch state {
        case .head where !isFenced, .name: begin(with: .pairs)
        case .fence, .arguments: releaseArguments(isWhole: true)
        case .key: break
        case .value: endValue()
        case .pairs: break
        case .body: return takeBody()
        // A fenced call's head is no name.
        case .head, .thought, .content, .calls: return
        }
        if case .calls = state { return }
        // What is no JSON at all would make clients fail.
        if !hasArguments { parts.append(.arguments("{}")) } else if isPairs { parts.append(.arguments("}")) }
        parts.append(.callEnd)
    }

    private var isPairs: Bool { if case .pairs? = grammar.calls?.body { true } else { false } }

    /// Says calls that are whole. What nobody can read is text.
    private mutating func takeBody() {
        let calls = grammar.calls.map { CallBody.all(held, $0.body) } ?? []
        if calls.isEmpty {
            held.removeAll { $0 == CallBody.marker }
            giveHeld { .content($0) }
        }
        for call in calls {
            parts.append(.call(name: call.name, id: nil))
            let arguments = call.arguments { grammar.kind(tool: call.name, key: $0) }
            if !arguments.isEmpty { parts.append(.arguments(arguments)) }
            if call.isWhole { parts.append(.callEnd) }
        }
    }

    // MARK: Keys and values

    private mutating func endKey() {
        key = String(decoding: held.trimmed, as: UTF8.self)
        state = .pairs
    }

    private mutating func beginValue() {
        guard let key else { return }
        self.key = nil
        parts.append(.arguments((hasArguments ? ", " : "{") + JSONValue.string(key).text + ": "))
        hasArguments = true
        let kind = grammar.kind(tool: tool, key: key)
        if kind == .text { parts.append(.arguments("\"")) }
        state = .value(kind)
    }

    private mutating func endValue() {
        guard case .value(let kind) = state else { return }
        parts.append(.arguments(kind == .text ? "\"" : CallBody.json(held, kind)))
        held = []
        state = .pairs
    }

    // MARK: Text

    private mutating func take(_ run: ArraySlice<UInt8>) {
        guard !run.isEmpty else { return }
        held += run
        switch state {
        case .thought: giveHeld { .reasoning($0) }
        case .content: takeContent()
        case .calls:
            // White space before a call is the format's.
            let spaces = held.suffix(held.reversed().prefix { $0.isSpace }.count)
            held.removeLast(spaces.count)
            giveHeld { .content($0) }
            held = Array(spaces)
        case .head: break
        case .name: takeName()
        case .fence: takeFence()
        case .arguments(let isFenced): takeArguments(isFenced)
        case .key, .body, .value(.json), .value(.textOrNull), .value(.either): break
        case .pairs: held = []
        case .value(.text): giveHeld { .arguments(CallBody.inside($0)) }
        }
    }

    private mutating func takeContent() {
        if isLeading {
            guard let start = held.firstIndex(where: { !$0.isSpace }) else { return }
            if isBehindThought { held.removeFirst(start) }
            isLeading = false
        }
        // Before the marker of such calls there is a bracket.
        let isBracket = grammar.calls?.body == .invokes && held.last == UInt8(ascii: "<")
        if isBracket { held.removeLast() }
        giveHeld { .content($0) }
        if isBracket { held.append(UInt8(ascii: "<")) }
    }

    private mutating func takeName() {
        guard let end = held.firstIndex(of: UInt8(ascii: "\n")) else { return }
        let rest = held[(end + 1)...]
        held = Array(held[..<end])
        begin(with: .fence)
        take(rest)
    }

    private mutating func takeFence() {
        guard let start = held.firstIndex(where: { !$0.isSpace }) else { return }
        let ticks = held[start...].prefix { $0 == .tick }.count
        if ticks < 3 {
            // The third may be yet to come.
            guard start + ticks < held.count else { return }
            state = .arguments(isFenced: false)
            return takeArguments(false)
        }
        guard let end = held[start...].firstIndex(of: UInt8(ascii: "\n")) else { return }
        held.removeFirst(end + 1)
        state = .arguments(isFenced: true)
        takeArguments(true)
    }

    private mutating func takeArguments(_ isFenced: Bool) {
        let kept = isFenced ? held.fenceEnd : held.endIndex
        guard kept > 0 else { return }
        parts.append(.arguments(String(decoding: held[..<kept], as: UTF8.self)))
        held.removeFirst(kept)
        hasArguments = true
    }

    /// Says what was held back of a call's arguments, without the fence.
    /// - Parameter isWhole: whether the call has ended; the answer has where not.
    private mutating func releaseArguments(isWhole: Bool) {
        if case .fence = state {
            // A fence without a line of its own.
            let start = held.firstIndex { !$0.isSpace } ?? held.endIndex
            let ticks = held[start...].prefix { $0 == .tick }
            held.removeFirst(start + ticks.count)
            held.removeFirst(ticks.isEmpty ? 0 : held.prefix { $0.isLetter || $0.isSpace }.count)
        }
        let end = held.fenceEnd
        if held[end...].contains(.tick) && (isWhole || held[end...].count { $0 == .tick } == 3) {
            held.removeSubrange(end...)
        }
        guard !held.isEmpty else { return }
        hasArguments = true
        giveHeld { .arguments($0) }
    }

    private mutating func giveHeld(as part: (String) -> AnswerPart) {
        guard !held.isEmpty else { return }
        parts.append(part(String(decoding: held, as: UTF8.self)))
        held = []
    }
}

extension UInt8 {
    fileprivate static let tick = UInt8(ascii: "`")

    var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }

    fileprivate var isLetter: Bool { (0x61...0x7A).contains(self | 0x20) }
}

extension [UInt8] {
    /// Without white space at both ends.
    var trimmed: ArraySlice<UInt8> {
        let start = firstIndex { !$0.isSpace } ?? endIndex
        return self[start...].dropLast(self[start...].reversed().prefix { $0.isSpace }.count)
    }

    /// Where white space begins that a closing fence, or the beginning of one, may follow up to the end.
    fileprivate var fenceEnd: Int {
        var end = endIndex
        while end > 0, self[end - 1].isSpace { end -= 1 }
        let ticks = Swift.min(3, self[..<end].reversed().prefix { $0 == .tick }.count)
        guard ticks > 0 else { return end }
        end -= ticks
        while end > 0, self[end - 1].isSpace { end -= 1 }
        return end
    }
}
