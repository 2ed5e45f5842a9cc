import ForetokenHardware
import ForetokenWeights

/// Counts the bytes of routed experts that verify steps read from each node, and how many of them came from another node
/// than the reader's.
final class TrafficMeter {
    private let nodes: NodeLayout
    private let read: ScratchBuffer<Int>
    private let remote: ScratchBuffer<Int>

    init(_ nodes: NodeLayout) throws {
        self.nodes = nodes
        read = try ScratchBuffer(count: nodes.nodes.count)
        remote = try ScratchBuffer(count: nodes.nodes.count)
    }

    /// By node: bytes read.
    var readBytes: [Int] { Array(read.elements) }

    /// By node: bytes of it that workers of other nodes read.
    var remoteBytes: [Int] { Array(remote.elements) }

    /// Counts what the copies chosen for one step are going to read.
    func count(_ assignment: ExpertAssignment) {
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
            if nodes.groups[Int(part.group)] != Int(part.node) { remote.pointer[Int(part.node)] += bytes }
        }
    }
}
