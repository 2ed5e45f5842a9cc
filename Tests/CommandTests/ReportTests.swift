import ForetokenReport
import Testing

@Suite struct FormatTests {
    @Test(arguments: [
        (0, 2, "0.00"), (1.005, 1, "1.0"), (-0.04, 1, "0.0"), (-2.5, 0, "−3"), (-.infinity, 1, "−∞"),
        (0.999, 2, "1.00"),
        (12.3456, 3, "12.346"),
        (.infinity, 1, "∞"), (.nan, 1, "–"), (1e12, 1, "1000000000000.0"),
    ])
    func fixedDecimals(value: Double, decimals: Int, text: String) { #expect(Format.fixed(value, decimals) == text) }

    @Test(arguments: [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_960, "1.0 MB"),
        (688_586_727_753, "688.6 GB"),
    ])
    func byteCounts(count: Int, text: String) { #expect(Format.bytes(count) == text) }

    @Test func otherNumbers() {
        #expect(Format.grouped(-1_234_567) == "−1,234,567")
        #expect(Format.grouped(999) == "999")
        #expect(Format.short(1234.6) == "1,235")
        #expect(Format.short(0.1234) == "0.123" && Format.short(-1234.6) == "−1,235" && Format.short(-2) == "−2.00")
        #expect(Format.signed(-0.1, Format.percent) == "−10.0 %" && Format.signed(0, Format.percent) == "+0.0 %")
        #expect(Format.percent(0.917) == "91.7 %")
        #expect(Format.duration(nanoseconds: 3_420_000) == "3.42 ms")
        #expect(Format.duration(nanoseconds: 999_900_000) == "1.00 s")
        #expect(Format.duration(nanoseconds: 125_000_000_000) == "2 min 05 s")
    }
}

@Suite struct PrintableTests {
    @Test(arguments: [
        ("a\u{0}\n\t\u{7F}", "a\\u{0}\\u{A}\\u{9}\\u{7F}"), ("\u{85}\u{9B}", "\\u{85}\\u{9B}"),
        ("\u{202A}\u{202E}\u{2066}\u{2069}", "\\u{202A}\\u{202E}\\u{2066}\\u{2069}"),
        ("\u{200B}\u{200D}\u{200E}\u{61C}\u{FEFF}", "\\u{200B}\\u{200D}\\u{200E}\\u{61C}\\u{FEFF}"),
        ("\u{2028}\u{2029}\u{3164}\u{E0041}", "\\u{2028}\\u{2029}\\u{3164}\\u{E0041}"),
        ("\u{FFFF}\u{378}", "\\u{FFFF}\\u{378}"), ("é日本 ｜▁❤\u{FE0F}\u{E000}~", "é日本 ｜▁❤\u{FE0F}\u{E000}~"),
    ])
    func whatSteersOrHidesIsEscaped(text: String, expected: String) {
        #expect(text.printable == expected)
        #expect(expected.printable == expected)
    }

    @Test func pagesKeepLineEndsAndOurStylesOnly() {
        let terminal = Terminal(isInteractive: true, usesColor: true)
        let styled = terminal.styled("good", .green) + "\n"
        #expect(styled.printablePage == styled)
        #expect("\u{1B}[2J\u{1B}[31".printablePage == "\\u{1B}[2J\\u{1B}[31")
        #expect("a\n\u{202E}b".printableLines == "a\n\\u{202E}b")
    }

    @Test func tablesEscapeTheirCells() {
        var table = Table([.init("n\u{1B}")])
        table.add("\u{1B}[31m\u{202E}")
        let text = table.rendered(on: Terminal(isInteractive: false, usesColor: false))
        #expect(text.hasPrefix("n\\u{1B}") && text.contains("\n\\u{1B}[31m\\u{202E}\n"))
    }
}

@Suite struct TableTests {
    @Test func columnsAreAlignedByWhatIsSeen() {
        var table = Table([.init("name"), .init("size", .right)])
        table.add("e\u{301}t\u{e9}", "7")
        table.add("日本", "12345")
        let lines = table.rendered(on: Terminal(isInteractive: false, usesColor: false)).split(separator: "\n")
        #expect(lines == ["name   size", "────  ─────", "e\u{301}t\u{e9}       7", "日本  12345"])
    }

    @Test func wideTablesGiveWayOnNarrowTerminals() {
        var table = Table([.init("text"), .init("n", .right)])
        table.add(String(repeating: "x", count: 100), "1")
        let terminal = Terminal(isInteractive: true, usesColor: false, width: 40)
        for line in table.rendered(on: terminal).split(separator: "\n") { #expect(line.displayWidth <= 40) }
    }

    /// A table whose cells do not fit: words are wrapped, no label is cut, and no line is longer than the terminal.
    @Test(arguments: [40, 60, 80])
    func wordsOfTheLastColumnAreWrapped(width: Int) {
        var table = Table([.init("a label that is long"), .init("")])
        let prose = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
        table.add("chat turns end by", prose)
        table.add("short", "7")
        let text = table.rendered(on: Terminal(isInteractive: true, usesColor: false, width: width))
        #expect(text.split(separator: "\n").allSatisfy { $0.displayWidth <= width }, "\(text)")
        #expect(!text.contains("…") && text.contains("chat turns end by"))
        let words = text.split { " \n".contains($0) }
        #expect(prose.split(separator: " ").allSatisfy(words.contains))
        // Nobody looks on: one row, one line.
        let piped = table.rendered(on: Terminal(isInteractive: false, usesColor: false, width: width))
        #expect(piped.contains(prose))
    }

    @Test func titlesTakeSeveralLinesBeforeColumnsGo() {
        var table = Table([.init("rows", .right), .init("of one row", .right), .init("over one row", .right)])
        table.add("1", "1.00×", "2.00×")
        func lines(_ width: Int) -> [Substring] {
            table.rendered(on: Terminal(isInteractive: true, usesColor: false, width: width)).split(separator: "\n")
        }
        #expect(
            lines(40) == [
                "rows  of one row  over one row", "────  ──────────  ────────────", "   1       1.00×         2.00×",
            ])
        #expect(lines(19).allSatisfy { $0.displayWidth <= 19 } && lines(19).last?.hasSuffix("2.00×") == true)
        #expect(lines(19).count > 3 && !lines(19).contains("no room here"), "the titles take several lines")
        #expect(lines(12).contains("no room here") && lines(12).last == "one row")
    }

    @Test func columnsAreLeftOutByRankAndNamed() {
        var table = Table([
            .init("domain"), .init("texts", .right), .init("spread", .right, rank: 1), .init("gain", .right, rank: -1),
            .init("held", .right), .init("held", .right),
        ])
        table.add("a long name of a domain", "12345", "0.5–1.5", "1.20×", "50.0 %", "60.0 %")
        func text(_ width: Int) -> String {
            table.rendered(on: Terminal(isInteractive: true, usesColor: false, width: width))
        }
        #expect(text(80).split(separator: "\n").count == 3 && !text(80).contains("no room"))
        #expect(text(54).hasSuffix("no room here for: spread\n"), "\(text(54))")
        #expect(text(46).hasSuffix("no room here for: spread, held\n"), "\(text(46))")
        #expect(text(34).contains("a long name of a domain  1.20×\n"), "\(text(34))")
        // With two columns left the label gives way, never the number, and nothing is lost.
        #expect(text(20).contains("a long name    1.20×\nof a domain\n"), "\(text(20))")
        for width in 20...80 {
            #expect(
                text(width).split(separator: "\n").allSatisfy { $0.displayWidth <= width }, "\(width): \(text(width))")
        }
    }

    @Test func plainTablesHaveNoRules() {
        var table = Table([.init("text"), .init("n", .right)])
        table.add("x", "1")
        #expect(
            table.rendered(on: Terminal(isInteractive: true, usesColor: true, isPlain: true)) == "text  n\nx     1\n")
    }

    @Test func longLinesOfAPageAreWrapped() {
        let terminal = Terminal(isInteractive: true, usesColor: true, width: 20)
        let page = "a  table  row\n" + terminal.styled("a sentence of too many words", .dim) + "\n\nend\n"
        let text = terminal.fitted(page)
        #expect(text == "a  table  row\n\u{1B}[2ma sentence of too\nmany words\u{1B}[0m\n\nend\n")
        #expect(Terminal(isInteractive: false, usesColor: false, width: 20).fitted(page) == page)
    }

    @Test func whatMayBeCopiedStaysWhole() {
        let text = "ask `foretoken help generate` of /a/very/long/path/to/a/file at once"
        #expect(
            text.wrapped(toWidth: 16, keepsWords: true) == [
                "ask", "`foretoken help generate`", "of", "/a/very/long/path/to/a/file", "at once",
            ])
        #expect(text.wrapped(toWidth: 16).allSatisfy { $0.displayWidth <= 16 })
        #expect("one ` quote and more".wrapped(toWidth: 5, keepsWords: true) == ["one `", "quote", "and", "more"])
        let third = "`a b` of c ` d e"
        #expect(third.wrapped(toWidth: 4, keepsWords: true) == ["`a b`", "of c", "` d", "e"])
    }

    @Test func wordsAreWrappedAtSpaces() {
        #expect("one two three".wrapped(toWidth: 7) == ["one two", "three"])
        #expect("abcdefgh ij".wrapped(toWidth: 3) == ["abc", "def", "gh", "ij"])
        #expect("日本語 x".wrapped(toWidth: 3) == ["日", "本", "語", "x"])
        #expect("  one two three".wrapped(toWidth: 6) == ["  one", "two", "three"])
        #expect("".wrapped(toWidth: 3) == [""] && "abc".wrapped(toWidth: 0) == ["a", "b", "c"])
    }

    @Test func colourSequencesTakeNoRoom() {
        let terminal = Terminal(isInteractive: true, usesColor: true)
        #expect(terminal.styled("four", .green).displayWidth == 4)
        #expect("héllo wörld".truncated(toWidth: 6) == "héllo…")
    }
}

@Suite struct ProgressBarTests {
    @Test(arguments: [5, 20, 40, 80, 200])
    func linesFitTheTerminal(width: Int) {
        let terminal = Terminal(isInteractive: true, usesColor: true, width: width)
        for fraction in [-1, 0, 0.5, 1, 2, .nan] {
            let line = ProgressBar.line(
                "loading", fraction, seconds: 100, "12.3 GB of 688.6 GB  1.5 GB/s", on: terminal)
            #expect(line.displayWidth < width)
        }
    }

    @Test func plainTerminalsGetSentences() {
        let terminal = Terminal(isInteractive: true, usesColor: true, isPlain: true)
        #expect(!terminal.usesColor)
        #expect(
            ProgressBar.words("loading", 0.5, seconds: 20, "1.5 GB/s", on: terminal)
                == "loading: 50 %, 20 s left, 1.5 GB/s\n")
        #expect(ProgressBar.words("loading", .nan, seconds: 0, "", on: terminal) == "loading: 0 %\n")
    }

    @Test func theTimeLeftIsTold() {
        func line(_ fraction: Double, _ seconds: Double, width: Int = 80) -> String {
            let terminal = Terminal(isInteractive: true, usesColor: false, width: width)
            return ProgressBar.line("loading", fraction, seconds: seconds, "1.5 GB/s", on: terminal)
        }
        #expect(line(0.5, 20).hasSuffix("50 %  20 s left  1.5 GB/s"))
        #expect(line(0.25, 100).contains("5 min left") && line(0.01, 100).contains("2.8 h left"))
        // Too early to tell, and nothing left to wait for.
        for text in [line(0.5, 0.1), line(0.001, 50), line(1, 50)] { #expect(!text.contains("left"), "\(text)") }
        // The detail gives way first, then the bar.
        #expect(line(0.5, 20, width: 36).hasSuffix("50 %  20 s left") && line(0.5, 20, width: 36).contains("━"))
        #expect(line(0.5, 20, width: 28) == "loading  50 % 20 s left")
    }
}

extension EngineTests {
    /// What commands print on terminals of several widths.
    @Suite struct NarrowTerminals {
        /// - Parameter columns: of the terminal.
        private func lines(_ arguments: [String], _ columns: Int) throws -> [Substring] {
            let terminal = try PseudoTerminal(arguments, columns: columns, environment: ["NO_COLOR": "1"])
            #expect(terminal.finish() == 0, "\(terminal.output)")
            #expect(!terminal.output.contains("\u{1B}[3"), "no colour")
            return terminal.output.replacing("\r\n", with: "\n").split(separator: "\n")
        }

        @Test(arguments: [40, 60, 80])
        func nothingIsCutOrTooLong(columns: Int) throws {
            for arguments in [
                ["inspect"], ["doctor"], ["inspect", "--shape", "deepseek-v3"], ["inspect", "--shapes"], ["--help"],
                ["score", "a few words", "--mtp", "--threads", "1"], ["help", "chat"], ["help", "score"],
            ] {
                for line in try lines(arguments, columns) where !line.contains("--weights <") {
                    #expect(line.displayWidth <= columns, "\(arguments): \(line)")
                    #expect(!line.contains("…"), "\(arguments): \(line)")
                }
            }
        }

        /// A shape of which a remark is a long note.
        @Test func messagesAreWrapped() throws {
            let terminal = try PseudoTerminal(
                ["place", "--shape", "kimi-k2-thinking", "--example-trace", "--threads"], columns: 40,
                environment: ["NO_COLOR": "1"])
            #expect(terminal.finish() == 2)
            let remark = try PseudoTerminal(
                ["generate", "--model", "/no/such/folder/with/a/name/that/is/longer/than/lines/are", "some text"],
                columns: 40,
                environment: ["NO_COLOR": "1"])
            #expect(remark.finish() == 2)
            for line in (terminal.output + remark.output).replacing("\r\n", with: "\n").split(separator: "\n") {
                #expect(line.displayWidth <= 40 || line.contains("/no/such/"), "\(line)")
            }
        }

        @Test func helpForNarrowTerminalsLosesNothing() throws {
            func words(_ columns: Int) throws -> [Substring] {
                try lines(["help", "generate"], columns).flatMap { $0.split(separator: " ") }
            }
            // Only what is longer than a line is in two parts.
            let (narrow, wide) = (try words(40).joined(), try words(120).joined())
            #expect(narrow == wide)
        }

        @Test(arguments: [40, 60, 80])
        func statisticsKeepTheirSpeed(columns: Int) throws {
            let shown = try lines(["generate", EngineTests.prompt, "--max-tokens", "24", "--threads", "1"], columns)
            let figures = try #require(shown.last { $0.hasPrefix("generated") })
            #expect(figures.contains("24 tokens") && figures.hasSuffix("tok/s") && figures.displayWidth <= columns)
        }
    }
}
