import ForetokenHardware
import ForetokenWeights

/// What hosts load together.
package struct SharedLoading: Sendable, Equatable {
    /// How large matrices are kept.
    package var format: ResidentFormat
    /// Memory that each host needs besides its weights.
    package var workingBytes: Int
    /// What for, in words that follow "weights, ".
    package var reserved: String

    /// All of them; see the fields.
    package init(format: ResidentFormat, workingBytes: Int, reserved: String) {
        self.format = format
        self.workingBytes = workingBytes
        self.reserved = reserved
    }
}

/// What the leader wants of the other hosts while they have no model; while they have one, see `Follower`.
package enum HostOrder: Equatable, Sendable {
    /// Load a part of a model.
    case load(SharedLoading)
    /// End with that code.
    case end(code: Int32)

    /// Bytes that an order has at most.
    private static let room = 4096

    /// Tells all other hosts.
    package func send(over channel: any HostChannel) {
        var head = MessageHead(.end)
        var text = ""
        switch self {
        case .load(let wanted):
            head = MessageHead(.load)
            text = "\(wanted.format.rawValue)\n\(wanted.workingBytes)\n\(wanted.reserved.prefix(1000))"
        case .end(let code): head.rows = code
        }
        let bytes = withUnsafeBytes(of: head) { Array($0) } + Array(text.utf8)
        bytes.withUnsafeBytes { channel.lead($0) }
    }

    /// Waits for the leader's next order.
    /// - Throws: `HardwareError` for what is none, as another version's leader may send.
    package static func receive(over channel: any HostChannel) throws -> HostOrder {
        let memory = try ScratchBuffer<UInt8>(count: room)
        let count = channel.follow(into: UnsafeMutableRawBufferPointer(memory.elements))
        let size = MemoryLayout<MessageHead>.size
        guard count >= size else { throw HardwareError(.system, "the leader sent an order of \(count) bytes") }
        let head = UnsafeRawPointer(memory.pointer).loadUnaligned(as: MessageHead.self)
        if head.kind == MessageKind.end.rawValue { return .end(code: head.rows) }
        let parts = String(decoding: memory.elements[size..<count], as: UTF8.self)
            .split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard head.kind == MessageKind.load.rawValue, parts.count == 3,
            let format = ResidentFormat(rawValue: String(parts[0])), let bytes = Int(parts[1])
        else { throw HardwareError(.system, "the leader sent an order that is unknown here, \(head.kind)") }
        return .load(SharedLoading(format: format, workingBytes: bytes, reserved: String(parts[2])))
    }
}
