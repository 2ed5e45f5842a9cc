import ForetokenJSON
import ForetokenTokenizer

/// A call that is read when it is whole: its name and its arguments.
struct CallBody {
    let name: String
    /// Each with what it may be, where that is said.
    private let values: [(key: String, text: ArraySlice<UInt8>, kind: ArgumentKind?)]
    /// The arguments as one JSON text; nil where they are in `values`.
    private let object: String?
    /// Whether the text did not end within the call.
    let isWhole: Bool
    /// Whether it did not end within its last value.
    private let isValueWhole: Bool

    /// Stands in the text of calls that are read together where their marker was: a byte that no text has. What only looks
    /// like a tag is told from one by it.
    static let marker: UInt8 = 0xFF

    /// The calls of a text between markers; none for what is no call.
    static func all(_ text: [UInt8], _ body: CallFormat.Body) -> [CallBody] {
        guard body == .invokes else { return [CallBody(text, body)].compactMap(\.self) }
        var reader = Reader(text)
        var calls: [CallBody] = []
        while reader.skip(behind: "<\0invoke name=\""), let name = reader.text(before: "\"") {
            let (inside, isWhole) = reader.part(before: "</\0invoke>", or: ["<\0invoke name=", "</\0function_calls>"])
            var inner = Reader(Array(inside))
            var isValueWhole = true
            var values: [(String, ArraySlice<UInt8>, ArgumentKind?)] = []
            while inner.skip(behind: "<\0parameter name=\""), let key = inner.text(before: "\""),
                let rest = inner.text(before: ">")
            {
                let isText = Array(rest).trimmed.elementsEqual("string=\"true\"".utf8)
                let (value, hasEnd) = inner.part(before: "</\0parameter>", or: ["<\0parameter name="])
                // The end may have begun.
                let end = hasEnd || isWhole ? nil : Reader(Array(value)).place(of: "</\0")
                let text = end.map { value.prefix($0) } ?? value
                values.append((plain(key), text.filter { $0 != marker }[...], isText ? .text : .json))
                isValueWhole = hasEnd || isWhole
            }
            calls.append(CallBody(name: trimmed(name), values, isWhole: isWhole, isValueWhole: isValueWhole))
        }
        return calls.filter { !$0.name.isEmpty }
    }

    private init(
        name: String, _ values: [(String, ArraySlice<UInt8>, ArgumentKind?)], isWhole: Bool, isValueWhole: Bool
    ) {
        (self.name, self.values, object) = (name, values, nil)
        (self.isWhole, self.isValueWhole) = (isWhole, isValueWhole)
    }

    /// Reads the text between a call's markers; nil for what is none.
    private init?(_ text: [UInt8], _ body: CallFormat.Body) {
        switch body {
        case .elements:
            var reader = Reader(text)
            guard reader.skip(behind: "<function="), let name = reader.text(before: ">") else { return nil }
            var values: [(String, ArraySlice<UInt8>, ArgumentKind?)] = []
            while reader.skip(behind: "<parameter="), let key = reader.text(before: ">") {
                let value = reader.value(before: "</parameter>", or: ["<parameter=", "</function>"])
                values.append((Self.trimmed(key), Self.withoutBreaks(value), nil))
            }
            (self.name, self.values, object) = (Self.trimmed(name), values, nil)
        case .object:
            guard let call = try? JSONValue(Array(text.trimmed)).object, let name = call["name"]?.string else {
                return nil
            }
            let arguments = call["arguments"] ?? .object(JSONObject())
            // Some write them as a text that is JSON.
            let inner = arguments.string.flatMap { try? JSONValue(Array($0.utf8)) } ?? arguments
            guard case .object = inner, inner.isFinite else { return nil }
            (self.name, values, object) = (name, [], inner.text)
        case .json, .pairs, .invokes: return nil
        }
        (isWhole, isValueWhole) = (true, true)
        guard !name.isEmpty else { return nil }
    }

    /// The arguments as JSON text, as far as they have come: nothing closes those of a call that is not whole.
    /// - Parameter kind: what the argument of a key may be.
    func arguments(_ kind: (String) -> ArgumentKind) -> String {
        if let object { return object }
        if values.isEmpty && !isWhole { return "" }
        var members = values.map {
            "\(JSONValue.string($0.key).text): \(Self.json(Array($0.text), $0.kind ?? kind($0.key)))"
        }
        if let last = values.last, !isValueWhole {
            let text = last.kind == .text ? "\"" + Self.inside(String(decoding: last.text, as: UTF8.self)) : ""
            members[members.count - 1] = "\(JSONValue.string(last.key).text): \(text)"
        }
        return "{" + members.joined(separator: ", ") + (isWhole ? "}" : "")
    }

    // MARK: Values

    /// The JSON text of an argument that has been written as it is where it is a text, as JSON where it is none.
    static func json(_ text: [UInt8], _ kind: ArgumentKind) -> String {
        let trimmed = Array(text.trimmed)
        if kind == .textOrNull && trimmed.elementsEqual("null".utf8) { return "null" }
        if kind == .json || kind == .either {
            if (try? JSONValue(trimmed))?.isFinite == true { return String(decoding: trimmed, as: UTF8.self) }
            // Python's words, which some models write.
            let word = kind == .json ? pythonWords[String(decoding: trimmed, as: UTF8.self)] : nil
            if let word { return word }
        }
        return JSONValue.string(String(decoding: text, as: UTF8.self)).text
    }

    private static let pythonWords = ["True": "true", "False": "false", "None": "null"]

    /// What a text is between the quotation marks of JSON.
    static func inside(_ text: String) -> String { String(JSONValue.string(text).text.dropFirst().dropLast()) }

    private static func trimmed(_ text: ArraySlice<UInt8>) -> String {
        String(decoding: text.filter { $0 != marker }.trimmed, as: UTF8.self)
    }

    private static func plain(_ text: ArraySlice<UInt8>) -> String {
        String(decoding: text.filter { $0 != marker }, as: UTF8.self)
    }

    /// Without the line breaks that stand around a value.
    private static func withoutBreaks(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let lineFeed = UInt8(ascii: "\n")
        let text = text.first == lineFeed ? text.dropFirst() : text
        return text.last == lineFeed ? text.dropLast() : text
    }

    /// Looks for tags in what is left of a text. A tag's zero stands for the marker.
    private struct Reader {
        private var rest: ArraySlice<UInt8>

        init(_ text: [UInt8]) { rest = text[...] }

        func place(of tag: String) -> Int? {
            let tag = tag.utf8.map { $0 == 0 ? CallBody.marker : $0 }
            return rest.indices.first { rest[$0] == tag[0] && rest[$0...].starts(with: tag) }
        }

        /// - Returns: whether the tag is there; what is left begins behind it then.
        mutating func skip(behind tag: String) -> Bool {
            guard let place = place(of: tag) else { return false }
            rest = rest[(place + tag.utf8.count)...]
            return true
        }

        /// The text before a tag, behind which what is left begins.
        mutating func text(before tag: String) -> ArraySlice<UInt8>? {
            guard let place = place(of: tag) else { return nil }
            defer { rest = rest[(place + tag.utf8.count)...] }
            return rest[..<place]
        }

        /// A value up to its end, or to what shows that the end is missing.
        mutating func value(before tag: String, or others: [String]) -> ArraySlice<UInt8> {
            part(before: tag, or: others).text
        }

        /// The same, and whether there is any of those ends.
        mutating func part(before tag: String, or others: [String]) -> (text: ArraySlice<UInt8>, hasEnd: Bool) {
            if let text = text(before: tag) { return (text, true) }
            let end = others.compactMap { place(of: $0) }.min()
            defer { rest = rest[(end ?? rest.endIndex)...] }
            return (rest[..<(end ?? rest.endIndex)], end != nil)
        }
    }
}
