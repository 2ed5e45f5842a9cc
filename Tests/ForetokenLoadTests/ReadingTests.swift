import Testing

import ForetokenLoad

@Suite struct ReadingTests {
    @Test(arguments: [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, ""), ("http://localhost", "localhost", 80, ""),
        ("http://a.example:1/v1/", "a.example", 1, ""), ("http://[::1]:9/deep/v1", "::1", 9, "/deep"),
        ("http://h/x/", "h", 80, "/x"),
    ])
    func addressesAreRead(url: String, host: String, port: Int, prefix: String) throws {
        let address = try ServerAddress(url)
        #expect(address.host == host && address.port == port && address.prefix == prefix)
    }

    @Test(arguments: [
        ("https://x", "TLS"), ("x:8080", "http://"), ("http://", "host"), ("http://h:0", "port"),
        ("http://h:99999", "port"), ("http://h:", "port"), ("http://[::1]x", "]"), ("http://h/a b", "path"),
        ("http://user@h", "host"), ("http://h\r\nX: y", "host"),
    ])
    func wrongAddressesAreExplained(url: String, message: String) {
        #expect { try ServerAddress(url) } throws: { "\($0)".contains(message) }
    }

    @Test("Events are cut at blank lines, whatever ends a line and wherever reads end", arguments: [1, 2, 3, 1000])
    func events(size: Int) throws {
        let bytes = Array(": ping\n\ndata: a\n\ndata:b\r\ndata: c\r\n\r\nid: 7\rdata: d\r\rdata: unfinished".utf8)
        var reader = EventReader()
        var events: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            events += try reader.read(bytes[start..<min(bytes.count, start + size)]).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        #expect(events == ["a", "b\nc", "d"])
        #expect(reader.comments == 1)
    }

    @Test func anEventWithoutEndIsRefused() {
        var reader = EventReader()
        #expect(throws: LoadError.self) {
            _ = try reader.read([UInt8](repeating: 97, count: EventReader.mostBytes + 1))
        }
    }

    @Test func metricsAreSummedByNameAndLabel() {
        let text = MetricsText(
            """
            # HELP a b
            a 1
            a{x="1"} 2
            b{state="used",model="m"} 3
            b{state="free"} 4.5
            c NaN
            nonsense
            d 1e99
            """)
        #expect(text.sum("a") == 3 && text.sum("b") == 7.5)
        #expect(text.sum("b", label: "state=\"used\"") == 3)
        #expect(text.sum("c") == nil && text.sum("d") == nil && text.sum("e") == nil)
        #expect(MetricsText("<html>").isEmpty)
    }

    @Test func ranksAreNearest() throws {
        let spread = try #require(Spread(nanoseconds: (1...100).map { Double($0) * 1e6 }))
        #expect((spread.p50, spread.p95, spread.p99, spread.longest) == (50, 95, 99, 100) && spread.mean == 50.5)
        let one = try #require(Spread(nanoseconds: [Int64(2_000_000)]))
        #expect((one.p50, one.p99, one.longest, one.count) == (2, 2, 2, 1))
        #expect(Spread(nanoseconds: [Int64]()) == nil)
    }

    @Test func promptsOfTokensHaveTheirLengths() {
        let maker = PromptMaker(tokens: Array(10..<30), first: [0], salt: 7)
        #expect(maker.usual(0, tokens: 4) == .tokens([0, 10, 11, 12]))
        #expect(maker.usual(2, tokens: 4) == .tokens([0, 18, 19, 20]))
        guard case .tokens(let long) = maker.fresh(0, tokens: 50), case .tokens(let other) = maker.fresh(1, tokens: 50),
            case .tokens(let branch) = maker.branch(.tokens(long), keeping: 40, 1, tokens: 10)
        else {
            Issue.record("prompts are not of tokens")
            return
        }
        #expect(long.count == 50 && long[0] == 0 && long != other)
        #expect(branch.count == 50 && branch.prefix(40) == long.prefix(40) && branch != long)
        #expect(PromptMaker(tokens: Array(10..<30), first: [0], salt: 8).fresh(0, tokens: 50) != .tokens(long))
    }

    @Test func promptsOfCharactersHaveAboutTheirLengths() {
        let maker = PromptMaker(text: "The quick brown fox. ", perToken: 4, salt: 7)
        #expect(maker.usual(0, tokens: 3) == .text("The quick br"))
        guard case .text(let text) = maker.fresh(3, tokens: 10) else {
            Issue.record("a prompt is not of characters")
            return
        }
        #expect(text.hasPrefix("// ") && text.split(separator: "\n", maxSplits: 1)[1].count == 40)
        #expect(maker.fresh(4, tokens: 10) != .text(text))
    }
}
