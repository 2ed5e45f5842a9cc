extension CallFormat {
    /// How a family of checkpoints writes calls of tools, as text; what here is a marker is one token each.
    ///
    ///     fenced   V3, R1            calls▁begin (call▁begin function sep NAME ⏎ ```json ⏎ ARGUMENTS ⏎ ``` call▁end)… calls▁end
    ///     bare     V3.1              calls▁begin (call▁begin NAME sep ARGUMENTS call▁end)… calls▁end
    ///     kimi     K2 and later      section_begin (call_begin functions.NAME:N argument_begin ARGUMENTS call_end)… section_end
    ///     glm      GLM-4.7, 5        (<tool_call> NAME (<arg_key> KEY </arg_key> <arg_value> VALUE </arg_value>)… </tool_call>)…
    ///     glmLines GLM-4.5, 4.6      the same, each part on a line of its own
    ///     coder    Qwen3-Coder's     (<tool_call> ⏎ <function=NAME> ⏎ (<parameter=KEY> ⏎ VALUE ⏎ </parameter> ⏎)… </function> ⏎ </tool_call>)…
    ///     invokes  V3.2              <｜DSML｜function_calls> ⏎ (<｜DSML｜invoke name="NAME"> ⏎ (<｜DSML｜parameter name="KEY"
    ///                                string="true|false">VALUE</｜DSML｜parameter> ⏎)… </｜DSML｜invoke> ⏎)… </｜DSML｜function_calls>
    ///     object   GigaChat 3.1      <|function_call|> {"name": NAME, "arguments": ARGUMENTS}
    public struct Style: Sendable, Equatable {
        /// What stands between a call's name and its end.
        enum Body: Sendable, Equatable {
            /// A JSON object.
            case json
            /// The same in a Markdown fence.
            case fence
            /// Keys and values between markers; see `Pairs`.
            case pairs(Pairs)
            /// Keys and values between tags that are mere text, and the name in one, too.
            case elements
            /// The same for all calls together, each tag with a marker in it.
            case invokes
            /// One JSON object with the name and the arguments.
            case object
        }

        /// Markers around the keys and the values of arguments. Texts are written as they are, all else as JSON.
        struct Pairs: Sendable, Equatable {
            let keyBegin, keyEnd, valueBegin, valueEnd: String
            /// Text between any two of the call's parts.
            var gap = ""

            var markers: [String] { [keyBegin, keyEnd, valueBegin, valueEnd] }
        }

        /// Whose calls these are.
        let name: String
        /// Markers before the first call and behind the last.
        var callsBegin: String?
        var callsEnd: String?
        /// Markers before and behind each call; without the latter the end of the answer is the call's.
        let callBegin: String
        var callEnd: String?
        /// Marker in `lead` or `nameEnd`.
        var separator: String?
        /// Text before a call's name and behind it, with the separator.
        var lead = ""
        var nameEnd = ""
        /// Whether a colon and the call's number stand behind its name, which with `lead` and that number is the call's id.
        var isNumbered = false
        let body: Body
        /// Text between two calls.
        var gap = ""

        /// Text between a call's arguments and its end.
        var tail: String {
            switch body {
            case .fence: "\n```"
            case .pairs(let pairs): pairs.gap
            case .json, .elements, .invokes, .object: ""
            }
        }

        var pairs: Pairs? { if case .pairs(let pairs) = body { pairs } else { nil } }

        /// Whether calls can be made to have a form while they are written.
        var canBeForced: Bool { body != .elements && body != .invokes && body != .object }
    }
}

extension CallFormat.Style {
    private static func deepSeek(
        _ name: String, lead: String, nameEnd: String, _ body: Body, gap: String
    ) -> CallFormat.Style {
        CallFormat.Style(
            name: name, callsBegin: "<｜tool▁calls▁begin｜>", callsEnd: "<｜tool▁calls▁end｜>",
            callBegin: "<｜tool▁call▁begin｜>", callEnd: "<｜tool▁call▁end｜>", separator: "<｜tool▁sep｜>", lead: lead,
            nameEnd: nameEnd, body: body, gap: gap)
    }

    /// V3's and R1's: the word `function`, the name, and the arguments in a fence.
    public static let fenced = deepSeek(
        "DeepSeek-V3", lead: "function<｜tool▁sep｜>", nameEnd: "\n```json\n", .fence, gap: "\n")
    /// V3.1's: the name and the arguments.
    public static let bare = deepSeek("DeepSeek-V3.1", lead: "", nameEnd: "<｜tool▁sep｜>", .json, gap: "")
    /// Kimi's: an id of name and number, and the arguments.
    public static let kimi = CallFormat.Style(
        name: "Kimi", callsBegin: "<|tool_calls_section_begin|>", callsEnd: "<|tool_calls_section_end|>",
        callBegin: "<|tool_call_begin|>", callEnd: "<|tool_call_end|>", separator: "<|tool_call_argument_begin|>",
        lead: "functions.", nameEnd: "<|tool_call_argument_begin|>", isNumbered: true, body: .json)

    private static func glm(_ name: String, gap: String) -> CallFormat.Style {
        let pairs = Pairs(
            keyBegin: "<arg_key>", keyEnd: "</arg_key>", valueBegin: "<arg_value>", valueEnd: "</arg_value>", gap: gap)
        return CallFormat.Style(
            name: name, callBegin: "<tool_call>", callEnd: "</tool_call>", nameEnd: gap, body: .pairs(pairs), gap: gap)
    }

    /// GLM's since 4.7.
    public static let glm = glm("GLM", gap: "")
    /// GLM-4.5's and 4.6's, with line breaks.
    public static let glmLines = glm("GLM-4.5", gap: "\n")
    /// Qwen3-Coder's, which others have taken over.
    public static let coder = CallFormat.Style(
        name: "Qwen3-Coder", callBegin: "<tool_call>", callEnd: "</tool_call>", lead: "\n<function=", nameEnd: ">\n",
        body: .elements, gap: "\n")
    /// DeepSeek-V3.2's.
    public static let invokes = CallFormat.Style(
        name: "DeepSeek-V3.2", callBegin: "｜DSML｜", lead: #"invoke name=""#, nameEnd: "\">\n", body: .invokes)
    /// GigaChat 3.1's.
    public static let object = CallFormat.Style(
        name: "GigaChat", callBegin: "<|function_call|>", lead: #"{"name": ""#, nameEnd: #"", "arguments": "#,
        body: .object)

    /// All that are known. The first one counts that a template is seen to write.
    static let all = [fenced, bare, kimi, glm, glmLines, coder, invokes, object]

    /// Whether a text behind a marker `callBegin` is a call of this style.
    /// - Parameters:
    ///   - before: the text up to the name.
    ///   - after: the text behind it.
    func isCall(before: Substring, after: Substring) -> Bool {
        // A fence may be written otherwise, but its separator comes before the name.
        if body == .fence { return before.range(of: separator ?? "") != nil && before.range(of: callEnd ?? "") == nil }
        let next = (isNumbered ? ":0" : "") + nameEnd + (pairs?.keyBegin ?? "")
        return before.unicodeScalars.elementsEqual(lead.unicodeScalars)
            && after.unicodeScalars.starts(with: next.unicodeScalars)
    }
}

extension StringProtocol where SubSequence == Substring {
    /// The first place of `part`, compared scalar by scalar.
    func range(of part: String) -> Range<Index>? {
        let scalars = unicodeScalars
        let wanted = part.unicodeScalars
        guard let start = scalars.indices.first(where: { scalars[$0...].starts(with: wanted) }) else { return nil }
        return start..<scalars.index(start, offsetBy: wanted.count)
    }
}
