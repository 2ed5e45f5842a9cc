import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenWeights

extension Model {
    /// A model from a folder, on an unpinned pool.
    /// - Parameters:
    ///   - nodes: the nodes to cut weights for; workers are `threads` in equal teams, one a node with workers.
    ///   - placement: where experts lie.
    public static func load(
        _ directory: String, threads: Int = 2, instructionSet: String? = nil,
        format: ResidentFormat = .stored, nodes: NodeLayout = .single, placement: PlacementPlan? = nil
    ) throws -> Model {
        try load(
            directory, threads: threads, instructionSet: instructionSet, format: format, nodes: nodes,
            placement: placement, host: .whole, channel: nil)
    }

    /// The same of a part of the model that other hosts share.
    package static func load(
        _ directory: String, threads: Int, instructionSet: String? = nil, format: ResidentFormat, nodes: NodeLayout,
        placement: PlacementPlan? = nil, host: HostShare, channel: (any HostChannel)?
    ) throws -> Model {
        let checkpoint = try Checkpoint(directory: directory)
        let teams = min(threads, nodes.teams.count)
        let sizes = (0..<teams).map { threads * ($0 + 1) / teams - threads * $0 / teams }
        let pool = try WorkerPool(threads: threads, teamSizes: sizes)
        let weights = try ModelWeights(
            checkpoint: checkpoint, layout: try WeightLayout(checkpoint), pool: pool, format: format, nodes: nodes,
            host: host, placement: placement)
        let others = try channel.map { try OtherHosts($0, host, checkpoint.configuration) }
        others?.begin()
        return try Model(weights: weights, pool: pool, instructionSet: instructionSet, others: others)
    }
}

extension NodeLayout {
    /// Nodes that exist in name only, all in the machine's memory wherever it is.
    /// - Parameter workers: by node; 0 makes one without CPUs.
    public static func madeUp(_ workers: [Int]) -> NodeLayout {
        NodeLayout(nodes: workers.map { Node(id: nil, workers: $0, bandwidth: $0 == 0 ? 3e10 : 1e11) })
    }
}

extension PlacementPlan {
    /// A plan for made-up nodes that places expert `e` of MoE layer `l` as `place(l, e)` says, in all main layers and MTP
    /// modules.
    public static func madeUp(
        _ configuration: ModelConfiguration, nodes: Int, policy: String = "test",
        _ place: (_ layer: Int, _ expert: Int) -> ExpertPlacement
    ) -> PlacementPlan {
        var layers: [Int: [ExpertPlacement]] = [:]
        for layer in configuration.denseLayerCount..<configuration.layerCount + configuration.mtpModuleCount {
            layers[layer] = (0..<configuration.routedExpertCount).map { place(layer, $0) }
        }
        return PlacementPlan(policy: policy, model: "", machine: "", nodes: Array(0..<nodes), layers: layers)
    }
}
