/// A parsed expression. Every character of it, and every class, is a set of scalars.
indirect enum PatternNode {
    /// One scalar of the set.
    case scalar(ScalarSet)
    case sequence([PatternNode])
    /// The first alternative that lets the whole match wins.
    case choice([PatternNode])
    /// `most` is nil for "without end".
    case repetition(PatternNode, least: Int, most: Int?, Manner)
    /// Whether the node matches here, without taking anything.
    case lookahead(PatternNode, negated: Bool)
    /// Whether the scalar before is in the set; nothing is before the text's first.
    case lookbehind(ScalarSet, negated: Bool)
    /// Takes the node's first match and never comes back for another.
    case atomic(PatternNode)
    case anchor(Anchor)

    /// What a repetition tries first, and whether it gives anything back.
    enum Manner {
        case greedy, lazy, possessive
    }

    enum Anchor {
        case lineStart, lineEnd, textStart, textEnd
        /// The end, or before a line feed that is the last character.
        case lastLineEnd
    }

    /// Which scalars can come first or last in a match, and whether it can be empty.
    struct Edge {
        var scalars = ScalarSet()
        var mayBeEmpty = true
    }

    /// The first scalars. What asks about its surroundings counts as empty or anything, which promises nothing.
    var start: Edge { edge(reversed: false) }
    var end: Edge { edge(reversed: true) }

    private func edge(reversed: Bool) -> Edge {
        switch self {
        case .scalar(let set): return Edge(scalars: set, mayBeEmpty: false)
        case .sequence(let nodes):
            var edge = Edge()
            for node in reversed ? nodes.reversed() : nodes where edge.mayBeEmpty {
                let next = node.edge(reversed: reversed)
                edge = Edge(scalars: edge.scalars.union(next.scalars), mayBeEmpty: next.mayBeEmpty)
            }
            return edge
        case .choice(let nodes):
            let edges = nodes.map { $0.edge(reversed: reversed) }
            return Edge(
                scalars: edges.reduce(ScalarSet()) { $0.union($1.scalars) },
                mayBeEmpty: edges.contains { $0.mayBeEmpty })
        case .repetition(let node, let least, _, _):
            let edge = node.edge(reversed: reversed)
            return Edge(scalars: edge.scalars, mayBeEmpty: edge.mayBeEmpty || least == 0)
        case .atomic(let node): return node.edge(reversed: reversed)
        case .lookahead, .lookbehind, .anchor: return Edge(scalars: .all, mayBeEmpty: true)
        }
    }

    /// Whether it matches at every place, if only emptily.
    var alwaysMatches: Bool {
        switch self {
        case .scalar, .lookahead, .lookbehind, .anchor: false
        case .sequence(let nodes): nodes.allSatisfy(\.alwaysMatches)
        case .choice(let nodes): nodes.contains { $0.alwaysMatches }
        case .repetition(let node, let least, _, _): least == 0 || node.alwaysMatches
        case .atomic(let node): node.alwaysMatches
        }
    }

    /// Whether it, or an alternative of it, only asks about its surroundings.
    var isAssertion: Bool {
        switch self {
        case .lookahead, .lookbehind, .anchor: true
        case .choice(let nodes): nodes.contains { $0.isAssertion }
        case .sequence(let nodes): !nodes.isEmpty && nodes.allSatisfy(\.isAssertion)
        default: false
        }
    }
}

/// What comes after a node in the whole expression, as far as it is known.
struct PatternFollow {
    var edge: PatternNode.Edge
    /// Whether the rest matches at every place.
    var alwaysMatches: Bool

    /// Nothing: the match is complete.
    static let end = PatternFollow(edge: .init(), alwaysMatches: true)

    /// What follows, when `node` stands before this.
    func preceded(by node: PatternNode) -> PatternFollow {
        let start = node.start
        return PatternFollow(
            edge: .init(
                scalars: start.mayBeEmpty ? start.scalars.union(edge.scalars) : start.scalars,
                mayBeEmpty: start.mayBeEmpty && edge.mayBeEmpty),
            alwaysMatches: node.alwaysMatches && alwaysMatches)
    }
}
