/// What a placement must know of a machine: its memory nodes, how fast they are read, and what a piece of work costs.
public struct PlacementMachine: Sendable, Equatable, Codable {
    /// A node with memory.
    public struct Node: Sendable, Equatable, Codable {
        /// The system's number.
        public var id: Int
        /// Workers pinned to its CPUs; 0 for a memory-only node, which the other nodes' workers read.
        public var workers: Int
        /// Bytes that weights may take there, a margin for the system already taken off.
        public var capacity: Int
        /// Bytes per second at which it is read while all nodes are read at once.
        public var bandwidth: Double

        /// A node; see the fields.
        public init(id: Int, workers: Int, capacity: Int, bandwidth: Double) {
            self.id = id
            self.workers = workers
            self.capacity = capacity
            self.bandwidth = bandwidth
        }
    }

    /// Tells machines apart: nodes, CPUs and distances, not what is free now.
    public var fingerprint: String
    /// Nodes in ascending order of id; never empty, at least one with workers.
    public var nodes: [Node]
    /// Seconds that one piece (one expert's part on one node, in one phase) costs besides reading it.
    public var pieceSeconds: Double
    /// Seconds of one meeting of all workers.
    public var barrierSeconds: Double
    /// By rows of a window that one expert serves, from 1 on: its time over that of one row. Rows past the end cost as
    /// much as the last.
    public var rowCost: [Double]
    /// Whether the figures were measured here; false for those of a description.
    public var isMeasured: Bool
    /// How far nodes are from each other as the firmware tells it [node][node], 10 for a node itself; nil where unknown.
    public var distances: [[Int]]?

    /// Bytes per second that all workers together read from their own nodes.
    public var readersBandwidth: Double { nodes.filter { $0.workers > 0 }.reduce(0) { $0 + $1.bandwidth } }

    /// A machine; see the fields.
    public init(
        fingerprint: String, nodes: [Node], pieceSeconds: Double, barrierSeconds: Double, rowCost: [Double] = [1],
        isMeasured: Bool = false, distances: [[Int]]? = nil
    ) {
        self.fingerprint = fingerprint
        self.nodes = nodes
        self.pieceSeconds = pieceSeconds
        self.barrierSeconds = barrierSeconds
        self.rowCost = rowCost
        self.isMeasured = isMeasured
        self.distances = distances
    }
}
