/// The server cannot be measured.
package struct LoadError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Where a server answers.
package struct ServerAddress: Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int
    /// What stands before all paths: nothing, or a path without a slash at its end.
    package let prefix: String

    /// - Parameter url: `http://HOST[:PORT][/PATH]`. A `/v1` at its end, which OpenAI's clients want, may be there.
    package init(_ url: String) throws(LoadError) {
        func wrong(_ reason: String) -> LoadError {
            LoadError("\"\(url)\" is not a server's address such as http://127.0.0.1:8080: \(reason)")
        }
        guard !url.hasPrefix("https://") else {
            throw wrong("TLS is not spoken here; give the address behind the proxy that does")
        }
        guard url.hasPrefix("http://") else { throw wrong("it must begin with http://") }
        let rest = url.dropFirst(7)
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count)
        while path.hasSuffix("/") { path.removeLast() }
        if path.hasSuffix("/v1") { path.removeLast(3) }
        guard path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
        else { throw wrong("its path has characters that no path has") }
        prefix = String(path)
        var name = authority
        var digits: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            name = authority[authority.index(after: authority.startIndex)..<end]
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { throw wrong("something stands behind the ]") }
            digits = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            name = authority[..<colon]
            digits = authority[authority.index(after: colon)...]
        }
        guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") }) else {
            throw wrong("it names no host")
        }
        host = String(name)
        guard let digits else {
            port = 80
            return
        }
        guard let number = Int(digits), (1...65535).contains(number) else {
            throw wrong("the port must be 1...65535")
        }
        port = number
    }

    /// As in a `Host` header.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    package var description: String { "http://\(authority)\(prefix)" }
}
