import ForetokenPlacement
import Testing

@Suite struct RoutingTraceFileTests {
    private func complaint(_ bytes: [UInt8]) -> String {
        do {
            _ = try RoutingTraceFile(bytes)
            return ""
        } catch { return "\(error)" }
    }

    /// Windows of a trace with their own rows, experts and labels.
    private func windows(_ trace: RoutingTrace) -> [String] {
        trace.windows.map { window in
            let ids = trace.layers.count * trace.expertsPerToken
            let experts = trace.experts[window.rows.lowerBound * ids..<window.rows.upperBound * ids]
            return "\(trace.domains[window.domain]) \(window.position) \(window.text) \(window.joinsPrevious) "
                + "\(trace.kinds[window.rows]) \(experts)"
        }
    }

    @Test(arguments: [
        (1, 1), (2, 1), (2, 2), (3, 2), (11, 3), (32, 4), (33, 5), (256, 8), (257, 8), (384, 8), (65_536, 9),
    ])
    func tracesComeBack(experts: Int, perToken: Int) throws {
        let trace = RoutingTrace.random(seed: UInt64(experts), experts: experts, perToken: perToken)
        let file = try RoutingTraceFile(RoutingTraceFile.bytes(of: trace))
        #expect(file.trace == trace && file.droppedByteCount == 0)
    }

    @Test func theLayoutIsThePublishedOne() throws {
        var trace = RoutingTrace(model: "ab", layers: [1, 3], expertCount: 5, expertsPerToken: 2)
        trace.add(
            [.newest, .rejected], domain: "x", position: 258, text: 0, [[[0, 4], [1, 2]], [[3, 4], [0, 1]]])
        trace.add([.newest], domain: "x", position: 3, text: 1, joins: true, [[[0, 1], [2, 3]]])
        let bytes = try RoutingTraceFile.bytes(of: trace)
        let header: [UInt8] = [
            0x89, 0x46, 0x54, 0x52, 0x54, 0x0D, 0x0A, 0x1A, 2, 0, 0, 0, 39, 0, 0, 0, 2, 0x61, 0x62, 5, 0, 0, 0,
            2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 3, 0,
        ]
        #expect(Array(bytes.prefix(header.count)) == header)
        let records = Array(bytes.dropFirst(39))
        #expect(Array(records.prefix(5)) == [0x44, 1, 0, 0, 0] && records[9] == 0x78)
        for text in 0..<2 {
            let record = records[(10 + 11 * text)..<(21 + 11 * text)]
            #expect(Array(record.prefix(5)) == [0x54, 2, 0, 0, 0] && Array(record.suffix(2)) == [0, 0])
        }
        #expect(Array(records[32..<37]) == [0x53, 27, 0, 0, 0])
        #expect(Array(records[41..<62]) == [2, 0, 0, 0, 0, 2, 1, 0, 0, 2, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0])
        // Kinds 1, 3 and 1; ids 0 4 1 2 3 4 0 1 0 1 2 3 of three bits.
        #expect(Array(records[62...]) == [0b01_1101, 0b0110_0000, 0b0011_0100, 0b0010_0010, 0b1000_1000, 0b0110])
    }

    @Test func aFileCutAnywhereHoldsItsFirstWindows() throws {
        let trace = RoutingTrace.random(seed: 3)
        let bytes = try RoutingTraceFile.bytes(of: trace)
        let headerCount = try trace.header().bytes.count
        let all = windows(trace)
        var counts: Set<Int> = []
        for count in 0..<bytes.count {
            let part = Array(bytes.prefix(count))
            guard count >= headerCount else {
                #expect(!complaint(part).isEmpty)
                #expect(try trace.header().isBegun(by: part))
                continue
            }
            let file = try RoutingTraceFile(part)
            #expect(windows(file.trace) == Array(all.prefix(file.trace.windows.count)))
            counts.insert(file.trace.windows.count)
            let survey = try RoutingTraceFile.Survey(part)
            #expect(survey.wholeByteCount + survey.droppedByteCount == count)
            #expect(survey.droppedByteCount == file.droppedByteCount)
            #expect(survey.stepCount == file.trace.steps.count && survey.domains == file.trace.domains)
            #expect(survey.isCurrent && survey.textCount >= file.trace.textCount)
        }
        #expect(counts == Set([0] + trace.steps.dropLast().map(\.upperBound)), "each record is whole at its own end")
    }

    @Test func flippedBitsAreFound() throws {
        let trace = RoutingTrace.random(seed: 4)
        let bytes = try RoutingTraceFile.bytes(of: trace)
        let rest = windows(trace).dropLast(try #require(trace.steps.last).count)
        for offset in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[offset] ^= 1 << UInt8(bit)
                // Damage to the last record looks like a torn end; before it there are good records behind.
                guard let file = try? RoutingTraceFile(damaged) else { continue }
                #expect(windows(file.trace) == Array(rest), "byte \(offset), bit \(bit)")
                #expect(file.droppedByteCount > 0)
            }
        }
    }

    @Test func noiseNeverCrashes() throws {
        var random = Lehmer(seed: 9)
        let trace = RoutingTrace.random(seed: 5)
        let header = try trace.header().bytes
        for _ in 0..<2000 {
            var bytes =
                header
                + (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if let file = try? RoutingTraceFile(bytes) { #expect(file.trace.windows.isEmpty) }
        }
    }

    @Test func damageInTheMiddleIsExplained() throws {
        var bytes = try RoutingTraceFile.bytes(of: .random(seed: 6))
        bytes[bytes.count / 2] ^= 4
        let text = complaint(bytes)
        #expect(text.contains("damaged at byte") && text.contains("head -c"), "\(text)")
        let size = try #require(Int(text.split(separator: "head -c ")[1].prefix { $0.isNumber }))
        let file = try RoutingTraceFile(Array(bytes.prefix(size)))
        #expect(file.droppedByteCount == 0 && text.contains("\(file.trace.steps.count) step"))
    }

    @Test func zerosBehindTheEndAreATail() throws {
        let trace = RoutingTrace.random(seed: 7)
        let bytes = try RoutingTraceFile.bytes(of: trace)
        let file = try RoutingTraceFile(bytes + [UInt8](repeating: 0, count: 4096))
        #expect(file.trace == trace && file.droppedByteCount == 4096)
    }

    @Test func recordsCanBeAddedToAFile() throws {
        let trace = RoutingTrace.random(seed: 8)
        let bytes = try RoutingTraceFile.bytes(of: trace)
        let torn = Array(bytes.dropLast(3))
        let survey = try RoutingTraceFile.Survey(torn)
        #expect(survey.header == (try trace.header()) && survey.stepCount == trace.steps.count - 1)
        #expect(survey.textCount == trace.textCount)
        var encoder = RoutingTraceEncoder(survey.header, domains: survey.domains, textCount: survey.textCount)
        let (old, new) = (try encoder.index(ofDomain: survey.domains[1]), try encoder.index(ofDomain: "tests"))
        #expect((old, new) == (1, survey.domains.count))
        let kinds: [RoutingTrace.RowKind] = [.newest, .accepted]
        let experts = [UInt16](trace.experts.prefix(2 * 3 * 3))
        for domain in [new, old] {
            let text = encoder.addText(domain: domain)
            encoder.append(
                [.init(text: text, position: 77, rows: 2)], kinds: kinds.withUnsafeBufferPointer { $0 },
                experts: experts.withUnsafeBufferPointer { $0 })
        }
        let file = try RoutingTraceFile(torn.prefix(survey.wholeByteCount) + encoder.bytes)
        #expect(file.droppedByteCount == 0 && file.trace.steps.count == trace.steps.count + 1)
        #expect(windows(file.trace).dropLast(2) == windows(trace).dropLast(try #require(trace.steps.last).count))
        #expect(windows(file.trace).suffix(2).map { $0.split(separator: " ")[0] } == ["tests", "prose"])
        #expect(file.trace.windows.suffix(2).map(\.text) == [trace.textCount, trace.textCount + 1])
    }

    @Test func otherFilesAreRefused() throws {
        let header = try RoutingTrace.random(seed: 1).header().bytes
        #expect(complaint([]).contains("does not begin"))
        #expect(complaint(Array("{\"round\":0}".utf8)).contains("does not begin"))
        var later = header
        later[8] = 3
        #expect(complaint(later).contains("version 3"))
        var long = header
        long.replaceSubrange(12..<16, with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(complaint(long).contains("header is damaged"))
    }

    @Test func impossibleSizesAreRefused() {
        func complaint(model: String = "", layers: [Int] = [0], experts: Int = 4, perToken: Int = 2) -> String {
            do {
                _ = try RoutingTraceHeader(
                    model: model, layers: layers, expertCount: experts, expertsPerToken: perToken)
                return ""
            } catch { return "\(error)" }
        }
        #expect(complaint().isEmpty)
        #expect(complaint(layers: []).contains("no layers"))
        #expect(complaint(layers: [2, 2]).contains("ascending"))
        #expect(complaint(layers: [-1]).contains("ascending"))
        #expect(complaint(layers: [65_536]).contains("ascending"))
        #expect(complaint(layers: Array(0...10_000)).contains("10001 layers"))
        #expect(complaint(experts: 0).contains("0 experts"))
        #expect(complaint(experts: 65_537).contains("65537 experts"))
        #expect(complaint(perToken: 5).contains("5 experts a token"))
        #expect(complaint(perToken: 0).contains("0 experts a token"))
        #expect(complaint(model: "two words").contains("fingerprint"))
        #expect(complaint(layers: Array(0..<64), experts: 65_536, perToken: 60_000).contains("bytes"))
        #expect(complaint(layers: Array(0..<65), experts: 65_536).contains("experts in all layers"))
    }

    @Test func wholeRecordsThatCannotBeAreRefused() throws {
        func file(_ kinds: [RoutingTrace.RowKind], _ experts: [[[UInt16]]], domain: String = "x") throws -> [UInt8] {
            var trace = RoutingTrace(model: "", layers: [4], expertCount: 5, expertsPerToken: 2)
            trace.add(kinds, domain: "x", position: 0, experts)
            return try RoutingTraceFile.bytes(of: trace)
        }
        #expect(complaint(try file([.newest], [[[3, 4]]])).isEmpty)
        #expect(complaint(try file([.newest], [[[4, 5]]])).contains("expert 5 of the 5"))
        #expect(complaint(try file([.newest], [[[4, 3]]])).contains("not ascending"))
        #expect(complaint(try file([.newest], [[[3, 3]]])).contains("not ascending"))
        for kinds in [
            [.accepted, .accepted], [.newest, .rejected, .accepted], [.prompt, .newest], [.newest, .prompt],
        ] as [[RoutingTrace.RowKind]] {
            let experts = [[[UInt16]]](repeating: [[0, 1]], count: kinds.count)
            #expect(complaint(try file(kinds, experts)).contains("order"), "\(kinds)")
        }
        // A text before any domain, a step before its text.
        let whole = try file([.newest], [[[3, 4]]])
        let header = try RoutingTraceHeader(model: "", layers: [4], expertCount: 5, expertsPerToken: 2).bytes.count
        #expect(complaint(Array(whole[..<header] + whole[(header + 10)...])).contains("domain 0"))
        #expect(complaint(Array(whole[..<(header + 10)] + whole[(header + 21)...])).contains("text 0"))
        // A text that is twice in a step, or not in one place.
        var twice = RoutingTrace(model: "", layers: [4], expertCount: 5, expertsPerToken: 2)
        twice.add([.newest], position: 0, [[[0, 1]]])
        twice.add([.newest], position: 1, joins: true, [[[0, 1]]])
        #expect(complaint(try RoutingTraceFile.bytes(of: twice)).contains("text 0 twice"))
        twice.windows[1].text = 1
        #expect(complaint(try RoutingTraceFile.bytes(of: twice)).isEmpty)
        twice.windows.swapAt(0, 1)
        (twice.windows[0].joinsPrevious, twice.windows[1].joinsPrevious) = (false, true)
        #expect(throws: PlacementError.self, "side by side") { try RoutingTraceFile.bytes(of: twice) }
    }

    /// What an earlier version recorded is read as before; a text begins where one window does not go on after another.
    @Test(arguments: [2, 11, 257]) func versionOneIsRead(experts: Int) throws {
        var trace = RoutingTrace.random(seed: 21, experts: experts, perToken: 2)
        for index in trace.windows.indices {
            trace.windows[index].joinsPrevious = false
            trace.windows[index].text = index
        }
        let bytes = try trace.versionOne()
        let file = try RoutingTraceFile(bytes)
        #expect(file.trace == trace && file.droppedByteCount == 0)
        let survey = try RoutingTraceFile.Survey(bytes)
        #expect(!survey.isCurrent && survey.stepCount == trace.windows.count && survey.textCount == 0)
        // A window of three rows, two of which stay, and what follows them.
        var text = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 1)
        text.add([.newest, .accepted, .rejected], position: 5, [[[0]], [[1]], [[2]]])
        text.add([.newest], position: 7, [[[3]]])
        text.add([.newest], position: 9, [[[3]]])
        text.add([.newest], domain: "prose", position: 10, [[[3]]])
        #expect(try RoutingTraceFile(text.versionOne()).trace.windows.map(\.text) == [0, 0, 1, 2])
        // Neither version takes the other's records.
        let newer = try RoutingTraceFile.bytes(of: text)
        var older = newer
        older.replaceSubrange(0..<(try text.header().bytes.count), with: try text.versionOne().prefix(35))
        #expect(try text.header().bytes.count == 35)
        #expect(try RoutingTraceFile(older).trace.windows.isEmpty)
    }

    @Test(arguments: ["", "all", "a\nb", String(repeating: "x", count: 256)])
    func labelsThatCannotBeAreRefused(label: String) throws {
        var encoder = RoutingTraceEncoder(try RoutingTrace.random(seed: 1).header())
        #expect(throws: PlacementError.self) { try encoder.index(ofDomain: label) }
        #expect(encoder.bytes.isEmpty && encoder.domains.isEmpty)
    }

    @Test func thereIsAnEndToDomains() throws {
        var encoder = RoutingTraceEncoder(try RoutingTrace.random(seed: 1).header())
        for index in 0..<RoutingTrace.mostDomains { #expect(try encoder.index(ofDomain: "domain \(index)") == index) }
        #expect(throws: PlacementError.self) { try encoder.index(ofDomain: "one more") }
        #expect(try encoder.index(ofDomain: "domain 7") == 7)
        #expect(try RoutingTraceFile(encoder.header.bytes + encoder.bytes).trace.domains == encoder.domains)
    }

    @Test func aWindowOfTooManyRowsIsRefused() {
        var trace = RoutingTrace(model: "", layers: [0], expertCount: 2, expertsPerToken: 1)
        trace.add(.init(repeating: .prompt, count: 4097), position: 0, .init(repeating: [[1]], count: 4097))
        #expect(throws: PlacementError.self) { try RoutingTraceFile.bytes(of: trace) }
    }
}
