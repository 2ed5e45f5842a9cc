/// Where one expert's weights lie: one copy or several, each whole on a node or cut over some.
public struct ExpertPlacement: Sendable, Hashable {
    /// A part of one copy on one node.
    public struct Part: Sendable, Hashable {
        /// Index into the plan's nodes.
        public var node: Int
        /// Its weight among the copy's parts: the output rows of all three matrices are divided in these proportions, in
        /// the order of the parts, and the cuts are rounded to whole panels. 1 or more.
        public var share: Int

        /// A part; see the fields.
        public init(node: Int, share: Int) {
            self.node = node
            self.share = share
        }
    }

    /// Copies in order of preference, each with parts on distinct nodes in ascending order; never empty.
    public var copies: [[Part]]

    /// A placement; see the field.
    public init(copies: [[Part]]) { self.copies = copies }

    /// Whole on one node.
    public static func whole(_ node: Int) -> ExpertPlacement { .init(copies: [[Part(node: node, share: 1)]]) }

    /// Cut into equal parts over some nodes.
    public static func sliced(_ nodes: [Int]) -> ExpertPlacement {
        .init(copies: [nodes.map { Part(node: $0, share: 1) }])
    }

    /// Whole on each of several nodes; a step takes the copy of the least loaded one.
    public static func mirrored(_ nodes: [Int]) -> ExpertPlacement {
        .init(copies: nodes.map { [Part(node: $0, share: 1)] })
    }

    /// Cut with the given weights, one a node; nodes with weight 0 get nothing.
    public static func shares(_ weights: [Int]) -> ExpertPlacement {
        .init(copies: [weights.indices.filter { weights[$0] > 0 }.map { Part(node: $0, share: weights[$0]) }])
    }

    /// The panels of a matrix of `panels` panels that each part of `copy` holds, in order: contiguous, together all of
    /// them. Loader, planner and simulator cut here and nowhere else.
    public static func cut(_ copy: [Part], panels: Int) -> [Range<Int>] {
        let total = copy.reduce(0) { $0 + $1.share }
        var passed = 0
        return copy.map { part in
            let first = (panels * passed + total / 2) / total
            passed += part.share
            return first..<(panels * passed + total / 2) / total
        }
    }
}
