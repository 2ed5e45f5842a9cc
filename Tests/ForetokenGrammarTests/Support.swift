import ForetokenGrammar
import ForetokenJSON
import ForetokenTestSupport

/// A token for every byte, so that texts can be given byte by byte, and one without any, 256.
let bytewise = GrammarVocabulary((0..<256).map { [UInt8($0)] } + [[]])

func json(_ text: String) throws -> JSONValue { try JSONValue(Array(text.utf8)) }

func grammar(_ schema: String, isStrict: Bool = false) throws -> Grammar {
    try Grammar(schema: try json(schema), isStrict: isStrict)
}

extension Grammar {
    /// How far the text is taken, in bytes.
    func taken(_ text: some Collection<UInt8>) -> (count: Int, cursor: GrammarCursor) {
        var cursor = GrammarCursor(TokenGrammar(self, bytewise))
        var count = 0
        for byte in text {
            guard cursor.advance(Int32(byte)) else { break }
            count += 1
        }
        return (count, cursor)
    }

    /// Whether the text is one of the language.
    func accepts(_ text: String) -> Bool {
        let (count, cursor) = taken(Array(text.utf8))
        return count == text.utf8.count && cursor.isComplete
    }
}

extension GrammarCursor {
    /// The allowed tokens, by the mask.
    func allowed() -> [Int32] {
        var words = [UInt64](repeating: .max, count: wordCount)
        words.withUnsafeMutableBufferPointer { mask(into: $0.baseAddress!) }
        return (0..<Int32(wordCount * 64)).filter { words[Int($0 / 64)] >> UInt64($0 % 64) & 1 == 1 }
    }
}

extension SeededGenerator {
    /// Uniform below `count`.
    mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }

    mutating func isHit(oneIn count: Int) -> Bool { below(count) == 0 }

    mutating func choice<Element>(_ values: [Element]) -> Element { values[below(values.count)] }
}

/// A JSON value with its members in order and its numbers as they are spelt.
indirect enum Tree {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([Tree])
    case object([(name: String, value: Tree)])

    init(_ value: JSONValue) {
        self =
            switch value {
            case .null: .null
            case .bool(let value): .bool(value)
            case .number(let number): .number(number.description)
            case .string(let text): .string(text)
            case .array(let values): .array(values.map(Tree.init))
            case .object(let object): .object(object.members.map { ($0.key, Tree($0.value)) })
            }
    }

    /// On one line, with a blank behind commas and colons unless it is `compact`.
    func text(isCompact: Bool = false) -> String {
        let blank = isCompact ? "" : " "
        return switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let spelling): spelling
        case .string(let text): JSONValue.string(text).text
        case .array(let values): "[\(values.map { $0.text(isCompact: isCompact) }.joined(separator: ",\(blank)"))]"
        case .object(let members):
            "{"
                + members.map { "\(JSONValue.string($0.name).text):\(blank)\($0.value.text(isCompact: isCompact))" }
                .joined(separator: ",\(blank)") + "}"
        }
    }

    /// Over several lines.
    func pretty(_ indent: String = "\n") -> String {
        let inner = indent + "  "
        switch self {
        case .array(let values) where !values.isEmpty:
            return "[" + values.map { inner + $0.pretty(inner) }.joined(separator: ",") + indent + "]"
        case .object(let members) where !members.isEmpty:
            let lines = members.map { "\(inner)\(JSONValue.string($0.name).text): \($0.value.pretty(inner))" }
            return "{" + lines.joined(separator: ",") + indent + "}"
        default: return text()
        }
    }
}
