/// A text as its tokens came about, as one SVG file that needs nothing else: no scripts, no fonts from elsewhere. Each step
/// of the model is a box, and each token in it has the colour and the line of where it came from. It follows the reader's
/// choice of light or dark, also as an `<img>` of a page. All text is escaped, and every character has its place, whatever
/// the font.
public struct TokenPicture: Sendable {
    /// Where a token came from.
    public enum Origin: String, Sendable, CaseIterable {
        /// The verifier: nobody had guessed it.
        case own
        /// A draft of the MTP modules.
        case module
        /// A draft that was looked up.
        case lookup
        /// A draft that was looked up, and that a prediction had as well.
        case prediction
    }

    /// A token.
    public struct Token: Sendable {
        let text: String
        let origin: Origin
        let step: Int?
        let replacesDraft: Bool

        /// A token.
        /// - Parameters:
        ///   - text: its whole characters; empty where it completes none.
        ///   - step: the step that it came with, in ascending order; nil for what came with the prompt.
        ///   - replacesDraft: whether a draft stood in its place that did not hold.
        public init(_ text: String, _ origin: Origin, step: Int?, replacesDraft: Bool = false) {
            self.text = text
            self.origin = origin
            self.step = step
            self.replacesDraft = replacesDraft
        }
    }

    /// An entry of the legend.
    public struct Entry: Sendable {
        let text: String
        let mark: Mark

        /// What it explains.
        public enum Mark: Sendable {
            /// Tokens of that origin.
            case origin(Origin)
            /// Tokens in the place of a draft that did not hold.
            case replacesDraft
        }

        /// An entry.
        public init(_ text: String, _ mark: Mark) {
            self.text = text
            self.mark = mark
        }
    }

    /// The text that the tokens go on from; only its end is shown.
    public var prompt = ""
    /// The tokens in order.
    public var tokens: [Token] = []
    /// What there is to see, in a line.
    public var headline = ""
    /// What the marks mean.
    public var legend: [Entry] = []
    /// Said below, in small letters.
    public var remarks: [String] = []
    /// How the picture was made; written into the file, not shown.
    public var origin = ""

    /// Columns after which lines are broken.
    public static let mostColumns = 64
    /// Lines after which the text is cut, which the picture says.
    public static let mostLines = 40
    private static let fewestColumns = 48

    /// A picture of nothing.
    public init() {}

    private var layout: TokenLayout {
        TokenLayout(prompt: prompt, tokens: tokens.map(\.text), limit: Self.mostColumns, most: Self.mostLines)
    }

    /// Tokens that have no room in the picture.
    public var missing: Int { layout.missing }

    /// The picture as SVG.
    public func rendered() -> String {
        let layout = layout
        let columns = max(Self.fewestColumns, layout.width)
        var sheet = TokenSheet(columns: columns)
        if layout.isPromptCut { sheet.addLine("…", .soft) }
        for line in layout.lines { sheet.add(line, tokens, boxes: boxes(layout)) }
        if layout.missing > 0 {
            let noun = layout.missing == 1 ? "token is" : "tokens are"
            sheet.addLine("… \(Format.grouped(layout.missing)) more \(noun) not shown", .soft)
        }
        sheet.addRule()
        for line in headline.printable.wrapped(toWidth: columns) { sheet.addLine(line, .strong) }
        sheet.add(legend)
        for remark in remarks { sheet.addSmall(remark) }
        return sheet.rendered(title: headline, description: origin)
    }

    /// Where each step's box begins and ends: the first and the last place that is shown of it.
    private func boxes(_ layout: TokenLayout) -> [Int: StepBox] {
        var boxes: [Int: StepBox] = [:]
        for (row, line) in layout.lines.enumerated() {
            for cell in line where cell.token >= 0 {
                guard let step = tokens[cell.token].step else { continue }
                boxes[step, default: StepBox(first: (row, cell.column), last: (row, cell.column))].last = (
                    row, cell.column
                )
            }
        }
        return boxes
    }
}

/// The ends of a step's box, as row and column.
struct StepBox {
    let first: (row: Int, column: Int)
    var last: (row: Int, column: Int)
}
