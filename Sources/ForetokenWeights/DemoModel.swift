import CForetokenDemo

extension Checkpoint {
    /// The demonstration model inside the executable: a DeepSeek-V3 miniature trained on Swift code and prose.
    /// - Throws: `CheckpointError`, should the embedded files be damaged.
    public static func demo() throws -> Checkpoint {
        let files = (0..<foretoken_demo_count()).map { index in
            var count = 0
            let bytes = foretoken_demo_bytes(index, &count)
            return (
                name: String(cString: foretoken_demo_name(index)),
                bytes: UnsafeRawBufferPointer(start: bytes, count: count)
            )
        }
        return try Checkpoint(embedded: files, label: "foretoken-demo")
    }
}
