import CForetokenKernels
import ForetokenPlacement

/// Which part of a model this host has. Hosts are one level above nodes: what a host has is cut further over its nodes.
public struct HostShare: Sendable, Equatable {
    /// How a model is divided over hosts.
    public enum Division: Sendable, Equatable {
        /// Every large matrix by output rows, in proportion to these shares of the hosts. Each host has the small ones
        /// (q_a_proj, kv_a_proj, router, indexer, norms).
        case rows([Int])
        /// By layers: host h has main layers `bounds[h] ..< bounds[h + 1]`, and host 0 also what lies outside of them.
        case layers([Int])
    }

    /// How the model is divided.
    public let division: Division
    /// This host's number, from 0. Host 0 leads: only it has the embedding, since it alone knows tokens.
    public let rank: Int

    /// The whole model on one host.
    public static let whole = HostShare(.rows([1]), rank: 0)

    /// A part; see the fields.
    public init(_ division: Division, rank: Int) {
        self.division = division
        self.rank = rank
        switch division {
        case .rows(let shares): precondition(shares.indices.contains(rank) && shares.reduce(0, +) > 0)
        case .layers(let bounds):
            precondition(rank >= 0 && rank + 1 < bounds.count && bounds.first == 0 && bounds == bounds.sorted())
        }
    }

    /// Number of hosts.
    public var count: Int {
        switch division {
        case .rows(let shares): shares.count
        case .layers(let bounds): bounds.count - 1
        }
    }

    /// A division by layers as near to the wanted bounds as a model allows: no host begins with a layer that uses what the
    /// layer before has chosen to attend to.
    public static func layers(_ bounds: [Int], of configuration: ModelConfiguration) -> Division {
        guard let sparse = configuration.sparseAttention else { return .layers(bounds) }
        let last = configuration.layerCount
        return .layers(
            bounds.map { bound in
                (0...bound).last { layer in
                    layer == 0 || layer == last
                        || sparse.indexerCount(layers: layer + 1) > sparse.indexerCount(layers: layer)
                } ?? 0
            })
    }

    /// The division in a few words: `rows 1:1`, `layers 0-30-61`.
    public var spelling: String {
        switch division {
        case .rows(let shares): "rows \(shares.map(String.init).joined(separator: ":"))"
        case .layers(let bounds): "layers \(bounds.map(String.init).joined(separator: "-"))"
        }
    }

    /// Whether there are other hosts.
    public var isPart: Bool { count > 1 }

    /// Whether matrices are cut by output rows.
    public var cutsRows: Bool {
        if case .rows = division { return isPart }
        return false
    }

    /// Whether host 0 has the whole model, and the others have nothing to do.
    public var leaderHasAll: Bool {
        guard case .layers(let bounds) = division else { return !isPart }
        return bounds[1] == bounds[count]
    }

    /// Which host has a main layer as a whole; nil where every host has a part of it.
    public func owner(ofLayer index: Int) -> Int? {
        guard case .layers(let bounds) = division else { return nil }
        return (0..<count).last { bounds[$0] <= index }
    }

    /// The main layers that this host has, or has a part of.
    /// - Parameter count: of the model.
    public func mainLayers(of count: Int) -> Range<Int> {
        guard case .layers(let bounds) = division else { return 0..<count }
        return bounds[rank]..<bounds[rank + 1]
    }

    /// Whether this host has at least a part of a decoder layer.
    /// - Parameters:
    ///   - index: of the layer; MTP modules' blocks come after the main layers.
    ///   - mainCount: main layers.
    func has(layer index: Int, mainCount: Int) -> Bool {
        guard case .layers = division else { return true }
        return index < mainCount ? owner(ofLayer: index) == rank : rank == 0
    }

    /// Where hosts' parts of a matrix begin, and the end.
    /// - Parameter panels: of the whole matrix.
    func panelBounds(_ panels: Int) -> [Int] { bounds(panels, unit: WideUnit.panels) }

    /// Where hosts' heads begin, and the end. Heads go together until their query rows fill whole units.
    /// - Parameter width: query rows of one head.
    public func headBounds(_ heads: Int, width: Int) -> [Int] {
        bounds(heads, unit: WideUnit.heads(width: width))
    }

    /// Where hosts' output rows begin, and the end.
    public func rowBounds(_ rows: Int) -> [Int] { bounds(rows, unit: WideUnit.rows) }

    private func bounds(_ count: Int, unit: Int) -> [Int] {
        // Of layers that this host has it has all.
        guard case .rows(let shares) = division else { return (0...self.count).map { $0 > rank ? count : 0 } }
        let parts = shares.enumerated().map { ExpertPlacement.Part(node: $0, share: $1) }
        let cut = ExpertPlacement.cut(parts, panels: (count + unit - 1) / unit)
        return [0] + cut.map { min(count, $0.upperBound * unit) }
    }
}

extension [Int] {
    /// The part between two neighbouring bounds.
    func part(_ index: Int) -> Range<Int> { self[index]..<self[index + 1] }
}
