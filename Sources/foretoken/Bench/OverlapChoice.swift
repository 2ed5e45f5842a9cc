import ForetokenPlacement
import ForetokenText
import ForetokenWeights
import Glibc

/// How rows of a made-up model may overlap in their experts.
struct OverlapChoice {
    private let experts: Int
    private let perToken: Int
    private let hasExperts: Bool
    /// Whether routers have biases, by which experts can be favoured.
    private let isSteerable: Bool

    /// - Parameter whole: the whole model's dimensions.
    init(_ whole: ModelConfiguration) {
        experts = whole.routedExpertCount
        perToken = whole.expertsPerToken
        hasExperts = whole.layerCount > whole.denseLayerCount
        isSteerable = whole.family.routerRule == .sigmoid
    }

    /// The one that was asked for, or what is usual, and behind it the others that there are; none for a model without
    /// experts.
    /// - Parameter argument: `r1`, `uniform`, the path of a routing trace, or nil.
    /// - Throws: `UsageError` for one that does not suit the model, and as `TraceInput` does.
    func overlaps(_ argument: String?) throws -> [ExpertOverlap] {
        guard hasExperts else {
            if argument != nil { throw UsageError("the shape has no routed experts that --overlap could be of") }
            return []
        }
        let uniform = ExpertOverlap.uniform(expertCount: experts, expertsPerToken: perToken)
        let known = [.r1, uniform].filter(suits)
        if !isSteerable {
            guard argument == nil || argument == uniform.name else {
                throw UsageError(
                    "--overlap can only be \(uniform.name): the shape's routers have no biases to favour experts by")
            }
            return [uniform]
        }
        guard let argument else { return known }
        let chosen =
            switch argument {
            case ExpertOverlap.r1.name: ExpertOverlap.r1
            case uniform.name: uniform
            default: try recorded(argument, orNamed: uniform.name)
            }
        guard suits(chosen) else {
            throw UsageError(
                "--overlap \(argument) is of \(chosen.expertsPerToken) of \(chosen.expertCount) experts, but the shape's "
                    + "rows choose \(perToken) of \(experts)")
        }
        return [chosen] + known.filter { $0 != chosen }
    }

    private func suits(_ overlap: ExpertOverlap) -> Bool {
        overlap.expertCount == experts && overlap.expertsPerToken == perToken
    }

    private func recorded(_ path: String, orNamed uniform: String) throws -> ExpertOverlap {
        if !path.contains("/") && access(path, F_OK) != 0 {
            throw UsageError(
                "--overlap wants \(ExpertOverlap.r1.name), \(uniform) or the file of a routing trace, but '\(path)' is "
                    + "neither")
        }
        let trace = try TraceInput(path, expertCount: experts).trace
        return try InputFile.named(path) { try ExpertOverlap(trace, name: Self.name(path)) }
    }

    private static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "trace") }
}
