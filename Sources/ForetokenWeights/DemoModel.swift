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

    /// The prompts to measure the demonstration model with, none of them from its training text: JSON lines
    /// `{"id", "domain", "prompt"}` in UTF-8, 16 for each of the domains `code`, `tests` and `prose`. The ids are unique
    /// and name the source, `package/path#offset`; the prompts are raw text without BOS, about 64 tokens each.
    public static var demoSuite: [UInt8] {
        var count = 0
        let bytes = foretoken_demo_suite(&count)
        return Array(UnsafeBufferPointer(start: bytes, count: count))
    }
}
