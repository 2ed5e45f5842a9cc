/// How many distinct experts a layer reads for rows of a text that follow each other: the routing as far as the time of a
/// step of several rows depends on it.
public struct ExpertOverlap: Sendable, Equatable {
    /// What reports call it.
    public let name: String
    /// Where it comes from, in a few words.
    public let source: String
    /// Routed experts a layer.
    public let expertCount: Int
    /// Experts of a row.
    public let expertsPerToken: Int
    /// By rows − 1: distinct experts, mean over layers and windows.
    public let distinct: [Double]

    /// Widest window that is told of: as many rows as a step of generated tokens can have.
    public static let widest = 16

    /// The published trace of DeepSeek-R1 671B: 38 tokens, 58 layers, 8 of 256 experts; neuralboot/trapetum,
    /// bench/runpod_logs/r1_671b_expert_routing.csv at commit 0d5b0ab. One greedy continuation of "The capital of France
    /// is" with experts in 4 bits, recorded before its authors corrected their softmax scale: a lead, not a law.
    public static let r1 = ExpertOverlap(
        name: "r1", source: "a published trace of DeepSeek-R1, 38 tokens (neuralboot/trapetum)", expertCount: 256,
        expertsPerToken: 8,
        distinct: [
            8, 13.783, 18.752, 23.321, 27.574, 31.566, 35.269, 38.783, 42.113, 45.321, 48.431, 51.444, 54.414, 57.330,
            60.164, 62.959,
        ])

    /// Every row's experts drawn anew, all alike.
    public static func uniform(expertCount: Int, expertsPerToken: Int) -> ExpertOverlap {
        let missed = 1 - Double(expertsPerToken) / Double(expertCount)
        var left = Double(expertCount)
        let distinct = (1...widest).map { _ in
            left *= missed
            return Double(expertCount) - left
        }
        return ExpertOverlap(
            name: "uniform", source: "experts drawn at random, all alike", expertCount: expertCount,
            expertsPerToken: expertsPerToken, distinct: distinct)
    }

    /// What rows that follow each other in a trace's texts chose, rejected drafts left out.
    /// - Throws: `PlacementError` when no text has as many rows in turn as the widest window.
    public init(_ trace: RoutingTrace, name: String) throws {
        let windows = TraceStudy(trace).textOverlap(widest: Self.widest)
        guard windows.count == Self.widest else {
            throw PlacementError(
                "no text of the routing trace has \(Self.widest) rows in turn (the longest has \(windows.count)); record "
                    + "longer ones")
        }
        self.init(
            name: name, source: "a recorded trace of \(trace.rowCount) rows", expertCount: trace.expertCount,
            expertsPerToken: trace.expertsPerToken, distinct: windows.map(\.distinct))
    }

    private init(name: String, source: String, expertCount: Int, expertsPerToken: Int, distinct: [Double]) {
        self.name = name
        self.source = source
        self.expertCount = expertCount
        self.expertsPerToken = expertsPerToken
        self.distinct = distinct
    }
}
