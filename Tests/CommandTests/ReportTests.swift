import ForetokenReport
import Testing

@Suite struct FormatTests {
    @Test(arguments: [
        (0, 2, "0.00"), (1.005, 1, "1.0"), (-0.04, 1, "0.0"), (-2.5, 0, "-3"), (0.999, 2, "1.00"),
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
        #expect(Format.grouped(-1_234_567) == "-1,234,567")
        #expect(Format.grouped(999) == "999")
        #expect(Format.short(1234.6) == "1,235")
        #expect(Format.short(0.1234) == "0.123")
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
            let line = ProgressBar.line("loading", fraction, "12.3 GB of 688.6 GB  1.5 GB/s", on: terminal)
            #expect(line.displayWidth < width)
        }
    }
}
