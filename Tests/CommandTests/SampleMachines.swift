import ForetokenTestSupport

/// Topology files and traces of machines and models that nobody has here.
enum SampleMachines {
    /// Two equal nodes with room for the demonstration model many times over.
    static let twoSockets = """
        {"nodes": [{"id": 0, "cpus": [0, 1, 2, 3], "memory_bytes": 8000000000},
                   {"id": 1, "cpus": [4, 5, 6, 7], "memory_bytes": 8000000000}],
         "distance": [[10, 21], [21, 10]], "read_gbps": [[200, 70], [70, 200]]}
        """

    /// A memory-only node beside them.
    static let slowThirdNode = """
        {"nodes": [{"id": 0, "cpus": [0, 1, 2, 3], "memory_bytes": 8000000000},
                   {"id": 1, "cpus": [4, 5, 6, 7], "memory_bytes": 8000000000},
                   {"id": 2, "cpus": [], "memory_bytes": 8000000000}],
         "distance": [[10, 21, 14], [21, 10, 24], [14, 24, 10]], "read_gbps": [[200, 70, 60], [70, 200, 40]]}
        """

    /// Two nodes too small for anything.
    static let tooSmall = """
        {"nodes": [{"id": 0, "cpus": [0], "memory_bytes": 2000000}, {"id": 1, "cpus": [1], "memory_bytes": 2000000}],
         "distance": [[10, 21], [21, 10]], "read_gbps": [[20, 7], [7, 20]]}
        """

    /// Two nodes of a large server.
    static let large = """
        {"nodes": [{"id": 0, "cpus": [0, 1, 2, 3, 4, 5, 6, 7], "memory_bytes": 500000000000},
                   {"id": 1, "cpus": [8, 9, 10, 11, 12, 13, 14, 15], "memory_bytes": 500000000000}],
         "distance": [[10, 21], [21, 10]], "read_gbps": [[250, 70], [70, 250]]}
        """

    /// Windows of two rows with random experts behind some layers without any.
    static func textTrace(layers: Int, dense: Int, experts: Int, chosen: Int, windows: Int = 40) -> String {
        var random = SeededGenerator(seed: 11)
        let none = [String](repeating: "[]", count: dense)
        return (0..<windows * 2).map { row in
            let lists = (0..<layers).map { _ in
                "[" + (0..<experts).shuffled(using: &random).prefix(chosen).map(String.init).joined(separator: ",")
                    + "]"
            }
            return
                "{\"round\":\(row / 2),\"row\":\(row % 2),\"domain\":\"code\",\"layers\":[\((none + lists).joined(separator: ","))]}\n"
        }.joined()
    }
}
