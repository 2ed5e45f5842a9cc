import CForetokenSystem

/// Giving a file or folder its final name without taking that of another.
public enum ExclusiveRename {
    /// Renames what lies at `path`, unless something has the new name already.
    /// - Returns: 0, or an `errno` value; EEXIST where the name is taken, by an empty folder too.
    public static func rename(_ path: String, to name: String) -> Int32 { foretoken_rename_exclusive(path, name) }
}
