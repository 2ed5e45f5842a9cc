import ForetokenHardware
import ForetokenWeights

/// What verify steps read from one node, and what its workers waited for.
public struct NodeTraffic: Sendable, Equatable {
    /// The system's number; nil where weights were not put on a node.
    public let node: Int?
    /// Workers on the node; 0 for a memory-only one.
    public let workers: Int
    /// Bytes of weights that verify steps have read from it: dense ones, and routed experts in use.
    public internal(set) var readBytes = 0
    /// Bytes of these that workers of other nodes have read.
    public internal(set) var remoteBytes = 0
    /// Nanoseconds that its workers have waited for the slowest node, prompts and drafts included.
    public internal(set) var waitNanoseconds: Int64 = 0

    /// What has come since an earlier reading.
    public static func - (later: NodeTraffic, earlier: NodeTraffic) -> NodeTraffic {
        var difference = later
        difference.readBytes -= earlier.readBytes
        difference.remoteBytes -= earlier.remoteBytes
        difference.waitNanoseconds -= earlier.waitNanoseconds
        return difference
    }
}

/// How many verify steps there were, and how wide.
public struct WindowCounts: Sendable {
    /// Steps by their rows, 1 to 16.
    public internal(set) var byRows = InlineArray<17, Int>(repeating: 0)
    /// Distinct experts that they read, summed over steps and layers.
    public internal(set) var experts = 0

    /// None yet.
    public init() {}

    /// Steps of whatever width.
    public var steps: Int { byRows.indices.reduce(0) { $0 + byRows[$1] } }
    /// Rows of all steps.
    public var rows: Int { byRows.indices.reduce(0) { $0 + $1 * byRows[$1] } }
}

/// Counts the weights that verify steps read from each node. Chunks of prompts are not counted: they are bound by
/// arithmetic.
final class TrafficMeter {
    private let nodes: NodeLayout
    /// By node: expert bytes read, and those of them read from another node.
    private let read, remote: ScratchBuffer<Int>
    /// By node: bytes of dense weights that one step reads.
    private let densePerStep: [Int]
    private(set) var windows = WindowCounts()
    /// Whether a verify step is running: drafts read experts as well, but are no steps.
    private var isCounting = false

    init(_ weights: ModelWeights) throws {
        nodes = weights.nodes
        read = try ScratchBuffer(count: nodes.nodes.count)
        remote = try ScratchBuffer(count: nodes.nodes.count)
        densePerStep = weights.denseBytesPerStep
    }

    /// Counts a verify step's dense weights, and its experts until it ends.
    func beginStep(rows: Int) {
        windows.byRows[rows] += 1
        isCounting = true
    }

    func endStep() { isCounting = false }

    /// Counts what the copies chosen for one layer of a step are going to read.
    func count(_ assignment: ExpertAssignment) {
        guard isCounting else { return }
        windows.experts += assignment.activeCount
        guard nodes.isCut else { return }
        for i in 0..<assignment.activeCount {
            let copy = assignment.copies.pointer[i]
            count(copy.gate)
            count(copy.up)
            count(copy.down)
        }
    }

    private func count(_ linear: Linear) {
        for i in 0..<linear.partCount {
            let part = linear.parts[i]
            let bytes = part.matrix.byteCount
            read.pointer[Int(part.node)] += bytes
            if nodes.teams[Int(part.team)] != Int(part.node) { remote.pointer[Int(part.node)] += bytes }
        }
    }

    /// All figures so far.
    func reading(_ pool: WorkerPool) -> [NodeTraffic] {
        let (waits, steps) = (pool.teamWaits, windows.steps)
        return nodes.nodes.enumerated().map { index, node in
            var traffic = NodeTraffic(node: node.id, workers: node.workers)
            traffic.readBytes = read.pointer[index] + steps * densePerStep[index]
            traffic.remoteBytes = remote.pointer[index]
            let team = nodes.teams.firstIndex(of: index)
            traffic.waitNanoseconds = team.flatMap { waits.indices.contains($0) ? waits[$0] : nil } ?? 0
            return traffic
        }
    }
}
