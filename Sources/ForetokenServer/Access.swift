import ForetokenAPI
import HTTPTypes

/// Who may ask: from which pages, under which names, with which keys.
struct Access: Sendable {
    private static let apiKey = HTTPField.Name("x-api-key")!

    private let digests: [[UInt8]]
    private let hosts: Set<String>
    private let origins: Set<String>

    init(_ settings: ServerSettings) {
        digests = settings.keys.map { SHA256.digest(Array($0.utf8)) }
        hosts = Set((["localhost", settings.host] + settings.hosts).map { $0.lowercased() })
        origins = Set(settings.origins.map { $0.lowercased() })
    }

    /// Refuses names that others may have made this address answer to (DNS rebinding): addresses themselves cannot be made
    /// up.
    func checkHost(_ head: HTTPRequest) throws(APIError) {
        guard let authority = head.authority else { return }
        let host = Self.host(authority)
        guard !hosts.contains(host.lowercased()) && !Self.isAddress(host) else { return }
        throw APIError(
            403, type: "permission_error", code: "host_not_allowed",
            "this server does not answer to the name \"\(host.prefix(100))\"; --allow-host makes it")
    }

    /// The origin of a page of another place that may ask; nil where no page asks, and for the server's own.
    func allowedOrigin(_ head: HTTPRequest) throws(APIError) -> String? {
        guard let origin = head.headerFields[.origin] else { return nil }
        let lower = origin.lowercased()
        if origins.contains("*") || origins.contains(lower) { return origin }
        if let own = head.authority?.lowercased(), ["http://" + own, "https://" + own].contains(lower) { return nil }
        throw APIError(
            403, type: "permission_error", code: "origin_not_allowed",
            "pages of \"\(origin.prefix(100))\" may not ask this server; --allow-origin lets them")
    }

    /// Refuses requests without one of the keys.
    /// - Returns: what tells this key's requests from those of others; the same for all where there are no keys.
    @discardableResult
    func checkKey(_ head: HTTPRequest) throws(APIError) -> String {
        guard !digests.isEmpty else { return "" }
        let bearer = head.headerFields[.authorization].flatMap { value -> Substring? in
            let parts = value.split(separator: " ", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "bearer" ? parts[1] : nil
        }
        let given = [bearer.map(String.init), head.headerFields[Self.apiKey]].compactMap(\.self)
        var place: Int?
        for key in given {
            let digest = SHA256.digest(Array(key.utf8))
            for (index, known) in digests.enumerated() where Self.isSame(digest, known) { place = index }
        }
        if let place { return "key \(place)" }
        throw APIError(
            401, type: "authentication_error", code: "invalid_api_key",
            given.isEmpty ? "this server wants an API key: Authorization: Bearer KEY" : "this API key is wrong")
    }

    /// Compares all bytes whatever they are, so that the time tells nothing.
    private static func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        zip(left, right).reduce(UInt8(left.count == right.count ? 0 : 1)) { $0 | $1.0 ^ $1.1 } == 0
    }

    /// The name without a port.
    private static func host(_ authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return String(authority[authority.index(after: authority.startIndex)..<end])
        }
        return String(authority.prefix { $0 != ":" })
    }

    private static func isAddress(_ host: String) -> Bool {
        if host.contains(":") { return host.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." || $0 == "%" } }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
}
