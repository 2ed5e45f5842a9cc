/// Something that must be the same on all hosts.
package struct AgreedField: Sendable, Equatable {
    /// What it is, for messages: "the checkpoint's fingerprint".
    package let name: String
    /// What it is here.
    package let value: String

    /// Both.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Finds what hosts do not agree on.
package enum Agreement {
    /// Characters of a value that a message shows.
    package static let shownCharacters = 120

    /// The first field, in rank 0's order, that is not the same on all hosts, and the first rank that differs.
    /// - Parameters:
    ///   - fields: by rank.
    ///   - hosts: by rank.
    /// - Returns: what to say, or nil where all agree.
    package static func difference(_ fields: [[AgreedField]], hosts: [HostName]) -> String? {
        for (index, expected) in fields[0].enumerated() {
            for rank in fields.indices.dropFirst() {
                guard index < fields[rank].count, fields[rank][index].name == expected.name else {
                    return "\(hosts[rank].label) does not tell \(expected.name) as \(hosts[0].label) does. "
                        + "Hint: run the same program on all hosts."
                }
                let found = fields[rank][index].value
                if found != expected.value { return text(expected, found, hosts[0], hosts[rank]) }
            }
        }
        for rank in fields.indices.dropFirst() where fields[rank].count > fields[0].count {
            let name = fields[rank][fields[0].count].name
            return "\(hosts[0].label) does not tell \(name) as \(hosts[rank].label) does. "
                + "Hint: run the same program on all hosts."
        }
        return nil
    }

    private static func text(_ expected: AgreedField, _ found: String, _ first: HostName, _ other: HostName) -> String {
        let (left, right) = shown(expected.value, found)
        return "the hosts do not agree on \(expected.name): \(first.label) has \(left), \(other.label) has \(right)."
    }

    /// Two values that differ, cut so that the difference is seen.
    private static func shown(_ left: String, _ right: String) -> (String, String) {
        guard max(left.count, right.count) > shownCharacters else { return (left, right) }
        let same = zip(left, right).prefix { $0 == $1 }.count
        let start = same > shownCharacters / 2 ? same - shownCharacters / 4 : 0
        let cut = { (text: String) in
            let rest = text.dropFirst(start)
            return (start > 0 ? "…" : "") + rest.prefix(shownCharacters)
                + (rest.count > shownCharacters ? "…" : "")
        }
        return (cut(left), cut(right))
    }

    // MARK: As bytes

    /// Names and values, for other hosts.
    package static func encode(_ fields: [AgreedField]) -> [UInt8] {
        TextList.encode(fields.flatMap { [$0.name, $0.value] })
    }

    /// nil for anything that `encode` does not make.
    package static func decode(_ bytes: [UInt8]) -> [AgreedField]? {
        guard let texts = TextList.decode(bytes), texts.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: texts.count, by: 2).map { AgreedField(texts[$0], texts[$0 + 1]) }
    }
}
