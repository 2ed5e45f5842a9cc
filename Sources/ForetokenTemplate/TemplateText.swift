/// Text that knows of every scalar whether it came from outside, so that nobody's message can pass for a template's own markers.
///
/// Positions and lengths count Unicode scalars, as Python does. Two texts are equal when they read the same.
public struct TemplateText: Sendable, Hashable {
    /// Scalars, each with `inputMark` where it is input: every operation on the text is then one on an array.
    var units: [UInt32]

    static let inputMark: UInt32 = 1 << 31

    init(units: some Sequence<UInt32>) { self.units = Array(units) }

    /// Text from outside, or the template's or the program's own.
    public init(_ text: String, isInput: Bool) {
        let mark = isInput ? Self.inputMark : 0
        units = text.unicodeScalars.map { $0.value | mark }
    }

    /// Text in runs of one origin each.
    public init(_ pieces: [TemplatePiece]) {
        units = pieces.flatMap { TemplateText($0.text, isInput: $0.isInput).units }
    }

    /// The template's own text.
    init(own text: String) { self.init(text, isInput: false) }

    /// The same without marks.
    public var string: String {
        var text = String.UnicodeScalarView()
        for unit in units { text.append(unit.scalar) }
        return String(text)
    }

    /// The text in runs of one origin each.
    public var pieces: [TemplatePiece] {
        var pieces: [TemplatePiece] = []
        var text = String.UnicodeScalarView()
        for (index, unit) in units.enumerated() {
            text.append(unit.scalar)
            let isInput = unit.isInput
            if index + 1 == units.count || units[index + 1].isInput != isInput {
                pieces.append(TemplatePiece(String(text), isInput: isInput))
                text = .init()
            }
        }
        return pieces
    }

    /// Whether both read the same, wherever they came from.
    public static func == (left: Self, right: Self) -> Bool {
        left.units.count == right.units.count && zip(left.units, right.units).allSatisfy { $0.isSame(as: $1) }
    }

    /// Agrees with equality.
    public func hash(into hasher: inout Hasher) {
        for unit in units { hasher.combine(unit & ~Self.inputMark) }
    }
}

/// A run of rendered text.
public struct TemplatePiece: Sendable, Equatable {
    /// The text.
    public let text: String
    /// Whether it came from outside, and is not the template's own.
    public let isInput: Bool

    /// A run of text.
    public init(_ text: String, isInput: Bool) {
        self.text = text
        self.isInput = isInput
    }
}

extension UInt32 {
    /// The scalar of a text's unit.
    var scalar: Unicode.Scalar { Unicode.Scalar(self & ~TemplateText.inputMark) ?? "\u{FFFD}" }

    /// Whether a text's unit is input.
    var isInput: Bool { self & TemplateText.inputMark != 0 }

    /// Whether two units read the same.
    func isSame(as other: UInt32) -> Bool { (self ^ other) & ~TemplateText.inputMark == 0 }

    /// Whether Python's str.isspace holds for a text's unit.
    var isSpace: Bool {
        switch self & ~TemplateText.inputMark {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Whether Python's str.splitlines ends a line at a text's unit.
    var endsLine: Bool {
        switch self & ~TemplateText.inputMark {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
