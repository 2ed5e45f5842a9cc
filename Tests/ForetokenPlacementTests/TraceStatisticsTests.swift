import ForetokenPlacement
import Testing

@Suite struct TraceStatisticsTests {
    /// A prompt of two rows, a round with one accepted and one rejected draft, and a round without drafts.
    private let small: RoutingTrace = {
        var trace = RoutingTrace(model: "m", layers: [7], expertCount: 4, expertsPerToken: 2)
        trace.add([.prompt, .prompt], position: 0, [[[0, 1]], [[0, 1]]])
        trace.add([.newest, .accepted, .rejected], position: 2, [[[0, 1]], [[2, 3]], [[0, 2]]])
        trace.add([.newest], position: 4, [[[2, 3]]])
        return trace
    }()

    private func isNear(_ value: Double?, _ expected: Double, within tolerance: Double = 1e-12) -> Bool {
        value.map { abs($0 - expected) <= tolerance } ?? false
    }

    @Test func rowsAndWindowsAreCounted() {
        let statistics = TraceStatistics(small)
        #expect(statistics.model == "m" && statistics.expertCount == 4 && statistics.expertsPerToken == 2)
        let rows = statistics.rows
        #expect([rows.all, rows.prompt, rows.newest, rows.accepted, rows.rejected] == [6, 2, 2, 1, 1])
        #expect(statistics.windowCount == 3)
        #expect(statistics.verifyWindows.map { [$0.rows, $0.count] } == [[1, 1], [3, 1]])
        #expect(statistics.domains.map(\.domain) == ["code"])
        #expect(statistics.domains[0].rows == rows && statistics.domains[0].windows == 3)
    }

    @Test func loadsAndSkew() throws {
        let layer = TraceStatistics(small).layers[0]
        #expect(layer.layer == 7 && layer.load == [4, 3, 3, 2])
        let skew = try #require(layer.skew)
        #expect(isNear(skew.hottest, 4.0 / 3))
        // Sorted 2 3 3 4: 2·(1·2 + 2·3 + 3·3 + 4·4)/(4·12) − 5/4.
        #expect(isNear(skew.gini, 0.125))
        // Entropy of 1/3, 1/4, 1/4, 1/6 is 1.3579778…
        #expect(isNear(skew.effectiveExperts, 3.888322, within: 1e-5))
        #expect(skew.idle == 0)
    }

    @Test func extremesOfSkew() throws {
        var equal = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 2)
        equal.add([.newest], position: 0, [[[0, 1]]])
        equal.add([.newest], position: 9, [[[2, 3]]])
        let flat = try #require(TraceStatistics(equal).skew)
        #expect(isNear(flat.hottest, 1) && isNear(flat.gini, 0) && isNear(flat.effectiveExperts, 4, within: 1e-9))
        var single = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 1)
        single.add([.newest], position: 0, [[[2]]])
        let sharp = try #require(TraceStatistics(single).skew)
        #expect(isNear(sharp.hottest, 4) && isNear(sharp.gini, 0.75) && isNear(sharp.effectiveExperts, 1))
        #expect(sharp.idle == 0.75)
    }

    @Test func pairsAgainstIndependence() {
        let pairs = TraceStatistics(small).pairs
        // Products of loads sum to 53, pairs to 6; experts 0 and 2 met less often than they would by chance.
        #expect(pairs.map { [$0.layer, $0.first, $0.second, $0.together] } == [[7, 2, 3, 2], [7, 0, 1, 3]])
        #expect(isNear(pairs[0].expected, 6 * 6.0 / 53) && isNear(pairs[1].expected, 12 * 6.0 / 53))
    }

    @Test func overlapAndReuse() {
        let statistics = TraceStatistics(small)
        #expect(statistics.windowOverlap.map(\.rows) == [1, 3] && statistics.windowOverlap.map(\.count) == [1, 1])
        #expect(statistics.windowOverlap.map(\.distinct) == [2, 4])
        #expect(statistics.windowOverlap.map(\.withoutOverlap) == [2, 4], "there are no more than four")
        // The rejected row is no part of the text: five rows follow each other.
        #expect(statistics.textOverlap.map(\.count) == [5, 4, 3, 2, 1])
        #expect(isNear(statistics.textOverlap[1].distinct, (2 + 2 + 4 + 2) / 4))
        // Loads over rows are 4/6, 3/6, 3/6, 2/6.
        #expect(isNear(statistics.textOverlap[1].independent, 4 - (4 + 9 + 9 + 16) / 36.0))
        #expect(statistics.reuse?.count == 4 && isNear(statistics.reuse?.share, 6.0 / 8))
        #expect(isNear(statistics.reuse?.independent, (16 + 9 + 9 + 4) / 36.0 / 2))
        #expect(isNear(statistics.layers[0].reuse, 6.0 / 8))
    }

    @Test func textsEndWhereNothingFollows() {
        var trace = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 1)
        trace.add([.newest, .rejected], position: 0, [[[0]], [[1]]])
        trace.add([.newest], position: 2, [[[0]]])
        trace.add([.newest], domain: "prose", position: 3, [[[0]]])
        #expect(TraceStatistics(trace).reuse == nil)
        trace.add([.newest], domain: "prose", position: 4, [[[0]]])
        #expect(TraceStatistics(trace).reuse?.count == 1)
    }

    @Test func companyIsCounted() throws {
        var trace = small
        trace.add([.newest, .accepted], position: 5, [[[0, 1]], [[1, 2]]])
        trace.add([.newest], position: 2, text: 1, joins: true, [[[0, 1]]])
        trace.add([.newest], position: 7, [[[0, 1]]])
        trace.add([.newest], position: 3, text: 1, joins: true, [[[2, 3]]])
        let statistics = TraceStatistics(trace)
        #expect(statistics.hasCompany && !TraceStatistics(small).hasCompany)
        #expect(statistics.textCount == 2 && statistics.windowCount == 7)
        #expect(statistics.verifyWindows.map { [$0.rows, $0.count] } == [[1, 1], [2, 1], [3, 2]])
        #expect(statistics.windowOverlap.map(\.distinct) == [2, 4, 3.5])
        let (alone, shared) = (statistics.company[0], statistics.company[1])
        #expect(statistics.company.count == 2 && alone.texts == 1 && shared.texts == 2)
        #expect(alone.steps == 2 && alone.rows == 2 && alone.tokens == 1.5 && alone.distinct == 3 && alone.apart == 3)
        #expect(shared.steps == 2 && shared.rows == 2.5 && shared.tokens == 2.5)
        // 0 1 2 and 0 1 2 3; apart 3 + 2 and 2 + 2.
        #expect(shared.distinct == 3.5 && shared.apart == 4.5)
        // Eight rows of the first text follow each other, whatever was between, and two of the second.
        #expect(statistics.reuse?.count == 8)
    }

    @Test func driftBetweenHalves() throws {
        let drift = try #require(TraceStatistics(small).drift)
        // Shares 1/2 1/2 0 0 become 1/6 0 1/2 1/3; ranks 3.5 3.5 1.5 1.5 become 2 1 4 3.
        #expect(isNear(drift.variation, 5.0 / 6))
        #expect(isNear(drift.rankCorrelation, -4 / 20.0.squareRoot()))
    }

    @Test func chanceExplainsRandomRows() throws {
        let trace = RoutingTrace.random(seed: 11, windows: 1200, layers: [0, 1, 2, 3], experts: 32, perToken: 4)
        let statistics = TraceStatistics(trace)
        let drift = try #require(statistics.drift)
        #expect((0.8...1.25).contains(drift.variation / drift.variationByChance))
        for domain in statistics.domains {
            let (distance, chance) = (try #require(domain.distance), try #require(domain.distanceByChance))
            #expect((0.8...1.25).contains(distance / chance))
        }
        for overlap in statistics.windowOverlap where overlap.count > 50 {
            #expect((0.97...1.03).contains(overlap.distinct / overlap.independent))
        }
        let reuse = try #require(statistics.reuse)
        #expect((0.95...1.05).contains(reuse.share / reuse.independent))
        for pair in statistics.pairs { #expect(Double(pair.together) < 2 * pair.expected) }
    }

    @Test func domainsAreTold() throws {
        var trace = RoutingTrace(model: "", layers: [0], expertCount: 4, expertsPerToken: 2)
        for position in 0..<4 {
            trace.add([.newest], domain: "code", position: position, [[[0, 1]]])
            trace.add([.newest], domain: "prose", position: position, [[[2, 3]]])
        }
        let statistics = TraceStatistics(trace)
        #expect(statistics.domains.map(\.domain) == ["code", "prose"])
        for domain in statistics.domains {
            #expect(domain.rows.all == 4 && isNear(domain.distance, 0.5))
            #expect(isNear(domain.skew?.effectiveExperts, 2, within: 1e-9))
        }
        #expect(isNear(statistics.skew?.effectiveExperts, 4, within: 1e-9))
        #expect(isNear(statistics.drift?.variation, 0))
    }

    @Test func aTraceWithoutRowsHasNoFigures() {
        let statistics = TraceStatistics(RoutingTrace(model: "", layers: [3], expertCount: 4, expertsPerToken: 2))
        #expect(statistics.rows.all == 0 && statistics.skew == nil && statistics.drift == nil)
        #expect(statistics.layers[0].load == [0, 0, 0, 0] && statistics.pairs.isEmpty && statistics.reuse == nil)
        #expect(statistics.textOverlap.isEmpty && statistics.windowOverlap.isEmpty)
    }

    @Test func manyExpertsNeedNoTableOfAllPairs() {
        var trace = RoutingTrace(model: "", layers: [0], expertCount: 65_536, expertsPerToken: 2)
        for row in 0..<18 { trace.add([.newest], position: row, [[row < 9 ? [40_000, 65_535] : [1, 2]]]) }
        #expect(TraceStatistics(trace).pairs.map(\.first) == [1, 40_000])
    }
}
