import ForetokenJSON
import ForetokenTemplate

/// How a checkpoint's model calls tools: the tokens that mark a call, and what stands between them.
///
///     fenced, V3 and R1   calls▁begin (call▁begin function sep NAME ⏎ ```json ⏎ ARGUMENTS ⏎ ``` call▁end)… calls▁end
///     bare, V3.1          calls▁begin (call▁begin NAME sep ARGUMENTS call▁end)… calls▁end
public struct CallFormat: Sendable, Equatable {
    /// What stands between a call's markers.
    public enum Style: Sendable {
        /// The word `function`, the name, and the arguments in a fence.
        case fenced
        /// The name and the arguments.
        case bare
    }

    /// What stands between a call's markers.
    public let style: Style
    /// Token before the first call.
    public let callsBegin: Int32
    /// Token behind the last call.
    public let callsEnd: Int32
    /// Token before a call.
    public let callBegin: Int32
    /// Token behind a call.
    public let callEnd: Int32
    /// Token before the arguments, or before a fenced call's name.
    public let separator: Int32

    private static let callsBeginText = "<｜tool▁calls▁begin｜>"
    private static let callsEndText = "<｜tool▁calls▁end｜>"
    private static let callBeginText = "<｜tool▁call▁begin｜>"
    private static let callEndText = "<｜tool▁call▁end｜>"
    private static let separatorText = "<｜tool▁sep｜>"

    /// Calls in a style; nil where the tokenizer lacks one of the tokens.
    public init?(_ style: Style, _ tokenizer: Tokenizer) {
        let ids = [
            Self.callsBeginText, Self.callsEndText, Self.callBeginText, Self.callEndText, Self.separatorText,
        ].compactMap { tokenizer.id(of: $0) }
        guard ids.count == 5 else { return nil }
        self.style = style
        (callsBegin, callsEnd, callBegin, callEnd, separator) = (ids[0], ids[1], ids[2], ids[3], ids[4])
    }

    /// What a call begins with, up to its arguments.
    package func head(name: String, _ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        func tokens(_ text: String) throws(TokenizerError) -> [Int32] { try tokenizer.encode(text, addedTokens: false) }
        return switch style {
        case .fenced: [callBegin] + (try tokens("function")) + [separator] + (try tokens("\(name)\n```json\n"))
        case .bare: [callBegin] + (try tokens(name)) + [separator]
        }
    }

    /// Text between a call's arguments and its end.
    package var tail: String { style == .fenced ? "\n```" : "" }

    /// Tokens between two calls.
    package func gap(_ tokenizer: Tokenizer) throws(TokenizerError) -> [Int32] {
        style == .fenced ? try tokenizer.encode("\n", addedTokens: false) : []
    }

    /// The style of calls in a conversation that a template has written; nil where it wrote none with these markers.
    /// - Parameter name: the called tool's.
    static func style(of pieces: [TemplatePiece], name: String) -> Style? {
        let text = pieces.map(\.text).joined()
        guard let begin = text.range(of: callBeginText),
            let place = text[begin.upperBound...].range(of: name)
        else { return nil }
        if text[begin.upperBound..<place.lowerBound].range(of: separatorText) != nil { return .fenced }
        return text[place.upperBound...].hasPrefix(separatorText) ? .bare : nil
    }

    /// What a system message says of the tools where the template says nothing: what there is and how to call it. Only the
    /// markers of this format are tokens.
    func declaration(of tools: [JSONValue]) -> [TemplatePiece] {
        func own(_ text: String) -> TemplatePiece { TemplatePiece(text, isInput: false) }
        let example =
            switch style {
            case .fenced: "function\(Self.separatorText)NAME\n```json\n{\"ARGUMENT\": \"value\"}\n```"
            case .bare: "NAME\(Self.separatorText){\"ARGUMENT\": \"value\"}"
            }
        let between = style == .fenced ? ", each on a new line" : ""
        var pieces = [
            own(
                "## Tools\n\nYou can call functions. Each of these lines describes one, with its name, its purpose and the "
                    + "JSON schema of its arguments:\n\n")
        ]
        for tool in tools {
            pieces += [TemplatePiece((tool.object?["function"] ?? tool).text, isInput: true), own("\n")]
        }
        pieces.append(
            own(
                "\nTo call a function, end your answer with:\n\n"
                    + Self.callsBeginText + Self.callBeginText + example + Self.callEndText + Self.callsEndText
                    + "\n\nNAME is the function's name, and what follows is a JSON object that fits its schema. Further "
                    + "calls stand before \(Self.callsEndText)\(between), each from \(Self.callBeginText) to "
                    + "\(Self.callEndText). Write nothing behind the calls: their results come next. Where no function "
                    + "helps, answer in plain words."))
        return pieces
    }
}

extension StringProtocol where SubSequence == Substring {
    /// The first place of `part`, compared scalar by scalar.
    fileprivate func range(of part: String) -> Range<Index>? {
        let scalars = unicodeScalars
        let wanted = part.unicodeScalars
        guard let start = scalars.indices.first(where: { scalars[$0...].starts(with: wanted) }) else { return nil }
        return start..<scalars.index(start, offsetBy: wanted.count)
    }
}
