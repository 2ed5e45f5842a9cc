import ForetokenReport
import ForetokenTestSupport
import Glibc
import Testing

/// Pictures of tokens, as they are drawn.
@Suite struct TokenPictureTests {
    /// A piece of text and where it stands.
    private struct Piece {
        let style: String
        let text: String
        let x: Double
        let y: Double
        let width: Double
    }

    /// All texts of a picture.
    private func pieces(_ svg: String) throws -> [Piece] {
        try svg.split(separator: "<text class=\"").dropFirst().map { part in
            func attribute(_ name: String) throws -> String {
                let start = try #require(part.firstRange(of: "\(name)=\"")?.upperBound, "\(part)")
                return String(part[start...].prefix { $0 != "\"" })
            }
            let text = part.drop { $0 != ">" }.dropFirst().prefix { $0 != "<" }
            return Piece(
                style: String(part.prefix { $0 != "\"" }), text: String(text), x: try #require(Double(attribute(" x"))),
                y: try #require(Double(attribute(" y"))), width: try #require(Double(attribute("textLength"))))
        }
    }

    /// The text of each line of tokens, blanks left out.
    private func lines(_ svg: String) throws -> [String] {
        let shown = try pieces(svg).filter { !$0.style.contains("small") && !$0.style.contains("strong") }
        return shown.map(\.y).reduce(into: [Double]()) { if $0.last != $1 { $0.append($1) } }
            .map { y in shown.filter { $0.y == y }.map(\.text).joined(separator: " ") }
    }

    private func picture(_ tokens: [TokenPicture.Token], prompt: String = "") -> TokenPicture {
        var picture = TokenPicture()
        picture.prompt = prompt
        picture.tokens = tokens
        picture.headline = "3 tokens in 2 steps"
        picture.legend = [.init("1 own", .origin(.own)), .init("1 wrong", .replacesDraft)]
        return picture
    }

    /// What XML asks for beyond balanced tags: known entities only, and no characters that it forbids.
    private func problem(_ svg: String) -> String? {
        if let problem = TagBalance(svg).problem { return problem }
        for part in svg.split(separator: "&", omittingEmptySubsequences: false).dropFirst() {
            let name = part.prefix { $0 != ";" }
            guard ["amp", "lt", "gt", "quot", "#39"].contains(name) else { return "&\(name); is unknown" }
        }
        let isForbidden = { (scalar: Unicode.Scalar) in
            scalar.value < 0x20 && scalar != "\n" || (0x7F...0x9F).contains(scalar.value)
                || scalar.value & 0xFFFE == 0xFFFE
        }
        return svg.unicodeScalars.contains(where: isForbidden) ? "a forbidden character" : nil
    }

    @Test func everyOriginHasItsColourAndItsLine() throws {
        let svg = picture([
            .init("a", .own, step: nil), .init(" b", .module, step: 0), .init(" c", .lookup, step: 0),
            .init(" d", .prediction, step: 0), .init(" e", .own, step: 0, replacesDraft: true),
        ]).rendered()
        #expect(problem(svg) == nil)
        let tokens = try pieces(svg).prefix(5)
        #expect(tokens.map(\.style) == ["own", "module", "lookup", "prediction", "own"])
        #expect(tokens.map(\.text) == ["a", "b", "c", "d", "e"])
        #expect(tokens.map { ($0.x - 20) / 9.6 }.map { $0.rounded() } == [0, 2, 4, 6, 8])
        func count(_ text: String) -> Int { svg.split(separator: text, omittingEmptySubsequences: false).count - 1 }
        #expect(count("\"mark module\"") == 1 && count("\"mark lookup\"") == 2 && count("\"mark prediction\"") == 1)
        #expect(count("\"mark wrong\"") == 2, "the token's and the legend's")
        for origin in ["module", "lookup", "prediction"] { #expect(count("\"tint \(origin)\"") == 1) }
        #expect(count("\"tint own\"") == 0)
    }

    /// A box a step, and none for what came with the prompt; a legend's boxes come behind.
    @Test func stepsAreBoxes() throws {
        func boxes(_ tokens: [TokenPicture.Token]) throws -> Int {
            var picture = picture(tokens)
            picture.legend = []
            let svg = picture.rendered()
            guard let start = svg.firstRange(of: "class=\"box\" d=\"")?.upperBound else { return 0 }
            return svg[start...].prefix { $0 != "\"" }.count { $0 == "M" }
        }
        #expect(try boxes([.init("a", .own, step: nil)]) == 0)
        #expect(try boxes([.init("a", .own, step: nil), .init("b", .module, step: 0), .init("c", .own, step: 0)]) == 1)
        #expect(try boxes([.init("b", .module, step: 0), .init("c", .own, step: 0), .init("d", .own, step: 1)]) == 2)
        // One on each line that it reaches.
        #expect(
            try boxes([.init("b\n", .module, step: 0), .init("\n", .module, step: 0), .init("c", .own, step: 0)]) == 3)
    }

    @Test func hostileTextStaysText() throws {
        let hostile = [
            "</text><script>alert(1)</script>", "\"><image href='http://x'/>", "]]>&amp;<!--",
            "\u{0}\u{1B}[31m\u{202E}\u{7F}",
            "\u{FFFE}\u{FFFF}\u{FEFF}\r", "e" + String(repeating: "\u{301}", count: 500), "\u{301}", "👨‍👩‍👧",
        ]
        var picture = picture(
            hostile.map { .init($0, .module, step: 0) }, prompt: hostile.joined(separator: "\n"))
        picture.headline = hostile.joined()
        picture.remarks = hostile
        picture.legend = hostile.map { .init($0, .replacesDraft) }
        picture.origin = hostile.joined()
        let svg = picture.rendered()
        #expect(problem(svg) == nil)
        #expect(svg.contains("&lt;/text&gt;&lt;script&gt;") && svg.contains("\\u{1B}") && svg.contains("\\u{202E}"))
        let known: Set = ["svg", "title", "desc", "style", "rect", "path", "line", "text"]
        #expect(Set(TagBalance(svg).elements).isSubset(of: known))
        #expect(!svg.unicodeScalars.contains("\u{202E}") && !svg.unicodeScalars.contains("\u{FEFF}"))
        for piece in try pieces(svg) where !piece.text.isEmpty { #expect(piece.width > 0) }
    }

    /// The only address in it is SVG's own name.
    @Test func needsNothingElse() {
        let svg = picture([.init("a", .module, step: 0)]).rendered()
        #expect(svg.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\""))
        for word in ["url(", "@import", "@font-face", "<script", "<image", "<use", "<foreignObject", "href", "<!--"] {
            #expect(!svg.contains(word), "\(word)")
        }
        #expect(svg.split(separator: "http").count == 2 && svg.contains("prefers-color-scheme: dark"))
    }

    @Test func linesBreakAtBlanksAndLongWordsAnywhere() throws {
        let words = (0..<30).map { (step: Int) in TokenPicture.Token(" word\(step)", .own, step: step) }
        for line in try lines(picture(words).rendered()) {
            #expect(line.split(separator: " ").allSatisfy { $0.hasPrefix("word") }, "\(line)")
        }
        let long = picture([.init(String(repeating: "x", count: 200), .module, step: 0)]).rendered()
        let most = TokenPicture.mostColumns
        #expect(try lines(long).map(\.count) == [most, most, most, 200 - 3 * most])
        // A word of several tokens stays whole: "alpha" is the last that fits in front of it.
        let parts = picture([
            .init(String(repeating: "a", count: 55), .own, step: nil), .init(" un", .module, step: 0),
            .init("believ", .module, step: 0), .init("able", .own, step: 0),
        ]).rendered()
        #expect(
            try lines(parts).map { $0.filter { $0 != " " } } == [String(repeating: "a", count: 55), "unbelievable"])
    }

    @Test func wideCharactersTabsAndLineEndsKeepTheirColumns() throws {
        let svg = picture([.init("日本x\ty\r\nz", .own, step: 0)]).rendered()
        let shown = try pieces(svg).prefix(5)
        #expect(shown.map(\.text) == ["日", "本", "x", "y", "z"])
        #expect(shown.map { (($0.x - 20) / 9.6).rounded() } == [0, 2, 4, 8, 0])
        #expect(shown.map { ($0.width / 9.6).rounded() } == [2, 2, 1, 1, 1])
        #expect(Set(shown.map(\.y)).count == 2)
        #expect(svg.split(separator: "class=\"end own\"").count == 2)
    }

    @Test func noTextLeavesThePicture() throws {
        let pool = ["\u{1F600}", "日本", "\t", " ", "\n", "x", "\u{200B}", "e\u{301}", "wordy-word", "\u{1B}"]
        for seed in 0..<40 {
            let tokens = (0..<300).map { i in
                TokenPicture.Token(pool[(i * i * 7 + seed * 13 + i) % pool.count], .lookup, step: i / 3)
            }
            let svg = picture(tokens, prompt: pool.joined()).rendered()
            #expect(problem(svg) == nil)
            let box = try #require(svg.firstRange(of: "viewBox=\"0 0 ")?.upperBound)
            let size = svg[box...].prefix { $0 != "\"" }.split(separator: " ").compactMap { Double($0) }
            for piece in try pieces(svg) {
                #expect(piece.x >= 20 && piece.x + piece.width <= size[0] - 10.3, "\(piece)")
                #expect(piece.y > 0 && piece.y < size[1])
            }
        }
    }

    @Test func manyTokensAreCutAndThatIsSaid() throws {
        let tokens = (0..<10_000).map { (step: Int) in TokenPicture.Token(" token\(step)", .module, step: step) }
        let picture = picture(tokens)
        let svg = picture.rendered()
        #expect(svg.utf8.count < 500_000)
        let shown = try lines(svg)
        #expect(shown.count == TokenPicture.mostLines + 1)
        let drawn = shown.dropLast().joined(separator: " ").split(separator: " ").count
        #expect(picture.missing == 10_000 - drawn && picture.missing > 9000)
        #expect(shown.last == "… \(Format.grouped(picture.missing)) more tokens are not shown")
        #expect(!self.picture([.init("a", .own, step: nil)]).rendered().contains("not shown"))
        // A picture that is just full is not cut, whatever it ends with.
        let full = (0..<TokenPicture.mostLines).map { TokenPicture.Token("a\n", .own, step: $0) }
        #expect(self.picture(full).missing == 0)
        #expect(self.picture(full + [.init(" ", .own, step: 50)]).missing == 1)
        #expect(self.picture(Array(full.dropLast()) + [.init(" ", .own, step: 50)]).missing == 0)
    }

    @Test func onlyAPromptsEndIsShown() throws {
        let prompt = (0..<5000).map { "line \($0)" }.joined(separator: "\n") + "\nlet x ="
        let shown = try lines(picture([.init(" 5", .own, step: nil)], prompt: prompt).rendered())
        #expect(shown == ["…", "line 4999", "let x = 5"])
        #expect(try lines(picture([.init("b", .own, step: nil)], prompt: "a").rendered()) == ["a b"])
        // Nothing at all is still a picture.
        #expect(problem(picture([]).rendered()) == nil)
    }

    /// Text against what it stands on, in both schemes: 4.5:1 at least.
    @Test func textIsLegibleInBothSchemes() throws {
        let svg = picture([]).rendered()
        let schemes = svg.split(separator: "prefers-color-scheme: dark")
        try #require(schemes.count == 2)
        for (index, sheet) in schemes.enumerated() {
            func color(_ rule: String) throws -> [Double] {
                let start = try #require(sheet.firstRange(of: rule)?.upperBound, "\(rule)")
                let value = sheet[start...].drop { $0 != "#" }.dropFirst().prefix(6)
                let digits = try #require(UInt32(value, radix: 16))
                return [16, 8, 0].map { Double(digits >> $0 & 255) / 255 }
            }
            func check(_ text: String, on paper: String) throws {
                let pair = try [color(text), color(paper)].map(luminance).sorted()
                #expect((pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, "\(text) on \(paper), scheme \(index)")
            }
            for origin in ["module", "lookup", "prediction"] {
                try check("text.\(origin) {", on: ".tint.\(origin) {")
            }
            try check("text.soft, text.prompt {", on: ".page {")
            try check(index == 0 ? "monospace;" : "text { fill:", on: ".box {")
        }
    }

    private func luminance(_ color: [Double]) -> Double {
        zip(color, [0.2126, 0.7152, 0.0722]).reduce(0) { $0 + linear($1.0) * $1.1 }
    }

    private func linear(_ part: Double) -> Double {
        part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
    }
}

extension EngineTests {
    /// `generate --picture`.
    @Suite struct Drawing {
        private let folder: TemporaryFolder
        private var path: String { folder.path + "/tokens.svg" }

        init() throws { folder = try TemporaryFolder() }

        private func svg() throws -> String { String(decoding: try folder.read("tokens.svg"), as: UTF8.self) }

        /// The numbers are the run's, and so is the text.
        @Test func showsWhatTheRunDid() throws {
            let answer = try Command.generate(
                prompt, "--max-tokens", "60", "--ignore-eos", "--fresh-odds", "--draft", "3", "--picture", path)
            let svg = try svg()
            #expect(TagBalance(svg).problem == nil)
            let speculation = answer.speculation
            #expect(svg.contains("60 tokens in \(speculation.rounds) steps of the model, not 59"))
            let held = speculation.accepted.reduce(0, +)
            #expect(svg.contains("\(60 - held) the verifier&#39;s own"))
            let drafted = speculation.drafted.reduce(0, +)
            let words = TagBalance(svg).text.filter { !$0.isWhitespace }
            #expect(words.contains("\(held)of\(drafted)draftsheld"))
            let text = svg.split(separator: "<text class=\"").dropFirst().filter { part in
                ["own", "module", "lookup"].contains(part.prefix { $0 != "\"" })
            }.map { $0.drop { $0 != ">" }.dropFirst().prefix { $0 != "<" } }.joined()
            let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            let plain = entities.reduce(text) {
                $0.split(separator: $1.0, omittingEmptySubsequences: false).joined(separator: $1.1)
            }
            #expect(plain == answer.text.filter { !$0.isWhitespace })
            #expect(svg.contains("<desc>Made by: foretoken generate"))
            #expect(svg.contains("--picture \(path)</desc>"), "the command that made it")
        }

        @Test func withoutDraftsEveryTokenIsAStep() throws {
            let outcome = try Command.run("generate", prompt, "--max-tokens", "9", "--draft", "off", "--picture", path)
            #expect(outcome.status == 0)
            let svg = try svg()
            #expect(svg.contains("9 tokens in 8 steps of the model<") && svg.contains("Nothing was drafted."))
        }

        /// Nothing of a stop string, which was held back while it might have been text.
        @Test func endsBeforeAStopString() throws {
            let answer = try Command.generate(
                prompt, "--max-tokens", "40", "--stop", "\n", "--draft", "4", "--picture", path)
            #expect(answer.finish_reason == "stop")
            #expect(try !svg().contains("class=\"end own\"") && !svg().contains("class=\"end module\""))
        }

        @Test func replacesAFileAndNothingElse() throws {
            try folder.write(Array("old".utf8), "tokens.svg")
            #expect(try Command.run("generate", "a", "--max-tokens", "2", "--picture", path).status == 0)
            #expect(try svg().hasPrefix("<svg"))
            try folder.write(Array("func".utf8), "prompt")
            let file = folder.path + "/prompt"
            let same = try Command.run("generate", "--prompt-file", file, "--max-tokens", "2", "--picture", file)
            #expect(same.status == 2 && same.errors.contains("would overwrite"), "\(same.errors)")
            #expect(try String(decoding: folder.read("prompt"), as: UTF8.self) == "func")
            let missing = try Command.run("generate", "a", "--picture", folder.path + "/no/tokens.svg")
            #expect(missing.status == 2 && missing.output.isEmpty, "\(missing.errors)")
            let many = try Command.run("generate", "--input-file", file, "--picture", path)
            #expect(many.status == 2 && many.errors.contains("--input-file"), "\(many.errors)")
        }
    }
}
