import CForetokenKernels

/// The output rows that are multiplied as a whole when a prompt is read (OpenBLAS fixes an element's bits only within one
/// shape of product), and so are never divided between workers or hosts.
public enum WideUnit {
    /// Panels of a unit.
    @inlinable public static var panels: Int { 4 }
    /// Output rows of a unit.
    @inlinable public static var rows: Int { panels * Int(FORETOKEN_PANEL_ROWS) }

    /// Heads that go together, so that their query rows fill whole units.
    /// - Parameter width: query rows of one head.
    static func heads(width: Int) -> Int {
        rows >> min(rows.trailingZeroBitCount, width.trailingZeroBitCount)
    }
}
