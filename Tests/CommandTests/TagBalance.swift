/// Checks that HTML is what its author meant: every tag closed in order, attributes quoted, no stray `<`.
struct TagBalance {
    /// The first thing that is wrong; nil for a sound document.
    private(set) var problem: String?
    /// Names of all elements, in order.
    private(set) var elements: [String] = []
    /// Everything between tags, entities left as they are.
    private(set) var text = ""
    /// Values of all attributes called `id`.
    private(set) var ids: [String] = []

    private static let void: Set<String> = ["meta", "br", "!DOCTYPE"]

    init(_ html: String) {
        var open: [String] = []
        var rest = Substring(html)
        while let start = rest.firstIndex(of: "<") {
            text += rest[..<start]
            guard let end = rest[start...].firstIndex(of: ">") else {
                problem = "a tag does not end"
                return
            }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("/") {
                guard open.popLast() == String(tag.dropFirst()) else {
                    problem = "</\(tag.dropFirst())> closes nothing"
                    return
                }
                continue
            }
            let name = String(tag.prefix { $0.isLetter || $0.isNumber || $0 == "!" })
            guard !name.isEmpty, tag.count(where: { $0 == "\"" }) % 2 == 0, !tag.contains("<") else {
                problem = "<\(tag)> is no tag"
                return
            }
            elements.append(name)
            if let id = tag.firstRange(of: " id=\"") { ids.append(String(tag[id.upperBound...].prefix { $0 != "\"" })) }
            if !tag.hasSuffix("/") && !Self.void.contains(name) { open.append(name) }
        }
        if !open.isEmpty { problem = "<\(open.joined(separator: "> <"))> stays open" }
        text += rest
    }
}
