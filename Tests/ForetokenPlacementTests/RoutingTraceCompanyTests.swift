import ForetokenPlacement
import ForetokenTestSupport
import Testing

/// Texts that were recorded alone are put together as an engine would have run them.
@Suite struct RoutingTraceCompanyTests {
    /// Texts recorded one after another: a prompt of two rows each, then windows of so many rows whose first expert tells
    /// the text.
    private func alone(_ texts: [[Int]]) -> RoutingTrace {
        var trace = RoutingTrace(model: "m", layers: [1], expertCount: 16, expertsPerToken: 2)
        for (text, widths) in texts.enumerated() {
            let id = UInt16(text)
            trace.add([.prompt, .prompt], position: 0, text: text, [[[id, 15]], [[id, 14]]])
            for (step, width) in widths.enumerated() {
                let kinds = (0..<width).map { $0 == 0 ? RoutingTrace.RowKind.newest : .rejected }
                trace.add(kinds, position: 2 + step, text: text, .init(repeating: [[id, 15]], count: width))
            }
        }
        return trace
    }

    /// By step: its windows' texts and positions, prompts with a minus.
    private func steps(_ trace: RoutingTrace) -> [[[Int]]] {
        trace.steps.map { step in
            step.map { index in
                let window = trace.windows[index]
                let sign = trace.kinds[window.rows.lowerBound] == .prompt ? -1 : 1
                return [window.text, sign * window.position]
            }
        }
    }

    /// By text: positions, kinds and experts of its rows.
    private func rows(_ trace: RoutingTrace) -> [Int: [String]] {
        var rows: [Int: [String]] = [:]
        for window in trace.windows {
            rows[window.text, default: []] += window.rows.map { row in
                "\(trace.domains[window.domain]) \(window.position) \(trace.kinds[row]) "
                    + "\(trace.layers.indices.map { Array(trace.chosen(row: row, layer: $0)) })"
            }
        }
        return rows
    }

    @Test func textsTakeTurns() throws {
        let trace = alone([[1, 1, 1], [1], [1, 1], [1, 1]])
        let shared = try trace.shared(by: 2)
        // Text 1 ends first and 2 takes its place, then 3 that of 0; what is left of 3 alone is left out.
        #expect(
            steps(shared) == [
                [[0, 0]], [[1, 0]], [[0, 2], [1, 2]], [[2, 0]], [[0, 3], [2, 2]], [[0, 4], [2, 3]], [[3, 0]],
            ])
        #expect(try WindowHalves(of: shared).available == 3)
        let apart = try shared.shared(by: 1)
        #expect(
            apart.steps.count == apart.windows.count && apart.windows.map(\.text).sorted() == apart.windows.map(\.text))
        // Back and forth nothing but the order changes.
        var own = rows(trace)
        own[3]?.removeLast(2)
        #expect(rows(apart) == own)
        #expect(try trace.shared(by: 1) == trace)
    }

    @Test func whoFindsNoRoomComesFirstInTheNextStep() throws {
        let shared = try alone([[9, 9], [9, 9], [7, 7]]).shared(by: 3)
        #expect(
            steps(shared) == [[[0, 0]], [[1, 0]], [[2, 0]], [[0, 2]], [[1, 2], [2, 2]], [[0, 3]]])
        #expect(shared.steps.allSatisfy { $0.reduce(0) { $0 + shared.windows[$1].rows.count } <= 16 })
    }

    @Test func tooFewTextsAreRefused() {
        for (texts, count, message) in [
            ([[1], [1]], 3, "2 texts"), ([[], [1]], 2, "1 text,"), ([[], []], 2, "prompts only"),
            ([[1]], 0, "1 or more"),
        ] {
            let error = #expect(throws: PlacementError.self) { try alone(texts).shared(by: count) }
            #expect("\(error, default: "")".contains(message), "\(texts) \(count)")
        }
    }

    @Test func promptsAloneAreLeftAsTheyAre() throws {
        let trace = alone([[], []])
        #expect(try trace.shared(by: 1) == trace)
    }

    /// Rows of different texts share fewer experts than rows of one, and a plan is judged by that.
    @Test func plansAreMadeForThatManyTexts() throws {
        var trace = SyntheticRouter.trace(layers: 2, rows: 1600, windowRows: 2, skew: 0.5, seed: 5)
        for index in trace.windows.indices { trace.windows[index].text = index / 100 }
        let (one, four) = (try WindowHalves(of: trace), try WindowHalves(of: trace.shared(by: 4)))
        #expect(one.heldOut.textsPerStep == 1 && four.heldOut.textsPerStep == 4)
        #expect(four.available == 200 && four.heldOut.tokensPerStep == 4 * one.heldOut.tokensPerStep)
        let experts = { (halves: WindowHalves) in
            Double(halves.heldOut.layers[0].uses.count) / Double(halves.heldOut.count)
        }
        #expect(experts(four) > 1.5 * experts(one) && experts(four) < 4 * experts(one))
    }
}
