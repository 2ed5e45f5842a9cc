/// What all policies would give, for tables, pages and JSON. Every time is a prediction.
public struct PlanReport: Sendable, Encodable {
    /// A node as planned with.
    public struct Node: Sendable, Encodable {
        /// The system's number.
        public var id: Int
        /// Workers on its CPUs.
        public var workers: Int
        /// Bytes that weights may take.
        public var capacity: Int
        /// Bytes per second.
        public var bandwidth: Double
        /// Bytes of dense weights and of layers that are not placed.
        public var reservedBytes: Int
    }

    /// What plans were made from and judged by.
    public struct Windows: Sendable, Encodable {
        /// `verified` as drafts were, or `cut` from prompts.
        public var source: String
        /// Rows of a window that was cut; nil for verified ones.
        public var cutWidth: Int?
        /// Windows of the whole trace; more than both halves where it was thinned out evenly.
        public var available: Int
        /// Windows that plans were made from.
        public var training: Int
        /// Windows that they were judged by.
        public var heldOut: Int
        /// Rows of both halves.
        public var rows: Int
        /// Mean texts that share a held-out step.
        public var textsPerStep: Double
        /// Mean rows of a held-out step.
        public var rowsPerStep: Double
        /// Mean tokens of a held-out step: 1 for each text and the drafts that held; 1 for windows that were cut.
        public var tokensPerStep: Double
    }

    /// `PlacementModel.fingerprint`.
    public var model: String
    /// `PlacementMachine.fingerprint`.
    public var machine: String
    /// Whether the machine's figures were measured on it.
    public var isMeasured: Bool
    /// The machine's nodes.
    public var nodes: [Node]
    /// Decoder layers that were placed.
    public var layers: [Int]
    /// Recorded windows.
    public var windows: Windows
    /// Seconds in which all nodes together would read a step's experts: the perfect bound, held-out.
    public var boundSeconds: Double
    /// The bound by layer.
    public var layerBoundSeconds: [Double]
    /// Seconds of a step for dense weights.
    public var denseSeconds: Double
    /// Seconds of a step that the caller gave for everything else.
    public var otherSeconds: Double
    /// What each policy gives, in the order it was asked for.
    public var results: [PolicyResult]
    /// Index of the chosen policy in `results`; nil where nothing fits.
    public var chosen: Int?
    /// By how much a simpler plan may be slower than the best.
    public var tolerance: Double
    /// Held-out experts and barriers of the best plan without statistics over those of the best with them: above 1, knowing
    /// the routing helps. Nil where one of the two does not fit.
    public var statisticsGain: Double?

    init(planner: Planner, results: [PolicyResult], chosen: Int?) {
        let (problem, halves) = (planner.problem, planner.halves)
        model = problem.model.fingerprint
        machine = problem.machine.fingerprint
        isMeasured = problem.machine.isMeasured
        nodes = zip(problem.machine.nodes, problem.reservedBytes).map {
            Node(id: $0.id, workers: $0.workers, capacity: $0.capacity, bandwidth: $0.bandwidth, reservedBytes: $1)
        }
        layers = problem.layers
        windows = Windows(halves)
        layerBoundSeconds = problem.bound(halves.heldOut)
        boundSeconds = layerBoundSeconds.reduce(0, +)
        denseSeconds = problem.denseSeconds
        otherSeconds = planner.otherSeconds
        self.results = results
        self.chosen = chosen
        tolerance = planner.tolerance
        func best(_ usesStatistics: Bool) -> Double? {
            results.filter { $0.policy.usesStatistics == usesStatistics }.compactMap(\.score?.placementSeconds).min()
        }
        if let without = best(false), let with = best(true) { statisticsGain = without / with }
    }

    /// What was chosen.
    public var choice: PolicyResult? { chosen.map { results[$0] } }

    /// Equal slices as capacity allows, as other engines do it: what to compare with.
    public var baseline: PolicyResult? { results.first { $0.policy == .capacitySliced } }

    /// Whether the chosen plan owes anything to the routing trace.
    public var needsStatistics: Bool { choice?.policy.usesStatistics ?? false }
}

extension PlanReport.Windows {
    fileprivate init(_ halves: WindowHalves) {
        switch halves.source {
        case .verified: (source, cutWidth) = ("verified", nil)
        case .cut(let width): (source, cutWidth) = ("cut", width)
        }
        available = halves.available
        training = halves.training.count
        heldOut = halves.heldOut.count
        rows = halves.training.rows + halves.heldOut.rows
        textsPerStep = halves.heldOut.textsPerStep
        rowsPerStep = Double(halves.heldOut.rows) / Double(halves.heldOut.count)
        tokensPerStep = halves.heldOut.tokensPerStep
    }
}

/// What one policy gives.
public struct PolicyResult: Sendable, Encodable {
    /// The policy.
    public var policy: PlacementPolicy
    /// Its plan, if it fits; not part of the JSON.
    public var plan: PlacementPlan?
    /// Why there is none.
    public var reason: String?
    /// What is missing where it does not fit.
    public var shortfalls: [Shortfall] = []
    /// What the plan would give.
    public var score: PolicyScore?

    init(policy: PlacementPolicy) { self.policy = policy }

    private enum CodingKeys: String, CodingKey { case policy, reason, shortfalls, score }
}

/// A plan's times and memory. Seconds are means of a held-out step unless said otherwise.
public struct PolicyScore: Sendable, Encodable, Equatable {
    /// Seconds for routed experts, pieces included, barriers not.
    public var expertSeconds: Double
    /// The same on the windows that the plan was made from: what a plan promises itself.
    public var trainingExpertSeconds: Double
    /// Seconds of the barriers that the plan needs.
    public var barrierSeconds: Double
    /// Expert seconds over the perfect bound, 1 or more.
    public var ratioToBound: Double
    /// Seconds of the whole step.
    public var stepSeconds: Double
    /// Tokens per second.
    public var tokensPerSecond: Double
    /// By node: bytes of everything that lies there.
    public var bytes: [Int]
    /// Bytes that second and further copies take, all nodes together.
    public var replicaBytes: Int
    /// By layer: seconds for routed experts.
    public var layerSeconds: [Double]
    /// By layer and node: part of the layer's time that the node is busy.
    public var nodeBusy: [[Double]]
    /// By layer: barriers.
    public var barriers: [Int]

    /// What the placement decides of a step: experts and barriers.
    public var placementSeconds: Double { expertSeconds + barrierSeconds }
}
