import Dispatch
import ForetokenJSON
import Glibc

/// Runs something that blocks on a thread of its own, so that no server's task has to wait for it.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "client").async { continuation.resume(with: Swift.Result { try body() }) }
    }
}

struct ClientError: Error { let what: String }

/// A connection that does what its user says, good or bad. Every call blocks.
final class Connection: @unchecked Sendable {
    private let descriptor: Int32
    private var isOpen = true
    /// What came and was not taken yet.
    private(set) var received: [UInt8] = []

    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        // A server that hangs must not hang the tests.
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw ClientError(what: "connect: errno \(errno)") }
    }

    deinit { if isOpen { Glibc.close(descriptor) } }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ClientError(what: "send: errno \(errno)") }
            sent += count
        }
    }

    /// Takes more of what comes; false at the end.
    func receive() throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count == 0 || count < 0 && errno == ECONNRESET { return false }
        guard count > 0 else { throw ClientError(what: "receive: errno \(errno)") }
        received += buffer[..<count]
        return true
    }

    /// Reads until the text has come; everything up to its end.
    func read(until text: String) throws -> String {
        let wanted = Array(text.utf8)
        while true {
            if let range = received.firstRange(of: wanted) {
                defer { received.removeFirst(range.upperBound) }
                return String(decoding: received[..<range.upperBound], as: UTF8.self)
            }
            guard try receive() else {
                throw ClientError(what: "the end came before \(text): \(String(decoding: received, as: UTF8.self))")
            }
        }
    }

    /// Reads to the end of the connection.
    func readAll() throws -> [UInt8] {
        while try receive() {}
        return received
    }

    /// Reads for two seconds, or until nothing comes: a small buffer may get its rest in drops.
    func readAvailable() -> [UInt8] {
        let end = ContinuousClock.now + .seconds(2)
        while ContinuousClock.now < end, (try? receive()) == true {}
        return received
    }

    func close() {
        isOpen = false
        Glibc.close(descriptor)
    }

    /// Goes without a good-bye: the peer gets a reset.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }
}

/// A whole response.
struct Response: Sendable {
    let status: Int
    /// By lower-case name.
    let headers: [String: String]
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSONValue { get throws { try JSONValue(body) } }

    /// The events of a stream, without "data: ".
    var events: [String] {
        text.split(separator: "\n\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }

    /// - Parameter bytes: everything that came on a connection that is closed now.
    init(_ bytes: [UInt8]) throws {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw ClientError(what: "no head in \(String(decoding: bytes, as: UTF8.self))")
        }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        status = Int(lines[0].split(separator: " ")[1]) ?? 0
        headers = Dictionary(
            lines.dropFirst().map { line in
                let parts = line.split(separator: ":", maxSplits: 1)
                return (parts[0].lowercased(), String(parts[1].drop { $0 == " " }))
            }, uniquingKeysWith: { $1 })
        let rest = bytes[end.upperBound...]
        body = headers["transfer-encoding"] == "chunked" ? try Self.joined(rest) : Array(rest)
    }

    private static func joined(_ chunks: ArraySlice<UInt8>) throws -> [UInt8] {
        var (body, rest) = ([UInt8](), chunks)
        while let line = rest.firstRange(of: Array("\r\n".utf8)) {
            let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16) ?? 0
            if size == 0 { return body }
            body += rest[line.upperBound..<line.upperBound + size]
            rest = rest[(line.upperBound + size + 2)...]
        }
        throw ClientError(what: "the last chunk is missing")
    }
}

/// One request on a connection of its own.
func ask(
    _ port: Int, _ method: String = "POST", _ path: String, _ headers: [String: String] = [:], _ body: String = ""
) async throws -> Response {
    try await blocking {
        let connection = try Connection(port: port)
        try connection.send(requestText(method, path, headers, body, closes: true))
        return try Response(connection.readAll())
    }
}

/// A request as it goes over the wire.
func requestText(
    _ method: String, _ path: String, _ headers: [String: String] = [:], _ body: String = "", closes: Bool = false
) -> String {
    var all = ["Host": "localhost", "Content-Length": "\(body.utf8.count)"].merging(headers) { $1 }
    if closes { all["Connection"] = "close" }
    let lines = all.map { "\($0.key): \($0.value)\r\n" }.joined()
    return "\(method) \(path) HTTP/1.1\r\n\(lines)\r\n\(body)"
}

extension JSONValue {
    /// The member of that key.
    subscript(key: String) -> JSONValue? { object?[key] }
    /// An element.
    subscript(index: Int) -> JSONValue? {
        if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil }
    }
    var list: [JSONValue] { if case .array(let values) = self { values } else { [] } }
    var double: Double? { if case .number(let number) = self { number.double } else { nil } }
    /// The whole numbers, numbers and strings of a list.
    var integers: [Int] { list.compactMap(\.integer) }
    var doubles: [Double] { list.compactMap(\.double) }
    var strings: [String] { list.compactMap(\.string) }
    var keys: [String] { object?.members.map(\.key) ?? [] }
}
