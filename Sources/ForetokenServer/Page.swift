import CForetokenPage
import HTTPTypes
import Hummingbird

/// The page for browsers: one file, whose scripts and styles alone may run.
struct Page: Sendable {
    private let body: ByteBuffer
    private let tag: String
    private let policy: String

    init() {
        var count = 0
        let bytes = foretoken_page(&count)
        let html = Array(UnsafeBufferPointer(start: bytes, count: count))
        self.init(html)
    }

    init(_ html: [UInt8]) {
        body = ByteBuffer(bytes: html)
        tag = "\"" + SHA256.digest(html).prefix(12).map { String($0, radix: 16) }.joined() + "\""
        let text = String(decoding: html, as: UTF8.self)
        func sources(_ element: String) -> String {
            let hashes = Self.contents(of: element, in: text).map { content in
                "'sha256-\(Self.base64(SHA256.digest(Array(content.utf8))))'"
            }
            return hashes.isEmpty ? "'none'" : hashes.joined(separator: " ")
        }
        policy =
            "default-src 'none'; script-src \(sources("script")); style-src \(sources("style")); connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    func response(_ head: HTTPRequest) -> Response {
        let headers: HTTPFields = [
            .contentType: "text/html; charset=utf-8", .eTag: tag, .cacheControl: "no-cache",
            .contentSecurityPolicy: policy, .xContentTypeOptions: "nosniff",
            HTTPField.Name("referrer-policy")!: "no-referrer",
            HTTPField.Name("cross-origin-opener-policy")!: "same-origin",
        ]
        if head.headerFields[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: body))
    }

    /// What stands between `<element …>` and its end, wherever that is. The page is this program's own and well formed.
    private static func contents(of element: String, in text: String) -> [Substring] {
        var contents: [Substring] = []
        var rest = text[...]
        while let start = rest.firstRange(of: "<" + element) {
            guard let open = rest[start.upperBound...].firstIndex(of: ">"),
                let end = rest[open...].firstRange(of: "</" + element)
            else { break }
            contents.append(rest[rest.index(after: open)..<end.lowerBound])
            rest = rest[end.upperBound...]
        }
        return contents
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 { text.append(place <= group.count ? digits[bits >> (18 - 6 * place) & 63] : "=") }
        }
        return text
    }
}
