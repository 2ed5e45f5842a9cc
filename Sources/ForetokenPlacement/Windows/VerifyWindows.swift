/// An expert that a window reads in one layer, and how many of the window's rows it serves.
public struct ExpertUse: Sendable, Equatable, BitwiseCopyable {
    /// Its id.
    public var expert: UInt16
    /// Rows of the window that chose it, 1 or more.
    public var rows: UInt16

    /// A use; see the fields.
    public init(expert: UInt16, rows: UInt16) {
        self.expert = expert
        self.rows = rows
    }
}

/// What steps read: by layer and window the distinct experts of all rows that ran together, of one text or of several.
public struct VerifyWindows: Sendable, Equatable {
    /// One layer's windows, one behind the other.
    public struct Layer: Sendable, Equatable {
        /// Where each window begins in `uses`, and at last where all end: count + 1 entries.
        public var starts: [Int32]
        /// Experts in ascending order within a window.
        public var uses: [ExpertUse]

        /// A layer; see the fields.
        public init(starts: [Int32] = [0], uses: [ExpertUse] = []) {
            self.starts = starts
            self.uses = uses
        }

        /// The experts of one window.
        public subscript(window: Int) -> ArraySlice<ExpertUse> {
            uses[Int(starts[window])..<Int(starts[window + 1])]
        }

        /// Evenly chosen windows, at most so many.
        func thinned(to limit: Int) -> Layer {
            let count = starts.count - 1
            guard count > limit else { return self }
            var kept = Layer()
            for index in 0..<limit {
                kept.uses += self[index * count / limit]
                kept.starts.append(Int32(kept.uses.count))
            }
            return kept
        }
    }

    /// Decoder layers, ascending.
    public var layerNumbers: [Int]
    /// Routed experts a layer.
    public var expertCount: Int
    /// By layer.
    public var layers: [Layer]
    /// Windows, the same in every layer.
    public var count: Int
    /// Texts of all windows: those that shared a step are counted each.
    public var texts: Int
    /// Rows of all windows.
    public var rows: Int
    /// Tokens that the windows' steps gave; see `WindowSource`.
    public var tokens: Int

    /// Windows; see the fields.
    /// - Parameter texts: nil for one in each window.
    public init(
        layerNumbers: [Int], expertCount: Int, layers: [Layer], count: Int, texts: Int? = nil, rows: Int, tokens: Int
    ) {
        self.layerNumbers = layerNumbers
        self.expertCount = expertCount
        self.layers = layers
        self.count = count
        self.texts = texts ?? count
        self.rows = rows
        self.tokens = tokens
    }

    /// Evenly chosen windows, at most so many; none of what is counted over all of them.
    func thinned(to limit: Int) -> VerifyWindows {
        var kept = self
        kept.layers = layers.map { $0.thinned(to: limit) }
        kept.count = min(count, limit)
        return kept
    }

    /// No windows at all: what policies get that need no trace.
    public static func none(layers: [Int], expertCount: Int) -> VerifyWindows {
        VerifyWindows(
            layerNumbers: layers, expertCount: expertCount, layers: layers.map { _ in Layer() }, count: 0, rows: 0,
            tokens: 0)
    }
}

/// Where windows come from, and with that what a step's tokens are.
public enum WindowSource: Sendable, Equatable {
    /// Windows as drafts were verified. A step gives one token for each of its texts and every draft that held.
    case verified
    /// Prompts' rows, cut into windows of so many consecutive rows, for want of verified ones. Nothing says which drafts
    /// would have held, so a step counts as one token.
    case cut(width: Int)
}

/// A trace's windows in two halves: plans are made from one and judged by the other.
public struct WindowHalves: Sendable, Equatable {
    /// What plans are made from.
    public var training: VerifyWindows
    /// What they are judged by.
    public var heldOut: VerifyWindows
    /// Where both come from.
    public var source: WindowSource
    /// Windows that the trace has; more than both halves together where it was thinned out.
    public var available: Int
}
