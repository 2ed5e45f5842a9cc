/// Where every routed expert's weights lie.
public struct PlacementPlan: Sendable, Equatable {
    /// Name of the policy that made it.
    public var policy: String
    /// `PlacementModel.fingerprint` of the model it was made for.
    public var model: String
    /// `PlacementMachine.fingerprint` of the machine it was made for.
    public var machine: String
    /// The system's numbers of the nodes that parts refer to by index.
    public var nodes: [Int]
    /// By decoder layer: a placement for each expert. Layers that are left out are cut evenly over all nodes with workers.
    public var layers: [Int: [ExpertPlacement]]

    /// A plan; see the fields.
    public init(
        policy: String, model: String, machine: String, nodes: [Int], layers: [Int: [ExpertPlacement]]
    ) {
        self.policy = policy
        self.model = model
        self.machine = machine
        self.nodes = nodes
        self.layers = layers
    }
}

/// A plan, trace or topology that cannot be used.
public struct PlacementError: Error, Sendable, CustomStringConvertible {
    /// What was expected, what was found, where, and what to do.
    public let description: String

    /// An error with its whole text.
    public init(_ description: String) { self.description = description }
}
