import ForetokenCluster
import Testing

/// What hosts must agree on, and how their phases end.
@Suite struct AgreementTests {
    private let hosts = [
        HostName(rank: 0, name: "host-a"), HostName(rank: 1, name: "host-b"), HostName(rank: 2, name: "host-c"),
    ]
    private let fields = [AgreedField("the version", "1"), AgreedField("the cache's type", "f32")]

    @Test func hostsThatAgreeHaveNothingToSay() {
        #expect(Agreement.difference([fields, fields, fields], hosts: hosts) == nil)
        #expect(Agreement.difference([[], [], []], hosts: hosts) == nil)
    }

    @Test func theFirstFieldThatDiffersIsNamedWithBothHosts() {
        var other = fields
        other[1] = AgreedField("the cache's type", "bf16")
        #expect(
            Agreement.difference([fields, fields, other], hosts: hosts)
                == "the hosts do not agree on the cache's type: rank 0 (host-a) has f32, rank 2 (host-c) has bf16.")
        other[0] = AgreedField("the version", "2")
        // A field comes before a rank: every rank looks for the same one first.
        var second = fields
        second[1] = AgreedField("the cache's type", "bf16")
        #expect(
            Agreement.difference([fields, second, other], hosts: hosts)
                == "the hosts do not agree on the version: rank 0 (host-a) has 1, rank 2 (host-c) has 2.")
    }

    @Test func fieldsThatSomebodyLacksAreNamed() throws {
        let fewer = try #require(Agreement.difference([fields, Array(fields.prefix(1)), fields], hosts: hosts))
        #expect(fewer.hasPrefix("rank 1 (host-b) does not tell the cache's type as rank 0 (host-a) does"))
        let more = try #require(Agreement.difference([Array(fields.prefix(1)), fields, fields], hosts: hosts))
        #expect(more.hasPrefix("rank 0 (host-a) does not tell the cache's type as rank 1 (host-b) does"))
        let renamed = [fields[0], AgreedField("the weights", "fp8")]
        #expect(try #require(Agreement.difference([fields, renamed, fields], hosts: hosts)).contains("does not tell"))
    }

    @Test func longValuesAreCutWhereTheyDiffer() throws {
        let same = String(repeating: "x", count: 500)
        let left = [AgreedField("the headers", same + "left" + same)]
        let right = [AgreedField("the headers", same + "right" + same)]
        let text = try #require(Agreement.difference([left, right], hosts: Array(hosts.prefix(2))))
        #expect(text.contains("left") && text.contains("right"))
        #expect(text.count < 2 * Agreement.shownCharacters + 200)
    }

    @Test func fieldsTravelAsBytes() {
        let odd = [AgreedField("", ""), AgreedField("ü\n", String(repeating: "é", count: 300))]
        #expect(Agreement.decode(Agreement.encode(odd)) == odd)
        #expect(Agreement.decode([]) == [])
        // An odd number of texts.
        #expect(Agreement.decode(TextList.encode(["a"])) == nil)
    }

    @Test("Bytes that nobody has written are refused", arguments: UInt64(0)..<200)
    func hostile(seed: UInt64) {
        var bytes = TextList.encode(["phase", "failed", "65", "what happened"])
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        let next = { (limit: Int) -> Int in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        for _ in 0..<3 { bytes[next(bytes.count)] = UInt8(next(256)) }
        bytes.removeLast(next(bytes.count))
        if let texts = TextList.decode(bytes) { #expect(TextList.encode(texts) == bytes) }
        if let report = PhaseReport(bytes: bytes) { #expect(PhaseReport(bytes: report.bytes) == report) }
    }

    @Test func truncatedTextsAreRefused() {
        let bytes = TextList.encode(["one", "two"])
        for count in [1, 3, 6, 8, 13] { #expect(TextList.decode(Array(bytes.prefix(count))) == nil) }
        #expect(TextList.decode([255, 255, 255, 255, 0]) == nil)
        #expect(TextList.decode([1, 0, 0, 0, 0xFF]) == nil)
    }

    // MARK: Phases

    private func reports(_ ends: PhaseReport.End...) -> [PhaseReport] {
        ends.map { PhaseReport(phase: "loading", end: $0) }
    }

    @Test func theLowestFailingRankSpeaks() {
        let low = HostFault(code: 65, message: "norm.weight is damaged")
        let high = HostFault(code: 1, message: "no memory")
        #expect(Settlement.fault(reports(.done, .done, .done), hosts: hosts) == nil)
        #expect(
            Settlement.fault(reports(.done, .failed(low), .failed(high)), hosts: hosts)
                == HostFault(code: 65, message: "rank 1 (host-b): norm.weight is damaged"))
        #expect(
            Settlement.fault(reports(.failed(high), .failed(low), .done), hosts: hosts)
                == HostFault(code: 1, message: "rank 0 (host-a): no memory"))
    }

    @Test func whatAllSayIsSaidOnce() {
        let fault = HostFault(code: 65, message: "there is no model")
        #expect(Settlement.fault(reports(.failed(fault), .failed(fault), .failed(fault)), hosts: hosts) == fault)
    }

    @Test func whoStoppedForAnotherHasNoFaultOfItsOwn() {
        let fault = HostFault(code: 65, message: "damaged")
        #expect(
            Settlement.fault(reports(.stopped, .stopped, .failed(fault)), hosts: hosts)
                == HostFault(code: 65, message: "rank 2 (host-c): damaged"))
        #expect(Settlement.fault(reports(.done, .stopped, .done), hosts: hosts)?.code == 1)
    }

    @Test func hostsInDifferentPhasesAreNoAgreement() {
        var ends = reports(.done, .done, .done)
        ends[1] = PhaseReport(phase: "opening", end: .done)
        let fault = Settlement.fault(ends, hosts: hosts)
        #expect(fault?.code == 1)
        #expect(fault?.message.contains("rank 1 (host-b) has come to the end of opening") == true)
    }

    @Test func reportsTravelAsBytes() {
        let fault = HostFault(code: -7, message: "several\nlines")
        for end in [PhaseReport.End.done, .stopped, .failed(fault)] {
            let report = PhaseReport(phase: "the start", end: end)
            #expect(PhaseReport(bytes: report.bytes) == report)
        }
        #expect(PhaseReport(bytes: TextList.encode(["loading", "failed", "x", "text"])) == nil)
        #expect(PhaseReport(bytes: TextList.encode(["loading", "perhaps"])) == nil)
        #expect(PhaseReport(bytes: []) == nil)
    }

    // MARK: Hosts

    @Test func lostHostsAreNamed() {
        #expect(
            [hosts[1]].lossText(seconds: 30, areAlive: false)
                == "rank 1 (host-b) has not answered for 30 s; all hosts end, since each keeps a part of the model")
        #expect(
            hosts.lossText(seconds: 2, areAlive: false)
                .hasPrefix("ranks 0 (host-a), 1 (host-b) and 2 (host-c) have not answered for 2 s"))
        #expect(
            [hosts[2]].lossText(seconds: 2, areAlive: true)
                .hasPrefix("rank 2 (host-c) lives but has not come to a meeting for 2 s"))
    }

    @Test func oneNameOnTwoMachinesIsNotOneMachine() {
        let clones = [HostName(rank: 0, name: "node", boot: "1"), HostName(rank: 1, name: "node", boot: "2")]
        #expect(!HostName.shareMachine(clones))
        #expect(!HostName.shareMachine(hosts))
        #expect(HostName.shareMachine(clones + [HostName(rank: 2, name: "node", boot: "1")]))
    }

    @Test func aLinksFiguresComeFromMedians() {
        // There and back: 20 µs for 8 bytes, 1,020 µs for 1 MB, and one round that somebody disturbed.
        let figures = LinkFigures(
            small: [20_000, 19_000, 9_000_000], large: [1_020_000, 9_000_000, 1_019_000], byteCount: 1_000_000)
        #expect(abs(figures.latency - 10e-6) < 1e-12)
        #expect(abs(figures.bandwidth - 2e9) < 1)
        let instant = LinkFigures(small: [10], large: [10], byteCount: 8)
        #expect(instant.bandwidth.isFinite)
    }
}
