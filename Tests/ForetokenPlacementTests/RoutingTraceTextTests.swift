import ForetokenPlacement
import Testing

@Suite struct RoutingTraceTextTests {
    private func read(_ text: String, expertCount: Int? = nil) throws -> RoutingTrace {
        try RoutingTrace(jsonLines: Array(text.utf8), model: "m", expertCount: expertCount)
    }

    @Test func rowsOfARoundFormAWindow() throws {
        let trace = try read(
            #"""
            {"round":0,"row":0,"domain":"code","layers":[[],[3,1],[0,2]]}
            {"round":0,"row":1,"domain":"code","layers":[[],[4,5],[1,7]]}

            {"round":1,"row":0,"domain":"code","layers":[[],[3,1],[0,2]],"more":{"x":[1,-2.5e3,true,{}],"y":"\""}}
            {"round":1,"row":0,"domain":"pr\u006Fse","layers":[[],[0,6],[2,5]]}
            {"round":0,"row":4,"domain":"code","layers":[[],[0,1],[6,7]]}
            """#)
        #expect(trace.model == "m" && trace.layers == [1, 2] && trace.expertCount == 8 && trace.expertsPerToken == 2)
        #expect(trace.domains == ["code", "prose"])
        #expect(trace.windows.map(\.rows) == [0..<2, 2..<3, 3..<4, 4..<5])
        #expect(trace.windows.map(\.domain) == [0, 0, 1, 0] && trace.windows.map(\.position) == [0, 2, 0, 3])
        #expect(trace.kinds == [.newest, .accepted, .newest, .newest, .newest])
        #expect(Array(trace.chosen(row: 0, layer: 0)) == [1, 3] && Array(trace.chosen(row: 4, layer: 1)) == [6, 7])
        #expect(try RoutingTraceFile(RoutingTraceFile.bytes(of: trace)).trace == trace)
        #expect(try read("{\"round\":3,\"row\":9,\"layers\":[[1]]}\r\n", expertCount: 5).domains == ["unlabelled"])
    }

    @Test func rowsOfSeveralTextsInARoundAreOneStep() throws {
        let trace = try read(
            #"""
            {"round":0,"row":0,"text":4,"layers":[[1]]}
            {"round":0,"row":1,"text":4,"layers":[[2]]}
            {"round":0,"row":0,"text":7,"layers":[[3]]}
            {"round":1,"row":0,"text":7,"layers":[[3]]}
            {"round":1,"row":0,"layers":[[3]]}
            """#)
        #expect(trace.windows.map(\.text) == [0, 1, 1, 2] && trace.windows.map(\.position) == [0, 0, 1, 0])
        #expect(
            trace.steps == [0..<2, 2..<3, 3..<4] && trace.kinds == [.newest, .accepted, .newest, .newest, .newest])
        #expect(try RoutingTraceFile(RoutingTraceFile.bytes(of: trace)).trace == trace)
        let error = #expect(throws: PlacementError.self) {
            try read(
                #"""
                {"round":0,"row":0,"text":4,"layers":[[1]]}
                {"round":0,"row":0,"text":7,"layers":[[3]]}
                {"round":0,"row":1,"text":4,"layers":[[2]]}
                """#)
        }
        #expect("\(error, default: "")".contains("line 3: round 0 has rows of other texts between"))
    }

    @Test(arguments: [
        ("", "no row"), ("[]", "line 1"), ("{\"row\":0,\"layers\":[[1]]}", "\"round\" is missing"),
        ("{\"round\":0,\"row\":0}", "\"layers\" is missing"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1.5]]}", "a whole number"),
        ("{\"round\":0,\"row\":0,\"layers\":[1]}", "byte 29: expected a list"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1e30]]}", "a whole number"),
        ("{\"round\":0,\"row\":0,\"layers\":[[]]}", "no layer"),
        ("{\"round\":0,\"row\":0,\"layers\":[]}", "no layer"),
        ("{\"round\":-1,\"row\":0,\"layers\":[[1]]}", "round -1"),
        ("{\"round\":0,\"row\":0,\"layers\":[[-1]]}", "found -1"),
        ("{\"round\":0,\"row\":0,\"layers\":[[9]]}", "0...8"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1,1]]}", "twice"),
        ("{\"round\":0,\"row\":0,\"domain\":\"\",\"layers\":[[1]]}", "empty"),
        ("{\"round\":0,\"row\":0,\"domain\":\"all\",\"layers\":[[1]]}", "taken"),
        ("{\"round\":0,\"row\":0,\"domain\":null,\"layers\":[[1]]}", "expected a string"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1]]", "the end of the text"), ("{\"round\":0,\"round\":1}", "twice"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1]]} 1", "follows"),
        ("{\"round\":0,\"row\":0,\"layers\":[[1]],}", "a comma too many"),
        ("{\"round\":99999999999999999999,\"row\":0}", "64 bits"), ("{\"x\":tru}", "true or false"), ("{\"x", "end"),
        ("{\"x\":" + String(repeating: "[", count: 3_000), "64 levels"), ("{\"\\u12\":1}", "hexadecimal"),
    ])
    func badLinesAreNamed(text: String, message: String) {
        let error = #expect(throws: PlacementError.self) { try read(text, expertCount: 9) }
        #expect("\(error, default: "")".contains(message), "\(text)")
    }

    @Test(arguments: [
        ("{\"round\":0,\"row\":0,\"layers\":[[1]]}", "after row 0"),
        ("{\"round\":0,\"row\":1,\"layers\":[[1],[2]]}", "2 layers"),
        ("{\"round\":0,\"row\":1,\"layers\":[[1,2]]}", "2 experts, expected 1"),
    ])
    func linesMustFitThoseBefore(second: String, message: String) {
        let text = "{\"round\":0,\"row\":0,\"layers\":[[1]]}\n" + second
        let error = #expect(throws: PlacementError.self) { try read(text) }
        #expect("\(error, default: "")".contains("line 2") && "\(error, default: "")".contains(message))
    }
}
