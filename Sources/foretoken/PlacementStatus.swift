import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenWeights

/// Where a model's weights were meant to lie on this machine's nodes, and where they do.
struct PlacementStatus {
    /// Name of the plan's policy; nil when everything is cut over the nodes with workers.
    let policy: String?
    let census: PageCensus

    /// Less than this share in place is worth a warning.
    private static let expectedShare = 0.99

    /// Asks the system where the weights lie; nil on machines with one node.
    static func read(_ model: Model) throws -> PlacementStatus? {
        guard model.weights.nodes.isReal else { return nil }
        let status = PlacementStatus(policy: model.weights.placementPolicy, census: try model.weights.census())
        if status.census.onTargetFraction < expectedShare { Console.warning(status.sentence) }
        return status
    }

    /// "99.9 % of 1.2 GB lie on the nodes they are meant for".
    private var sentence: String {
        let caveat = census.caveat.map { " (\($0))" } ?? ""
        let bytes = Format.bytes(census.intendedBytes)
        let placed = Format.percent(census.onTargetFraction)
        return "\(placed) of \(bytes) of weights lie on the nodes they are meant for\(caveat)"
    }

    /// A line for each node, below an answer's statistics.
    func table(_ traffic: [NodeTraffic], rounds: Int, on terminal: Terminal) -> String {
        var table = Table([
            .init("node"), .init("weights", .right), .init("in place", .right), .init("read", .right),
            .init("remote", .right), .init("waited", .right),
        ])
        for node in traffic {
            let pages = census.nodes.first { $0.id == node.node }
            let intended = pages?.intendedBytes ?? 0
            table.add(
                node.node.map(String.init) ?? "", Format.bytes(intended),
                intended > 0 ? Format.percent(Double(pages?.onTargetBytes ?? 0) / Double(intended)) : "",
                rounds > 0 ? Format.bytes(node.readBytes / rounds) + " a round" : "",
                node.readBytes > 0 ? Format.percent(Double(node.remoteBytes) / Double(node.readBytes)) : "",
                node.workers > 0 ? Format.duration(nanoseconds: node.waitNanoseconds) : "no workers")
        }
        let name = policy?.printable ?? "cut over all nodes with workers"
        return "\n" + terminal.prose("placement: \(name); \(sentence)") + table.rendered(on: terminal)
    }
}

/// The same in JSON.
struct PlacementFigures: Encodable {
    struct Node: Encodable {
        let id: Int?
        let workers: Int
        let weight_bytes: Int
        let resident_bytes: Int
        let read_bytes: Int
        let remote_bytes: Int
        let wait_ms: Double
    }

    struct Residency: Encodable {
        let share: Double
        let intended_bytes: Int
        let unknown_bytes: Int
        let huge_page_bytes: Int?
        let caveat: String?
    }

    let policy: String?
    let residency: Residency
    let nodes: [Node]

    init(_ status: PlacementStatus, _ traffic: [NodeTraffic]) {
        let census = status.census
        policy = status.policy
        residency = Residency(
            share: census.onTargetFraction, intended_bytes: census.intendedBytes, unknown_bytes: census.unknownBytes,
            huge_page_bytes: census.hugePageBytes, caveat: census.caveat)
        nodes = traffic.map { node in
            let pages = census.nodes.first { $0.id == node.node }
            return Node(
                id: node.node, workers: node.workers, weight_bytes: pages?.intendedBytes ?? 0,
                resident_bytes: pages?.onTargetBytes ?? 0, read_bytes: node.readBytes, remote_bytes: node.remoteBytes,
                wait_ms: Double(node.waitNanoseconds) / 1e6)
        }
    }
}
