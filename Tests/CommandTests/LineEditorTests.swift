import ForetokenReport
import Testing
import foretoken

@Suite struct KeyDecoderTests {
    @Test(arguments: [
        ("ab c", [Key.text("ab c")]), ("é日🙂", [.text("é日🙂")]), ("\r", [.enter]), ("\n", [.enter]),
        ("\u{7F}\u{8}", [.backspace, .backspace]), ("\u{1}\u{5}\u{B}", [.control("a"), .control("e"), .control("k")]),
        ("\u{1B}[A\u{1B}[B\u{1B}[C\u{1B}[D", [.up, .down, .right, .left]),
        ("\u{1B}OA\u{1B}OH\u{1B}OF", [.up, .home, .end]),
        ("\u{1B}[H\u{1B}[4~\u{1B}[1~\u{1B}[3~", [.home, .end, .home, .delete]),
        ("\u{1B}[1;5C\u{1B}b\u{1B}f\u{1B}d", [.wordRight, .wordLeft, .wordRight, .deleteWordForward]),
        ("\u{1B}\r\u{1B}[13;2u", [.newline, .newline]), ("\u{1B}\u{7F}", [.deleteWordBack]), ("\t", [.text("\t")]),
        ("\u{1B}[200~a\rb\r\nc\n\u{1B}[201~\r", [.text("a\nb\nc\n"), .enter]),
        ("\u{1B}[200~\u{1B}[A\u{3}\u{1B}[201~x", [.text("\u{1B}[A\u{3}x")]),
        ("\u{1B}[99;99Xq\u{1B}[20~", [.text("q")]), ("\u{1B}[1\ra", [.enter, .text("a")]),
        ("\u{1B}\u{1B}[A", [.up]), ("\u{1C}\u{0}z", [.text("z")]),
    ])
    func bytesBecomeKeys(text: String, keys: [Key]) {
        var whole = KeyDecoder()
        #expect(whole.push(text.utf8) == keys)
        // However the bytes come.
        var split = KeyDecoder()
        var pieces: [Key] = []
        for byte in text.utf8 {
            for key in split.push([byte]) {
                if case .text(let new) = key, case .text(let old) = pieces.last {
                    pieces[pieces.count - 1] = .text(old + new)
                } else {
                    pieces.append(key)
                }
            }
        }
        #expect(pieces == keys, "byte by byte")
    }

    @Test func whatIsNotUTF8IsSeen() {
        var decoder = KeyDecoder()
        #expect(decoder.push([0x61, 0xFF, 0x62]) == [.text("a\u{FFFD}b")])
        #expect(decoder.push([0xE6, 0x97]) == [])
        #expect(decoder.push([0x41]) == [.text("\u{FFFD}\u{FFFD}A")])
        // Noise without an end is dropped, not kept.
        _ = decoder.push(Array("\u{1B}[".utf8) + Array(repeating: UInt8(ascii: "1"), count: 100))
        #expect(decoder.push(Array("A".utf8)).contains(.text("A")))
    }
}

@Suite struct LineEditorTests {
    /// The editor after those bytes, and what came of the last key.
    private func type(_ text: String, _ editor: inout LineEditor) -> LineEditor.Outcome {
        var decoder = KeyDecoder()
        return decoder.push(text.utf8).reduce(.edited) { editor.apply($1) }
    }

    @Test(arguments: [
        ("abc", "abc", 3), ("abc\u{1B}[D\u{1B}[DX", "aXbc", 2), ("abc\u{1}X\u{5}Y", "XabcY", 5),
        ("one two  \u{17}", "one ", 4), ("one two\u{1B}\u{7F}", "one ", 4), ("abc\u{1B}[D\u{B}", "ab", 2),
        ("abc\u{1B}[D\u{15}", "c", 0), ("one two\u{17}\u{1}\u{19}", "twoone ", 3), ("ab\u{7F}\u{7F}\u{7F}", "", 0),
        ("abc\u{1}\u{1B}[3~", "bc", 0), ("abc\u{1}\u{4}", "bc", 0), ("a\\\rb", "a\nb", 3), ("a\u{1B}\rb", "a\nb", 3),
        ("ab\u{1B}\rcdef\u{1B}[AX", "abX\ncdef", 3), ("abcd\u{1B}\re\u{1B}[A\u{1B}[H\u{1B}[BX", "abcd\nXe", 6),
        ("ab\u{1B}\rcd\u{1}\u{B}\u{B}", "ab\n", 3), ("ab\u{1B}\rcd\u{1B}[A\u{5}\u{B}", "abcd", 2),
        ("e\u{301}x\u{7F}", "e\u{301}", 1), ("\u{1F1E9}\u{1F1EA}\u{7F}", "", 0), ("日本\u{7F}", "日", 1),
        ("one, two\u{1B}b\u{1B}bX", "Xone, two", 1), ("one, two\u{1}\u{1B}f\u{1B}d", "one", 3),
        ("\u{1B}[200~a\rb\u{1B}[201~", "a\nb", 3),
        // What several keys in a row cut is one piece, in the order of the text.
        ("one two three\u{17}\u{17}\u{1}\u{19}", "two threeone ", 9),
        ("ab cd\u{1}\u{1B}d\u{B}\u{19}\u{19}", "ab cdab cd", 10),
        ("one two\u{17}\u{1B}[D\u{17}\u{19}", "one ", 3), ("a\u{B}b\u{17}\u{19}", "ab", 2),
        ("ab cd\u{1B}[1;5DX\u{1B}[1;5CY", "ab XcdY", 7), ("ab\u{1B}OFc\u{1B}OHd", "dabc", 1),
    ])
    func keysEdit(keys: String, text: String, cursor: Int) {
        var editor = LineEditor(byteLimit: 1000)
        #expect(type(keys, &editor) == .edited)
        #expect(editor.text == text && editor.cursor == cursor, "\(editor.text.debugDescription) \(editor.cursor)")
    }

    @Test func anAccentJoinsItsLetter() {
        var editor = LineEditor(byteLimit: 1000)
        _ = type("ex\u{1B}[D", &editor)
        _ = editor.apply(.text("\u{301}"))
        #expect(editor.characters == ["e\u{301}", "x"] && editor.cursor == 1)
    }

    @Test func messagesEndAndAreRemembered() {
        var editor = LineEditor(byteLimit: 1000)
        #expect(type("one\r", &editor) == .message("one"))
        #expect(type("two\\\rmore\r", &editor) == .message("two\nmore"))
        #expect(type("two\\\rmore\r", &editor) == .message("two\nmore") && editor.history.count == 2)
        #expect(type("  \r", &editor) == .message("  ") && editor.history.count == 2)
        _ = type("new\u{1B}[A", &editor)
        #expect(editor.text == "two\nmore")
        // First through the lines of the message, then further back.
        _ = type("\u{1B}[A\u{1B}[A", &editor)
        #expect(editor.text == "one")
        _ = type("\u{10}", &editor)
        #expect(editor.text == "one", "there is nothing before")
        _ = type("\u{1B}[B\u{E}", &editor)
        #expect(editor.text == "new", "what was begun is still there")
    }

    /// Messages: "func one", "Let two", "func three", "other"; what is searched for, and what comes of it.
    @Test(arguments: [
        ("\u{12}fun", "(search: fun) ", "func three", 0), ("\u{12}fun\u{12}", "(search: fun) ", "func one", 0),
        ("\u{12}fun\u{12}\u{12}", "(not found: fun) ", "func one", 0),
        ("\u{12}fun\u{12}\u{13}", "(search: fun) ", "func three", 0),
        ("\u{12}LET", "(search: LET) ", "Let two", 0), ("\u{12}t", "(search: t) ", "other", 1),
        ("\u{12}th", "(search: th) ", "other", 1), ("\u{12}thr", "(search: thr) ", "func three", 5),
        ("\u{12}thrx", "(not found: thrx) ", "func three", 5), ("\u{12}thrx\u{7F}", "(search: thr) ", "func three", 5),
        ("new\u{12}two", "(search: two) ", "Let two", 4), ("new\u{12}two\u{7}", "", "new", 3),
        ("new\u{12}two\u{3}", "", "new", 3),
        ("new\u{12}zzz", "(not found: zzz) ", "new", 3), ("\u{12}two\u{1B}[C!", "", "Let t!wo", 6),
        ("\u{12}two\u{5}!", "", "Let two!", 8), ("\u{12}two\u{7}\u{12}\u{12}", "(search: two) ", "Let two", 4),
        // From what was found, the history goes on.
        ("\u{12}two\u{5}\u{10}", "", "func one", 8), ("new\u{12}two\u{5}\u{E}\u{E}\u{E}", "", "new", 3),
    ])
    func historyIsSearched(keys: String, label: String, text: String, cursor: Int) {
        var editor = LineEditor(byteLimit: 1000)
        _ = type("func one\rLet two\rfunc three\rother\r", &editor)
        // Key by key, as somebody types.
        var decoder = KeyDecoder()
        for byte in keys.utf8 {
            for key in decoder.push([byte]) { #expect(editor.apply(key) == .edited) }
        }
        #expect(
            editor.label == label && editor.text == text && editor.cursor == cursor,
            "\(editor.label)\(editor.text) \(editor.cursor)")
        #expect(editor.isSearching == !label.isEmpty)
    }

    @Test func searchesEnd() {
        var editor = LineEditor(byteLimit: 1000)
        _ = type("one\rtwo\r\u{12}on", &editor)
        #expect(type("\r", &editor) == .message("one") && !editor.isSearching && editor.text.isEmpty)
        _ = type("\u{12}tw", &editor)
        var decoder = KeyDecoder()
        // An escape may begin a sequence, until it is known to be alone.
        #expect(decoder.push([0x1B]).isEmpty && decoder.isAtEscape)
        #expect(decoder.finishEscape() == [.escape] && !decoder.isAtEscape)
        #expect(editor.apply(.escape) == .edited && editor.text == "two" && !editor.isSearching)
        #expect(type("!\r", &editor) == .message("!two"))
        // Without a history there is nothing to find, and nothing is lost.
        var fresh = LineEditor(byteLimit: 1000)
        _ = type("abc\u{12}\u{12}b\u{7F}\u{7F}", &fresh)
        #expect(fresh.isSearching && fresh.text == "abc")
        #expect(type("\u{C}", &fresh) == .clearScreen && fresh.isSearching)
    }

    @Test func controlCharactersEndOrDrop() {
        var editor = LineEditor(byteLimit: 1000)
        #expect(type("\u{4}", &editor) == .end && type("\u{3}", &editor) == .interrupted)
        #expect(type("abc\u{3}", &editor) == .dropped && editor.text.isEmpty)
        #expect(type("\u{C}", &editor) == .clearScreen && type("\u{1A}", &editor) == .suspend)
    }

    @Test func messagesHaveABound() {
        var editor = LineEditor(byteLimit: 8)
        _ = type("12345", &editor)
        _ = editor.apply(.text("6789"))
        #expect(editor.text == "12345")
        _ = type("\u{7F}\u{7F}", &editor)
        _ = editor.apply(.text("日"))
        #expect(editor.text == "123日")
    }
}

@Suite struct EditorScreenTests {
    private static let keys: [Key] = [
        .text("a"), .text("long word "), .text("日本語"), .text("e\u{301}"), .text("\n"), .newline, .backspace, .delete,
        .left,
        .right, .up, .down, .home, .end, .wordLeft, .text("\t"), .text("\u{3}"), .control("k"), .control("w"),
        .control("y"), .control("r"), .control("s"), .control("g"), .enter,
        .text("0123456789012345678901234567890123456789"),
    ]

    /// Whatever was typed before, the screen shows the message as if it were drawn on an empty one.
    @Test(arguments: [3, 7, 12, 40, 80], [false, true])
    func whatIsDrawnIsTheMessage(columns: Int, usesColor: Bool) {
        let terminal = Terminal(isInteractive: true, usesColor: usesColor, width: columns)
        var state: UInt64 = 7
        for _ in 0..<20 {
            var editor = LineEditor(byteLimit: 400)
            var screen = EditorScreen(terminal: terminal, lines: 12)
            var model = ScreenModel(columns: columns, lines: 12)
            screen.begin()
            for _ in 0..<40 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                _ = editor.apply(Self.keys[Int(state >> 33) % Self.keys.count])
                model.write(screen.drawing(editor))
                var fresh = EditorScreen(terminal: terminal, lines: 12)
                var freshModel = ScreenModel(columns: columns, lines: 12)
                freshModel.write(fresh.drawing(editor))
                #expect(model.text == freshModel.text && model.unknown.isEmpty)
                // Relative to the message: the screen may have scrolled.
                #expect(model.column == freshModel.column)
                #expect(model.column < columns)
            }
        }
    }

    /// Noise of any kind is survived, whole and in pieces, and what is typed is what is sent.
    @Test func noiseIsSurvived() {
        let parts: [[UInt8]] = [
            [0x1B], [0x5B], [0x4F], Array("200~".utf8), Array("\u{1B}[200~".utf8), Array("\u{1B}[201~".utf8), [0xFF],
            [0xE6],
            [0x97, 0xA5], [0x0D], [0x0A], [0x00], [0x7F], [0x03], [0x17], [0x19], [0xCC, 0x81], [0xF0, 0x9F],
            [0x87, 0xA9],
            Array("\u{1F1E9}".utf8), Array("\u{200D}".utf8), Array("a ".utf8), Array("\u{1B}[A".utf8),
            Array(";5C".utf8),
        ]
        var state: UInt64 = 11
        let terminal = Terminal(isInteractive: true, usesColor: true, width: 9)
        for _ in 0..<200 {
            var (decoder, editor) = (KeyDecoder(), LineEditor(byteLimit: 60))
            var screen = EditorScreen(terminal: terminal, lines: 5)
            var model = ScreenModel(columns: 9, lines: 5)
            for _ in 0..<60 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                for key in decoder.push(parts[Int(state >> 33) % parts.count]) {
                    let before = editor.text
                    if case .message(let text) = editor.apply(key) { #expect(text == before) }
                    #expect((0...editor.characters.count).contains(editor.cursor) && editor.text.utf8.count <= 60)
                    // A character that was put together is one.
                    #expect(Array(editor.text) == editor.characters)
                }
                model.write(screen.drawing(editor))
            }
            #expect(model.unknown.isEmpty)
        }
    }

    @Test func rowsWrapWithoutTheLastColumn() {
        let terminal = Terminal(isInteractive: true, usesColor: false, width: 10)
        var editor = LineEditor(byteLimit: 400)
        for key in [Key.text("0123456789"), .newline, .text("日本語日本語")] { _ = editor.apply(key) }
        var screen = EditorScreen(terminal: terminal, lines: 24)
        var model = ScreenModel(columns: 10, lines: 24)
        model.write(screen.drawing(editor))
        #expect(model.text == "> 0123456\n789\n… 日本語\n日本語")
        #expect((model.row, model.column) == (3, 6))
        _ = editor.apply(.home)
        model.write(screen.drawing(editor))
        #expect((model.row, model.column) == (2, 2))
        // All of it stays when the message is sent.
        model.write(screen.drawing(editor, isFinal: true) + "\r\n")
        #expect(model.text == "> 0123456\n789\n… 日本語\n日本語" && (model.row, model.column) == (4, 0))
    }

    @Test func messagesTallerThanTheScreenShowTheCursor() {
        let terminal = Terminal(isInteractive: true, usesColor: false, width: 20)
        var editor = LineEditor(byteLimit: 4000)
        _ = editor.apply(.text((0..<30).map { "line \($0)" }.joined(separator: "\n")))
        var screen = EditorScreen(terminal: terminal, lines: 6)
        var model = ScreenModel(columns: 20, lines: 6)
        model.write(screen.drawing(editor))
        #expect(model.text.hasSuffix("… line 29") && !model.text.contains("line 9"))
        for _ in 0..<20 { _ = editor.apply(.up) }
        model.write(screen.drawing(editor))
        #expect(model.text.contains("… line 9\n"), "\(model.text)")
    }

    @Test func aNewWidthIsTaken() {
        let terminal = Terminal(isInteractive: true, usesColor: false, width: 20)
        var editor = LineEditor(byteLimit: 400)
        _ = editor.apply(.text("0123456789abcdef0123456789"))
        var screen = EditorScreen(terminal: terminal, lines: 10)
        _ = screen.drawing(editor)
        screen.resize(columns: 10, lines: 10)
        // What such a terminal shows by then: both rows in two parts.
        var model = ScreenModel(columns: 10, lines: 10)
        model.write("> 0123456789abcdef0\r\n123456789")
        model.write(screen.drawing(editor))
        #expect(model.text == "> 0123456\n789abcdef\n012345678\n9", "\(model.text)")
    }

    @Test func clearingBeginsAtTheTop() {
        let terminal = Terminal(isInteractive: true, usesColor: false, width: 20)
        var editor = LineEditor(byteLimit: 400)
        _ = editor.apply(.text("abc"))
        var screen = EditorScreen(terminal: terminal, lines: 10)
        var model = ScreenModel(columns: 20, lines: 10)
        model.write("before\r\nand more\r\n")
        screen.begin()
        model.write(screen.drawing(editor))
        model.write(screen.cleared(editor))
        #expect(model.text == "> abc" && (model.row, model.column) == (0, 5))
    }
}
