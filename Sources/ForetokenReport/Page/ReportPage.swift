/// A report as one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere. It follows the
/// reader's choice of light or dark, and can be printed. All text is escaped; words between backticks are set as code.
public struct ReportPage: Sendable {
    /// The answer, before anything else.
    public struct Banner: Sendable {
        /// What kind of answer it is.
        public enum Tone: String, Sendable {
            case good, bad, open
        }

        let tone: Tone
        let headline: String
        let flag: String?
        let reason: String

        /// An answer.
        /// - Parameters:
        ///   - headline: the answer in a line.
        ///   - flag: what to put on the command line; nil when there is nothing to advise.
        ///   - reason: why, in a sentence or two.
        public init(_ tone: Tone, headline: String, flag: String?, reason: String) {
            self.tone = tone
            self.headline = headline
            self.flag = flag
            self.reason = reason
        }
    }

    /// A figure worth a large font.
    public struct Tile: Sendable {
        let label: String
        let value: String
        let detail: String

        /// A figure, what it is, and what it should be read with.
        public init(_ label: String, _ value: String, detail: String) {
            self.label = label
            self.value = value
            self.detail = detail
        }
    }

    /// Part of a section.
    public enum Block: Sendable {
        /// A paragraph.
        case text(String)
        /// A chart with a sentence about it.
        case chart(any Chart, caption: String)
        /// A table; empty ones are left out.
        case table(DataTable)
        /// A title inside a section.
        case heading(String)
        /// Terms and what they mean.
        case definitions([(term: String, meaning: String)])
        /// Side by side where the page is wide enough.
        case row([Block])
    }

    /// Blocks under a title.
    public struct Section: Sendable {
        let title: String
        let blocks: [Block]

        /// A section; one without blocks is left out.
        public init(_ title: String, _ blocks: [Block]) {
            self.title = title
            self.blocks = blocks
        }
    }

    private let title: String
    private let subtitle: String
    private let footer: String
    private let banner: Banner
    /// Said right below the answer: what the reader must know before trusting it.
    public var notices: [String] = []
    /// The few figures that matter most.
    public var tiles: [Tile] = []
    /// Everything else, in order.
    public var sections: [Section] = []

    /// A page that so far has its answer only.
    public init(title: String, subtitle: String, banner: Banner, footer: String) {
        self.title = title
        self.subtitle = subtitle
        self.banner = banner
        self.footer = footer
    }

    /// The page as HTML.
    public func rendered() -> String {
        let head = Markup.element(
            "head", [:], .element("meta", ["charset": "utf-8"]),
            .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
            .element("meta", ["name": "color-scheme", "content": "light dark"]),
            .element("title", [:], Markup(title)), .style(styleSheet))
        var charts = 0
        let body = sections.filter { !$0.blocks.isEmpty }.map { section in
            Markup.element(
                "section", [:], .element("h2", [:], Markup(words: section.title)),
                section.blocks.map { drawn($0, &charts) }.joined())
        }
        let main = Markup.element("main", [:], header, notes, figures, body.joined())
        let foot = Markup.element("footer", [:], Markup(prose: footer))
        return
            (.documentType + .element("html", ["lang": "en"], head, .element("body", [:], main, foot))).source + "\n"
    }

    private var header: Markup {
        let flag = banner.flag.map { flag in
            Markup.element(
                "p", ["class": "flag"], Markup("Recommended: "), .element("code", [:], Markup(flag)))
        }
        return .element(
            "header", [:], .element("h1", [:], Markup(words: title)),
            .element("p", ["class": "subtitle"], Markup(words: subtitle)),
            .element(
                "div", ["class": "banner \(banner.tone.rawValue)"],
                .element("p", ["class": "headline"], Markup(prose: banner.headline)), flag ?? Markup(),
                .element("p", [:], Markup(prose: banner.reason))))
    }

    private var notes: Markup {
        notices.map { Markup.element("p", ["class": "notice"], Markup(prose: $0)) }.joined()
    }

    private var figures: Markup {
        guard !tiles.isEmpty else { return Markup() }
        let tiles = tiles.map { tile in
            Markup.element(
                "div", [:], .element("dt", [:], Markup(words: tile.label)),
                .element("dd", ["class": "figure"], Markup(tile.value)), .element("dd", [:], Markup(prose: tile.detail))
            )
        }
        return .element("dl", ["class": "tiles"], tiles.joined())
    }

    private func drawn(_ block: Block, _ charts: inout Int) -> Markup {
        switch block {
        case .text(let text): return .element("p", [:], Markup(prose: text))
        case .heading(let text): return .element("h3", [:], Markup(words: text))
        case .table(let table): return table.isEmpty ? Markup() : table.drawn
        case .chart(let chart, let caption):
            charts += 1
            let text = caption.isEmpty ? Markup() : Markup.element("p", [:], Markup(prose: caption))
            return .element(
                "figure", [:], .element("figcaption", [:], .element("h3", [:], Markup(words: chart.title)), text),
                chart.drawn(id: "chart-\(charts)"))
        case .definitions(let terms):
            let items = terms.map { term, meaning in
                Markup.element(
                    "div", [:], .element("dt", [:], Markup(prose: term)), .element("dd", [:], Markup(prose: meaning)))
            }
            return .element("dl", ["class": "terms"], items.joined())
        case .row(let blocks):
            return .element("div", ["class": "row"], blocks.map { drawn($0, &charts) }.joined())
        }
    }
}
