import ForetokenJSON
import ForetokenTemplate

/// How a checkpoint's model calls tools: a style whose markers its tokenizer has.
public struct CallFormat: Sendable, Equatable {
    /// Tokens around the keys and the values of arguments.
    package struct Pairs: Sendable, Equatable {
        package let keyBegin, keyEnd, valueBegin, valueEnd: Int32
    }

    /// What stands between a call's markers.
    package enum Body: Sendable, Equatable {
        /// A JSON object, perhaps in a fence.
        case json(isFenced: Bool)
        /// Keys and values, each between tokens.
        case pairs(Pairs)
        /// Text that is read when it is whole: see `CallFormat.Style`.
        case elements
        /// The same of all calls together.
        case invokes
        /// A JSON object with the name and the arguments, read when it is whole.
        case object
    }

    /// What stands between a call's markers, as text.
    public let style: Style
    /// Token before the first call; nil where calls begin at once.
    public let callsBegin: Int32?
    /// Token behind the last call; nil where the answer's end is theirs.
    public let callsEnd: Int32?
    /// Token before a call.
    public let callBegin: Int32
    /// Token behind a call; nil where the answer's end is the call's.
    public let callEnd: Int32?
    /// Token before the arguments, or before a fenced call's name.
    public let separator: Int32?
    package let body: Body

    /// Calls in a style; nil where the tokenizer lacks one of the tokens.
    public init?(_ style: Style, _ tokenizer: Tokenizer) {
        func ids(_ markers: [String?]) -> [Int32?]? {
            let ids = markers.map { $0.flatMap { tokenizer.id(of: $0) } }
            return zip(markers, ids).allSatisfy { ($0 == nil) == ($1 == nil) } ? ids : nil
        }
        guard let callBegin = tokenizer.id(of: style.callBegin),
            let others = ids([style.callsBegin, style.callsEnd, style.callEnd, style.separator])
        else { return nil }
        switch style.body {
        case .json: body = .json(isFenced: false)
        case .fence: body = .json(isFenced: true)
        case .pairs(let pairs):
            let ids = pairs.markers.compactMap { tokenizer.id(of: $0) }
            guard ids.count == 4 else { return nil }
            body = .pairs(Pairs(keyBegin: ids[0], keyEnd: ids[1], valueBegin: ids[2], valueEnd: ids[3]))
        case .elements: body = .elements
        case .invokes: body = .invokes
        case .object: body = .object
        }
        self.style = style
        self.callBegin = callBegin
        (callsBegin, callsEnd, callEnd, separator) = (others[0], others[1], others[2], others[3])
    }

    /// All markers.
    package var markers: [Int32] {
        var markers = [callsBegin, callsEnd, callBegin, callEnd].compactMap(\.self)
        if case .pairs(let pairs) = body {
            markers += [pairs.keyBegin, pairs.keyEnd, pairs.valueBegin, pairs.valueEnd]
        }
        return markers
    }

    /// Whose calls these are, for messages.
    public var name: String { style.name }

    /// Whether calls can be made to have a form while they are written; see `head`.
    package var canBeForced: Bool { style.canBeForced }

    /// Whether calls have numbers, whose tokens stand in heads as `anyNumber`.
    package var isNumbered: Bool { style.isNumbered }

    /// Whether nothing is known of a call before it is whole.
    package var isReadWhole: Bool { body == .elements || body == .invokes || body == .object }

    /// Whether texts among the arguments are JSON texts.
    package var quotesTexts: Bool {
        switch body {
        case .json, .invokes, .object: true
        case .pairs, .elements: false
        }
    }

    // MARK: What calls are made of

    /// Stands in a head for the token of any number.
    package static let anyNumber: Int32 = -1

    /// What a call begins with, up to its arguments; the token of a number is `anyNumber`.
    package func head(name: String, _ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        func tokens(_ end: String) throws(TokenizerError) -> [Int32] {
            try tokenizer.encode([
                TemplatePiece(style.lead, isInput: false), TemplatePiece(name, isInput: true),
                TemplatePiece(end, isInput: false),
            ])
        }
        guard style.isNumbered else { return [callBegin] + (try tokens(style.nameEnd)) }
        let end = try tokenizer.encode([TemplatePiece(style.nameEnd, isInput: false)])
        return [callBegin] + (try tokens(":")) + [Self.anyNumber] + end
    }

    /// Text between a call's arguments and its end.
    package var tail: String { style.tail }

    /// Tokens between two calls.
    package func gap(_ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        try tokenizer.encode(style.gap, addedTokens: false)
    }

    /// Tokens between two parts of arguments that are pairs.
    package func pairGap(_ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        try tokenizer.encode(style.pairs?.gap ?? "", addedTokens: false)
    }

    /// What the head of a call says, where it is an id as well as a name: `functions.NAME:N`.
    /// - Returns: the name, and the id if it is one.
    package func called(_ head: String) -> (name: String, id: String?) {
        guard style.isNumbered else { return (head, nil) }
        let name = head.hasPrefix(style.lead) ? head.dropFirst(style.lead.count) : head[...]
        guard let colon = name.lastIndex(of: ":") else { return (String(name), nil) }
        let number = name[name.index(after: colon)...]
        guard !number.isEmpty, number.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return (String(name), nil)
        }
        return (String(name[..<colon]), name.startIndex > head.startIndex ? head : nil)
    }

    // MARK: Templates

    /// The style of calls in a conversation that a template has written; nil where it wrote none with markers that are known.
    /// - Parameter name: the called tool's.
    static func style(of pieces: [TemplatePiece], name: String) -> Style? {
        let text = pieces.map(\.text).joined()
        return Style.all.first { style in
            // Templates also show how a call looks.
            var rest = text[...]
            while let begin = rest.range(of: style.callBegin) {
                rest = rest[begin.upperBound...]
                guard let place = rest.range(of: name) else { return false }
                if style.isCall(before: rest[..<place.lowerBound], after: rest[place.upperBound...]) { return true }
            }
            return false
        }
    }

    /// What a system message says of the tools where the template says nothing: what there is and how to call it. Only the
    /// markers of this format are tokens.
    func declaration(of tools: [JSONValue]) -> [TemplatePiece] {
        func own(_ text: String) -> TemplatePiece { TemplatePiece(text, isInput: false) }
        let between = style.gap.isEmpty ? "" : ", each on a new line"
        let (begin, end) = (style.callsBegin ?? "", style.callsEnd ?? "")
        var pieces = [
            own(
                "## Tools\n\nYou can call functions. Each of these lines describes one, with its name, its purpose and the "
                    + "JSON schema of its arguments:\n\n")
        ]
        for tool in tools {
            pieces += [TemplatePiece((tool.object?["function"] ?? tool).text, isInput: true), own("\n")]
        }
        let further =
            style.callsEnd.map { end in
                "Further calls stand before \(end)\(between), each from \(style.callBegin) to \(style.callEnd ?? "its end"). "
            } ?? "Further calls follow it\(between). "
        pieces.append(
            own(
                "\nTo call a function, end your answer with:\n\n"
                    + begin + (style.body == .invokes ? "<" : "") + style.callBegin + style.example
                    + (style.callEnd ?? "") + end
                    + "\n\nNAME is the function's name, and \(style.promise). " + further
                    + "Write nothing behind the calls: their results come next. Where no function "
                    + "helps, answer in plain words."))
        return pieces
    }
}

extension CallFormat.Style {
    /// A call between its markers.
    fileprivate var example: String {
        let arguments =
            switch body {
            case .json, .fence: #"{"ARGUMENT": "value"}"#
            case .pairs(let pairs):
                [pairs.keyBegin + "ARGUMENT" + pairs.keyEnd, pairs.valueBegin + "value" + pairs.valueEnd]
                    .joined(separator: pairs.gap)
            case .elements: "<parameter=ARGUMENT>\nvalue\n</parameter>\n</function>\n"
            case .invokes:
                "<｜DSML｜parameter name=\"ARGUMENT\" string=\"true\">value</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
                    + "</｜DSML｜function_calls>"
            case .object: #"{"ARGUMENT": "value"}}"#
            }
        let opening = body == .invokes ? "function_calls>\n<｜DSML｜" : ""
        return opening + lead + "NAME" + (isNumbered ? ":0" : "") + nameEnd + arguments + tail
    }

    /// What an example leaves open.
    fileprivate var promise: String {
        switch body {
        case .json, .fence, .object: "what follows is a JSON object that fits its schema"
        case .pairs, .elements, .invokes:
            "its arguments follow, texts as they are and all else as JSON, as its schema has them"
        }
    }
}
