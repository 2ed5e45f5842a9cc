/// HTML or SVG source in which nothing but our own tags is markup: names and attributes are literals, and every text is
/// escaped on its way in.
public struct Markup: Sendable, Equatable {
    /// The source, ready to be written.
    public private(set) var source = ""

    /// Nothing.
    public init() {}

    /// Text, escaped.
    public init(_ text: String) { source = Self.escaped(text) }

    /// Escaped text whose words stay whole: a browser would break them at a hyphen, a dash or a slash. Very long ones may be
    /// broken anywhere.
    init(words text: String) {
        for (index, word) in text.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { source += " " }
            let isKept = word.count <= Self.longestKept && word.dropLast().contains(where: Self.breaks.contains)
            source += isKept ? "<span class=\"word\">\(Self.escaped(String(word)))</span>" : Self.escaped(String(word))
        }
    }

    /// Most characters of a word that stays whole.
    static let longestKept = 28
    /// What a browser breaks a word behind.
    private static let breaks: Set<Character> = ["-", "–", "—", "/", "?", "…"]

    /// Escaped text in which words between backticks are set as code, and no percent sign is parted from its number.
    public init(prose: String) {
        var prose = prose
        for digit in "0123456789" {
            prose = prose.split(separator: "\(digit) %", omittingEmptySubsequences: false)
                .joined(separator: "\(digit)\u{A0}%")
        }
        var isCode = false
        for (index, part) in prose.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { isCode.toggle() }
            guard !part.isEmpty else { continue }
            guard isCode else {
                self += Markup(words: String(part))
                continue
            }
            // Short code, such as a flag with its value, stays on one line.
            self +=
                part.count <= 24
                ? .element("code", ["class": "word"], Markup(String(part)))
                : .element("code", [:], Markup(words: String(part)))
        }
    }

    /// An element.
    /// - Parameters:
    ///   - name: the tag.
    ///   - attributes: in this order; those without a value are left out.
    ///   - content: what lies between the tags.
    public static func element(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:], _ content: Markup...
    ) -> Markup {
        var result = Markup()
        result.source = "<\(name)"
        for case (let key, let value?) in attributes { result.source += " \(key)=\"\(escaped(value))\"" }
        if leaves.contains("\(name)") {
            result.source += "/>"
        } else {
            result.source += ">\(content.map(\.source).joined())</\(name)>"
        }
        return result
    }

    /// A style sheet as it stands; a literal, so nothing in it needs escaping.
    static func style(_ sheet: StaticString) -> Markup {
        var result = Markup()
        result.source = "<style>\(sheet)</style>"
        return result
    }

    /// The head of every page.
    static let documentType: Markup = {
        var result = Markup()
        result.source = "<!DOCTYPE html>\n"
        return result
    }()

    /// Appends more source.
    public static func += (left: inout Markup, right: Markup) { left.source += right.source }

    /// One after the other.
    public static func + (left: Markup, right: Markup) -> Markup {
        var result = left
        result += right
        return result
    }

    /// Elements that never hold anything.
    private static let leaves: Set<String> = ["meta", "br", "line", "rect", "path", "circle", "col"]

    /// The text with everything replaced that could end it, or that would turn what follows around.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            default: result += scalar.printable
            }
        }
        return result
    }
}

extension Sequence<Markup> {
    /// One after the other.
    public func joined() -> Markup { reduce(into: Markup()) { $0 += $1 } }
}
