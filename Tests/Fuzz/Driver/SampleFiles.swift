import ForetokenPlacement

/// Sound files of the planner.
enum SampleFiles {
    /// JSON Schemas with every keyword that grammars take.
    static let schemas = [
        ##"""
        {"$defs": {"node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 1]}, "minItems": 1, "maxItems": 3}}, "required": ["next"],
        "additionalProperties": false}}, "$ref": "#/$defs/node"}
        """##,
        #"""
        {"properties": {"id": {"type": "string", "pattern": "^[A-Z]{2}(-\d+)*$"}, "at": {"format": "date-time"}, "name":
        {"type": ["string", "null"], "maxLength": 9}, "pair": {"prefixItems": [{"type": "integer"}, {}], "items": false}, "kind":
        {"oneOf": [{"const": "x"}, {"type": "number"}]}}, "required": ["id"], "additionalProperties": {"type": "boolean"}}
        """#,
    ]

    static let topologies = [
        """
        {"nodes": [{"id": 2, "cpus": [], "memory_bytes": 512000000000},
                   {"id": 0, "cpus": [1, 0], "memory_bytes": 128000000000},
                   {"id": 1, "cpus": [2, 3], "memory_bytes": 64000000000}],
         "distance": [[10, 28, 38], [28, 10, 21], [38, 21, 10]],
         "read_gbps": [[30.5, 200, 60], [20, 61, 180]],
         "latency_ns": [[260, 95, 140], [330, 141, 96]]}
        """,
        """
        {"nodes": [{"id": 0, "cpus": [0, 1], "memory_bytes": 8000000000}, {"id": 1, "cpus": [2], "memory_bytes": 8000000000}],
         "distance": [[10, 21], [21, 10]], "read_gbps": [[200, 70], [70, 200]]}
        """,
    ]

    static let textTrace = (0..<12).map { row in
        let (one, two) = (row % 4, row % 3)
        return "{\"round\":\(row / 2),\"row\":\(row % 2),\"domain\":\"\(row < 6 ? "code" : "prose")\","
            + "\"layers\":[[],[\(one),\(one + 1)],[\(two),\(two + 2)]]}\n"
    }.joined()

    /// The same in steps of two texts.
    static let sharedTextTrace = (0..<12).map { row in
        let (one, two) = (row % 4, row % 3)
        return "{\"round\":\(row / 3),\"row\":\(row % 3 % 2),\"text\":\(row % 3 / 2),"
            + "\"layers\":[[],[\(one),\(one + 1)],[\(two),\(two + 2)]]}\n"
    }.joined()

    /// Recorded traces: prompts, rounds of two domains, and steps of two texts.
    static func traces() throws -> [[UInt8]] {
        var trace = try RoutingTrace(jsonLines: Array(textTrace.utf8), model: "0123456789abcdef", expertCount: 5)
        let whole = try RoutingTraceFile.bytes(of: trace)
        trace.kinds = trace.kinds.map { _ in .prompt }
        let shared = try RoutingTrace(jsonLines: Array(sharedTextTrace.utf8), expertCount: 5)
        return [whole, try RoutingTraceFile.bytes(of: trace), try RoutingTraceFile.bytes(of: shared)]
    }

    /// A trace file whose checksums fit its damaged content, as far as its sizes can be followed.
    static func resealed(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        func number(_ place: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) } }
        func seal(_ place: Int, _ covered: [UInt8]) {
            let hash = Checksum.of(covered)
            let sum = UInt32(truncatingIfNeeded: hash ^ hash >> 32)
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(byte))) }
        }
        guard bytes.count >= 20 else { return bytes }
        var place = number(12)
        guard 20...bytes.count ~= place else { return bytes }
        seal(place - 4, Array(bytes[..<(place - 4)]))
        while place + 9 <= bytes.count {
            let count = number(place + 1)
            guard count <= bytes.count - place - 9 else { break }
            seal(place + 5, Array(bytes[place..<place + 5] + bytes[(place + 9)..<(place + 9 + count)]))
            place += 9 + count
        }
        return bytes
    }
}

/// FNV-1a of whole files.
enum Checksum {
    static func of(_ bytes: [UInt8]) -> UInt64 {
        var hash = FNV1a()
        bytes.withUnsafeBytes { hash.add($0) }
        return hash.value
    }
}
