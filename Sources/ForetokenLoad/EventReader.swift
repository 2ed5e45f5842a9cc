/// Cuts a stream of server-sent events.
package struct EventReader {
    /// Comments so far: they keep connections open and say nothing.
    package private(set) var comments = 0
    private var line: [UInt8] = []
    private var data: [UInt8]?
    private var hasCarriageReturn = false

    package init() {}

    /// Most bytes of a line or an event.
    package static let mostBytes = 4 << 20

    /// Takes bytes as they come.
    /// - Returns: the data of events that ended in them.
    package mutating func read(_ bytes: some Sequence<UInt8>) throws(LoadError) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\n"):
                // The second half of CR LF.
                if !hasCarriageReturn { endLine(&events) }
                hasCarriageReturn = false
            case UInt8(ascii: "\r"):
                endLine(&events)
                hasCarriageReturn = true
            default:
                hasCarriageReturn = false
                line.append(byte)
                if line.count + (data?.count ?? 0) > Self.mostBytes {
                    throw LoadError("an event has more than \(Self.mostBytes) bytes")
                }
            }
        }
        return events
    }

    private mutating func endLine(_ events: inout [[UInt8]]) {
        defer { line.removeAll(keepingCapacity: true) }
        if line.isEmpty {
            if let data { events.append(data) }
            data = nil
        } else if line[0] == UInt8(ascii: ":") {
            comments += 1
        } else if line.starts(with: "data:".utf8) {
            var value = line[5...]
            if value.first == UInt8(ascii: " ") { value.removeFirst() }
            data = data.map { $0 + [UInt8(ascii: "\n")] + value } ?? Array(value)
        }
    }
}
