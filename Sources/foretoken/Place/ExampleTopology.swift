import ArgumentParser

/// Machines to edit into one's own.
enum ExampleTopology: String, ExpressibleByArgument, CaseIterable {
    case twoSockets = "two-sockets"
    case twoSocketsCXL = "two-sockets-cxl"
    case fourNodes = "four-nodes"

    /// A topology file. Bandwidths are what such machines usually reach, not measurements of one.
    var json: String {
        switch self {
        case .twoSockets:
            // Two sockets with twelve channels of DDR5-4800 each.
            """
            {
              "nodes": [
                {"id": 0, "cpus": "0-63", "memory_bytes": 412316860416},
                {"id": 1, "cpus": "64-127", "memory_bytes": 412316860416}
              ],
              "distance": [
                [10, 32],
                [32, 10]
              ],
              "read_gbps": [
                [380, 120],
                [120, 380]
              ]
            }

            """
        case .twoSocketsCXL:
            // The same with less memory, and an expander of eight PCIe 5.0 lanes at the first socket.
            """
            {
              "nodes": [
                {"id": 0, "cpus": "0-63", "memory_bytes": 274877906944},
                {"id": 1, "cpus": "64-127", "memory_bytes": 274877906944},
                {"id": 2, "cpus": "", "memory_bytes": 274877906944}
              ],
              "distance": [
                [10, 32, 50],
                [32, 10, 60],
                [50, 60, 10]
              ],
              "read_gbps": [
                [380, 120, 24],
                [120, 380, 20]
              ]
            }

            """
        case .fourNodes:
            // One socket that is divided into four nodes (NPS4) with three channels of DDR5-4800 each.
            """
            {
              "nodes": [
                {"id": 0, "cpus": "0-15", "memory_bytes": 206158430208},
                {"id": 1, "cpus": "16-31", "memory_bytes": 206158430208},
                {"id": 2, "cpus": "32-47", "memory_bytes": 206158430208},
                {"id": 3, "cpus": "48-63", "memory_bytes": 206158430208}
              ],
              "distance": [
                [10, 12, 12, 12],
                [12, 10, 12, 12],
                [12, 12, 10, 12],
                [12, 12, 12, 10]
              ],
              "read_gbps": [
                [95, 80, 80, 80],
                [80, 95, 80, 80],
                [80, 80, 95, 80],
                [80, 80, 80, 95]
              ]
            }

            """
        }
    }

    /// The name as it is given, for `--help`.
    static let names = allCases.map(\.rawValue).joined(separator: "|")
}
