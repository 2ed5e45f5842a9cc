/// What a placement must know of a model: how many routed experts it has, how large they are, and what else a step reads.
public struct PlacementModel: Sendable, Equatable, Codable {
    /// Tells models apart: their shape and how their experts are kept in memory. Plans and traces are bound to it.
    public var fingerprint: String
    /// Decoder layers with routed experts, ascending; layers of MTP modules come after the main ones.
    public var layers: [Int]
    /// Routed experts a layer.
    public var expertCount: Int
    /// Experts that each token is sent to.
    public var expertsPerToken: Int
    /// Bytes of one expert's gate and up projections together: what the first phase reads.
    public var gateUpBytes: Int
    /// Bytes of one expert's down projection: what the second phase reads.
    public var downBytes: Int
    /// Places at which gate and up can be cut: panels of 32 output rows.
    public var gateUpPanels: Int
    /// Places at which down can be cut.
    public var downPanels: Int
    /// Bytes outside the routed experts that one step reads.
    public var denseBytesPerStep: Int
    /// Bytes outside the routed experts that lie in memory, caches and scratch included.
    public var denseBytes: Int

    /// A model; see the fields.
    public init(
        fingerprint: String, layers: [Int], expertCount: Int, expertsPerToken: Int, gateUpBytes: Int, downBytes: Int,
        gateUpPanels: Int, downPanels: Int, denseBytesPerStep: Int, denseBytes: Int
    ) {
        self.fingerprint = fingerprint
        self.layers = layers
        self.expertCount = expertCount
        self.expertsPerToken = expertsPerToken
        self.gateUpBytes = gateUpBytes
        self.downBytes = downBytes
        self.gateUpPanels = gateUpPanels
        self.downPanels = downPanels
        self.denseBytesPerStep = denseBytesPerStep
        self.denseBytes = denseBytes
    }

    /// Bytes of one routed expert.
    public var expertBytes: Int { gateUpBytes + downBytes }
}
