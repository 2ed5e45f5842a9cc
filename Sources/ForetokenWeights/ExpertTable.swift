/// One copy of a routed expert: down( silu(gate x) ⊙ up x ). Gate and up are cut alike.
public struct ExpertCopy: BitwiseCopyable, @unchecked Sendable {
    /// [intermediate, hidden]
    public let gate: Linear
    /// [intermediate, hidden]
    public let up: Linear
    /// [hidden, intermediate]
    public let down: Linear
    /// Whether it is cut like the weights that every step reads, so that each group of workers needs only its own part of
    /// the outputs.
    public let isCutEvenly: Bool
}

/// The copies of one routed expert.
public struct ExpertEntry: BitwiseCopyable, @unchecked Sendable {
    /// First copy.
    public let copies: UnsafePointer<ExpertCopy>
    /// Number of copies, one or more.
    public let copyCount: Int
}

/// The routed experts of one layer, in ascending id. Entries change only while no step runs.
public struct ExpertTable: @unchecked Sendable {
    /// First entry.
    public let entries: UnsafeMutablePointer<ExpertEntry>
    /// Number of experts.
    public let count: Int

    /// The copies of expert `i`, unchecked.
    @inline(__always)
    public subscript(i: Int) -> ExpertEntry { entries[i] }
}
