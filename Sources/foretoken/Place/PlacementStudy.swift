import ForetokenPlacement
import ForetokenReport
import ForetokenText

/// What planning found: for tables, pages and JSON.
package struct PlacementStudy: Sendable {
    /// What is placed.
    package struct Subject: Sendable, Encodable {
        /// What reports call the model.
        package var model: String
        /// Whether only its dimensions are known.
        package var isShape: Bool
        /// How the large matrices are kept.
        package var weights: String
        /// Decoder layers with routed experts, those of MTP modules included.
        package var layers: Int
        /// Routed experts a layer.
        package var experts: Int
        /// Experts of a token.
        package var expertsPerToken: Int
        /// Bytes of an expert.
        package var expertBytes: Int
        /// Bytes of everything else, caches and scratch included.
        package var denseBytes: Int
        /// Tokens that the caches hold.
        package var context: Int
        /// Routing traces by their paths.
        package var traces: [String]
        /// Whether the routing is made up, as an example.
        package var isExample: Bool
        /// Texts that were to share a step; nil for steps as recorded.
        package var parallel: Int?

        /// A subject; see the fields.
        package init(
            _ model: PlacementModel, label: String, isShape: Bool, weights: String, context: Int, traces: [String],
            parallel: Int? = nil, isExample: Bool = false
        ) {
            self.model = label
            self.isShape = isShape
            self.weights = weights
            layers = model.layers.count
            experts = model.expertCount
            expertsPerToken = model.expertsPerToken
            expertBytes = model.expertBytes
            denseBytes = model.denseBytes
            self.context = context
            self.traces = traces
            self.parallel = parallel
            self.isExample = isExample
        }
    }

    /// Where it is placed.
    package struct Machine: Sendable, Encodable {
        /// "this machine", or the topology file.
        package var name: String
        /// `MachineDescription.Source`.
        package var source: String
        /// What a reader must know about its figures.
        package var remark: String?
        /// Microseconds of a piece.
        package var pieceMicroseconds: Double
        /// Microseconds of a barrier.
        package var barrierMicroseconds: Double
        /// Whether the user gave both costs.
        package var hasGivenCosts: Bool

        /// A machine; see the fields.
        package init(
            name: String, source: String, remark: String?, pieceMicroseconds: Double, barrierMicroseconds: Double,
            hasGivenCosts: Bool
        ) {
            self.name = name
            self.source = source
            self.remark = remark
            self.pieceMicroseconds = pieceMicroseconds
            self.barrierMicroseconds = barrierMicroseconds
            self.hasGivenCosts = hasGivenCosts
        }

        /// A machine by its description.
        package init(_ description: MachineDescription, name: String, hasGivenCosts: Bool) {
            self.init(
                name: name, source: description.source.rawValue, remark: description.remark,
                pieceMicroseconds: description.machine.pieceSeconds * 1e6,
                barrierMicroseconds: description.machine.barrierSeconds * 1e6, hasGivenCosts: hasGivenCosts)
        }
    }

    package let subject: Subject
    package let machine: Machine
    package let report: PlanReport
    package let trace: TraceStatistics
    /// Of the layer with the most striking pair.
    package let coactivation: CoactivationMap?
    /// The policy that was asked for; nil for the planner's choice.
    package let asked: PlacementPolicy?

    /// A study; see the fields.
    package init(
        subject: Subject, machine: Machine, report: PlanReport, trace: TraceStatistics, coactivation: CoactivationMap?,
        asked: PlacementPolicy? = nil
    ) {
        self.subject = subject
        self.machine = machine
        self.report = report
        self.trace = trace
        self.coactivation = coactivation
        self.asked = asked
    }

    /// The policy whose plan is taken: what was asked for, or the planner's choice.
    package var selected: PolicyResult? {
        guard let asked else { return report.choice }
        return report.results.first { $0.policy == asked }
    }

    /// The plan that is taken, and what it gives; nil where it does not fit.
    package var taken: (result: PolicyResult, score: PolicyScore)? {
        selected.flatMap { result in result.score.map { (result, $0) } }
    }

    /// `capacity-sliced`, where that fits.
    var baseline: PolicyScore? { report.baseline?.score }

    /// Whether several nodes leave a choice.
    var hasChoice: Bool { report.nodes.count > 1 }

    /// Seconds of a step that no plan changes.
    var fixedSeconds: Double { report.denseSeconds + report.otherSeconds }

    /// The unit that this study's times are written in.
    var unit: TimeUnit { TimeUnit(fitting: report.boundSeconds + fixedSeconds) }
}

/// A unit of time that makes figures of about one to a thousand.
struct TimeUnit: Equatable {
    /// Its symbol.
    let name: String
    private let perSecond: Double

    init(fitting seconds: Double) { (name, perSecond) = seconds < 1e-3 ? ("µs", 1e6) : ("ms", 1e3) }

    /// In this unit.
    func value(_ seconds: Double) -> Double { seconds * perSecond }

    /// Without the unit.
    func number(_ seconds: Double) -> String { Format.short(value(seconds)) }

    /// With the unit.
    func text(_ seconds: Double) -> String { "\(number(seconds)) \(name)" }
}

extension PlacementStudy: Encodable {
    private enum CodingKeys: String, CodingKey {
        case model, machine, policy, verdict, reason, caveats, plan, trace, coactivation
    }

    /// Everything; `policy` is the one whose plan is taken, null where none fits.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let verdict = PlacementVerdict(self)
        try container.encode(subject, forKey: .model)
        try container.encode(machine, forKey: .machine)
        try container.encode(taken?.result.policy, forKey: .policy)
        try container.encode(verdict.headline, forKey: .verdict)
        try container.encode(verdict.reason, forKey: .reason)
        try container.encode(caveats, forKey: .caveats)
        try container.encode(report, forKey: .plan)
        try container.encode(trace, forKey: .trace)
        try container.encodeIfPresent(coactivation, forKey: .coactivation)
    }
}
