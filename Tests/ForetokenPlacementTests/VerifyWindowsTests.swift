import ForetokenPlacement
import ForetokenTestSupport
import Testing

@Suite struct VerifyWindowsTests {
    /// Two layers, four experts, two a token, three windows: prompt, verified, verified.
    private func trace() -> RoutingTrace {
        var trace = RoutingTrace(model: "tiny", layers: [1, 2], expertCount: 4, expertsPerToken: 2)
        trace.domains = ["text"]
        trace.kinds = [.prompt, .prompt, .prompt, .newest, .accepted, .rejected, .newest]
        trace.windows = [
            .init(rows: 0..<3, domain: 0, position: 0), .init(rows: 3..<6, domain: 0, position: 3),
            .init(rows: 6..<7, domain: 0, position: 5),
        ]
        trace.experts = [
            0, 1, 2, 3, /**/ 0, 1, 2, 3, /**/ 0, 1, 2, 3, /**/ 0, 3, 1, 2, /**/ 1, 3, 1, 2, /**/ 2, 3, 0, 1, /**/ 0, 1,
            0, 3,
        ]
        return trace
    }

    @Test("A verify window reads the union of its rows' experts, and gives the newest token and the drafts that held")
    func union() throws {
        let halves = try WindowHalves(of: trace())
        #expect(halves.source == .verified && halves.available == 2)
        let (first, second) = (halves.training, halves.heldOut)
        #expect(first.count == 1 && first.tokens == 2 && first.rows == 3)
        #expect(
            Array(first.layers[0][0])
                == [(0, 1), (1, 1), (2, 1), (3, 3)].map { ExpertUse(expert: $0, rows: $1) })
        #expect(Array(first.layers[1][0]) == [(0, 1), (1, 3), (2, 2)].map { ExpertUse(expert: $0, rows: $1) })
        #expect(Array(second.layers[1][0]) == [(0, 1), (3, 1)].map { ExpertUse(expert: $0, rows: $1) })
        #expect(second.tokens == 1 && second.tokensPerStep == 1)
    }

    @Test("A step that texts shared reads the union of all its rows' experts, and gives a token for each text")
    func sharedSteps() throws {
        var trace = trace()
        trace.add([.newest], domain: "text", position: 9, text: 3, [[[0, 1], [0, 1]]])
        trace.add([.newest], domain: "text", position: 6, text: 0, joins: true, [[[2, 3], [0, 1]]])
        trace.windows[2].joinsPrevious = true
        trace.windows[2].text = 1
        #expect(trace.steps == [0..<1, 1..<3, 3..<5])
        let halves = try WindowHalves(of: trace)
        #expect(halves.source == .verified && halves.available == 2)
        let (first, second) = (halves.training, halves.heldOut)
        #expect(first.count == 1 && first.texts == 2 && first.rows == 4 && first.tokens == 3)
        #expect(first.textsPerStep == 2 && second.textsPerStep == 2)
        #expect(
            Array(first.layers[0][0]) == [(0, 2), (1, 2), (2, 1), (3, 3)].map { ExpertUse(expert: $0, rows: $1) })
        #expect(
            Array(first.layers[1][0]) == [(0, 2), (1, 3), (2, 2), (3, 1)].map { ExpertUse(expert: $0, rows: $1) })
        #expect(second.rows == 2 && second.tokens == 2)
        trace.windows.swapAt(3, 4)
        (trace.windows[3].joinsPrevious, trace.windows[4].joinsPrevious) = (false, true)
        #expect(throws: PlacementError.self, "rows of a step lie apart") { try WindowHalves(of: trace) }
    }

    @Test("Both halves see the steps that texts of several domains shared, and prompts do not stand in for them")
    func mixedDomains() throws {
        var trace = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 1)
        trace.add(.init(repeating: .prompt, count: 100), position: 0, .init(repeating: [[1]], count: 100))
        for step in 0..<8 {
            trace.add([.newest], domain: "code", position: step, [[[0]]])
            trace.add([.newest], domain: "prose", position: step, joins: true, [[[UInt16(step % 4)]]])
        }
        let halves = try WindowHalves(of: trace)
        #expect(halves.source == .verified && halves.available == 8)
        #expect(halves.training.count == 4 && halves.heldOut.count == 4 && halves.heldOut.texts == 8)
    }

    @Test("Prompts are cut where nothing was verified; a step then counts as one token")
    func cut() throws {
        var trace = trace()
        trace.kinds = trace.kinds.map { _ in .prompt }
        let halves = try WindowHalves(of: trace, width: 1)
        #expect(halves.source == .cut(width: 1) && halves.available == 7)
        #expect(halves.training.count + halves.heldOut.count == 7)
        #expect(halves.heldOut.tokensPerStep == 1)
        #expect(try WindowHalves(of: trace, width: 2).available == 2)
    }

    @Test("Both halves see every domain, share no window, and thinning keeps windows evenly")
    func halves() throws {
        var random = SeededGenerator(seed: 1)
        let trace = PlacementFixtures.randomTrace(layers: 2, experts: 8, perToken: 2, rows: 3000, random: &random)
        let halves = try WindowHalves(of: trace)
        #expect(halves.training.count + halves.heldOut.count == 1000)
        #expect(abs(halves.training.count - halves.heldOut.count) <= 64)
        let thinned = try WindowHalves(of: trace, rowLimit: 300)
        #expect(thinned.training.count + thinned.heldOut.count == 100 && thinned.available == 1000)
        #expect(thinned.training.rows + thinned.heldOut.rows == 300)
    }

    @Test("Traces that are too short or contradict themselves are refused")
    func refusals() throws {
        var short = trace()
        short.windows = [short.windows[1]]
        #expect(throws: PlacementError.self) { try WindowHalves(of: short) }
        var cropped = trace()
        cropped.experts.removeLast()
        #expect(throws: PlacementError.self) { try WindowHalves(of: cropped) }
        var wild = trace()
        wild.experts[3] = 4
        #expect(throws: PlacementError.self) { try WindowHalves(of: wild) }
        var astray = trace()
        astray.windows[1].rows = 3..<8
        #expect(throws: PlacementError.self) { try WindowHalves(of: astray) }
        astray.windows[1] = .init(rows: 3..<6, domain: 1, position: 0)
        #expect(throws: PlacementError.self) { try WindowHalves(of: astray) }
    }
}
