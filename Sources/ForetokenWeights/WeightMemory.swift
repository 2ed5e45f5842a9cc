import ForetokenHardware

/// A region of the model's memory.
enum WeightRegion: Equatable {
    /// What never moves, on a node.
    case fixed(Int)
    /// Routed experts on a node.
    case experts(Int)

    var node: Int {
        switch self {
        case .fixed(let node), .experts(let node): node
        }
    }

    /// Tells regions apart.
    var tag: Int {
        switch self {
        case .fixed(let node): 2 * node
        case .experts(let node): 2 * node + 1
        }
    }
}

/// Something for every region of the model's memory.
struct WeightRegions<Element> {
    /// By node.
    var fixed: [Element]
    /// By node.
    var experts: [Element]

    init(repeating element: Element, nodes: Int) {
        fixed = .init(repeating: element, count: nodes)
        experts = fixed
    }

    init(fixed: [Element], experts: [Element]) {
        self.fixed = fixed
        self.experts = experts
    }

    subscript(region: WeightRegion) -> Element {
        get {
            switch region {
            case .fixed(let node): fixed[node]
            case .experts(let node): experts[node]
            }
        }
        set {
            switch region {
            case .fixed(let node): fixed[node] = newValue
            case .experts(let node): experts[node] = newValue
            }
        }
    }
}

extension WeightRegions<Int> {
    /// All of them together.
    var sum: Int { fixed.reduce(0, +) + experts.reduce(0, +) }
}

/// Memory of one expert's part on a node.
struct ExpertBlock {
    let node: Int
    let base: UnsafeMutableRawPointer
    let byteCount: Int
}
