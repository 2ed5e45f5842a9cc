/// What a routing trace is about: the model and its layers. A trace file begins with it.
public struct RoutingTraceHeader: Sendable, Equatable {
    /// Fingerprint of the model that routed; "" where it is unknown.
    public let model: String
    /// Decoder layers with routed experts, ascending.
    public let layers: [Int]
    /// Routed experts a layer.
    public let expertCount: Int
    /// Experts of a row in a layer.
    public let expertsPerToken: Int

    static let magic: [UInt8] = [0x89] + Array("FTRT\r\n".utf8) + [0x1A]
    /// What is written. Version 1 is read as well.
    static let version = 2
    static let oldestVersion = 1
    static let mostLayers = 10_000
    static let mostExperts = 65_536
    /// Experts of all layers together; statistics count each.
    static let mostLayerExperts = 1 << 22
    static let longestModel = 64
    /// Far more than any model needs; keeps a record of the most rows below 2^31 bytes.
    static let mostRowBytes = 1 << 19
    private static let fixedCount = magic.count + 8
    private static let shortest = fixedCount + 1 + 12 + 2 + 4

    /// A header; see the fields.
    /// - Throws: `PlacementError` for sizes that no model has or a file cannot hold.
    public init(model: String, layers: [Int], expertCount: Int, expertsPerToken: Int) throws {
        func require(_ isGood: Bool, _ complaint: @autoclosure () -> String) throws {
            if !isGood { throw PlacementError("a routing trace cannot have \(complaint())") }
        }
        try require(
            model.utf8.count <= Self.longestModel && model.utf8.allSatisfy { 0x21...0x7E ~= $0 },
            "such a model fingerprint; it takes at most \(Self.longestModel) visible ASCII characters")
        try require(!layers.isEmpty, "no layers: this model has no routed experts")
        try require(layers.count <= Self.mostLayers, "\(layers.count) layers; at most \(Self.mostLayers) are possible")
        try require(
            zip(layers, layers.dropFirst()).allSatisfy { $0 < $1 } && 0 <= layers[0] && layers.last! <= 0xFFFF,
            "layers that are not ascending within 0...65535")
        try require(
            1...Self.mostExperts ~= expertCount, "\(expertCount) experts a layer; 1...\(Self.mostExperts) are possible")
        try require(
            1...expertCount ~= expertsPerToken, "\(expertsPerToken) experts a token of the \(expertCount) there are")
        try require(
            layers.count * expertCount <= Self.mostLayerExperts,
            "\(layers.count * expertCount) experts in all layers; at most \(Self.mostLayerExperts) are possible")
        self.model = model
        self.layers = layers
        self.expertCount = expertCount
        self.expertsPerToken = expertsPerToken
        try require(
            idBytes(rows: 1) <= Self.mostRowBytes,
            "rows of \(idBytes(rows: 1)) bytes (\(layers.count) layers, \(expertsPerToken) experts a token); at most "
                + "\(Self.mostRowBytes) are possible")
    }

    /// Bits of an expert id: enough for the largest, and at least one.
    var idBits: Int { max(1, Int.bitWidth - (expertCount - 1).leadingZeroBitCount) }

    /// Expert ids of a row in all layers.
    var idsPerRow: Int { layers.count * expertsPerToken }

    /// Bytes of the ids of so many rows.
    func idBytes(rows: Int) -> Int { (rows * idsPerRow * idBits + 7) / 8 }

    // MARK: Bytes

    /// The header as a file begins with it.
    public var bytes: [UInt8] {
        var body: [UInt8] = [UInt8(model.utf8.count)] + Array(model.utf8)
        for number in [expertCount, expertsPerToken, layers.count] { body.append(littleEndian: UInt32(number)) }
        for layer in layers { body.append(littleEndian: UInt16(layer)) }
        var bytes = Self.magic
        bytes.append(littleEndian: UInt32(Self.version))
        bytes.append(littleEndian: UInt32(Self.fixedCount + body.count + 4))
        bytes += body
        bytes.append(littleEndian: Self.checksum(bytes[...]))
        return bytes
    }

    /// Whether these bytes are what writing this header leaves when it is cut off.
    public func isBegun(by bytes: [UInt8]) -> Bool { bytes.count < self.bytes.count && self.bytes.starts(with: bytes) }

    /// Why a file that begins otherwise is refused.
    static let noTrace = PlacementError(
        "it does not begin as a routing trace does; traces are made by --record-routing")

    /// Reads the header at the beginning of a file.
    /// - Returns: the header, its size in bytes, and the file's version.
    /// - Throws: `PlacementError` when this is no trace, of another version, damaged or impossible.
    static func read(_ bytes: [UInt8]) throws -> (header: RoutingTraceHeader, count: Int, version: Int) {
        guard bytes.starts(with: magic) else {
            throw noTrace
        }
        guard bytes.count >= shortest else {
            throw PlacementError("the trace ends inside its header, after \(bytes.count) bytes; record it anew")
        }
        let stated = Int(bytes.number(at: magic.count, UInt32.self))
        guard oldestVersion...version ~= stated else {
            throw PlacementError(
                "the trace is of version \(stated), but this program reads versions \(oldestVersion) to \(version)")
        }
        let count = Int(bytes.number(at: magic.count + 4, UInt32.self))
        guard shortest...shortest + longestModel + 2 * mostLayers ~= count, count <= bytes.count,
            bytes.number(at: count - 4, UInt32.self) == checksum(bytes[..<(count - 4)])
        else { throw PlacementError("the trace's header is damaged; record it anew") }
        return (try RoutingTraceHeader(body: Array(bytes[fixedCount..<count - 4])), count, stated)
    }

    /// The part between the fixed fields and the checksum.
    private init(body: [UInt8]) throws {
        let modelEnd = 1 + Int(body[0])
        guard modelEnd + 12 <= body.count else {
            throw PlacementError("the trace's header has no room for its fields; record it anew")
        }
        let numbers = (0..<3).map { Int(body.number(at: modelEnd + 4 * $0, UInt32.self)) }
        guard modelEnd + 12 + 2 * numbers[2] == body.count else {
            throw PlacementError("the trace's header has no room for \(numbers[2]) layers; record it anew")
        }
        try self.init(
            model: String(decoding: body[1..<modelEnd], as: UTF8.self),
            layers: (0..<numbers[2]).map { Int(body.number(at: modelEnd + 12 + 2 * $0, UInt16.self)) },
            expertCount: numbers[0], expertsPerToken: numbers[1])
    }

    /// FNV-1a, both halves of it together.
    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var hash = FNV1a()
        bytes.withUnsafeBytes { hash.add($0) }
        return UInt32(truncatingIfNeeded: hash.value ^ hash.value >> 32)
    }
}

extension RoutingTrace {
    /// What the trace is about.
    /// - Throws: `PlacementError` for sizes that a file cannot hold.
    public func header() throws -> RoutingTraceHeader {
        try RoutingTraceHeader(
            model: model, layers: layers, expertCount: expertCount, expertsPerToken: expertsPerToken)
    }

    /// A trace without rows.
    public init(_ header: RoutingTraceHeader) {
        self.init(
            model: header.model, layers: header.layers, expertCount: header.expertCount,
            expertsPerToken: header.expertsPerToken)
    }
}

extension [UInt8] {
    mutating func append<Number: FixedWidthInteger & UnsignedInteger>(littleEndian number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    /// The number whose bytes, lowest first, begin at `offset`.
    func number<Number: FixedWidthInteger & UnsignedInteger>(at offset: Int, _: Number.Type) -> Number {
        var number: Number = 0
        for i in (0..<Number.bitWidth / 8).reversed() { number = number << 8 | Number(self[offset + i]) }
        return number
    }
}
