import ForetokenModel
import ForetokenSpeculation

/// What was looked up for one place of a text.
private struct LookupFind {
    let match: LookupMatch
    let held: Bool
    /// Whether the module's first draft for the place is the same; nil without one.
    let agreed: Bool?
}

extension TextRecord {
    /// What look-up finds for the places behind the prompt, in order; nil where it finds nothing.
    /// - Throws: `HardwareError` without memory for its tokens.
    fileprivate func finds() throws -> [LookupFind?] {
        let sequence = try TokenSequence(capacity: tokens.count)
        sequence.append(tokens)
        let lookup = TextLookup(sequence.tokens, capacity: tokens.count)
        return chains.map { chain in
            lookup.grow(to: chain.position + 1)
            return lookup.match(end: chain.position + 1).map {
                LookupFind(
                    match: $0, held: $0.token == chain.choice, agreed: depth > 0 ? $0.token == chain.drafts[0] : nil)
            }
        }
    }
}

extension Measurement.LookupAcceptance {
    /// Shortest matches of each kind.
    private static let lengths = [3, 5, 8, 16, 32]

    /// Nil without places.
    /// - Throws: `HardwareError` without memory.
    init?(_ records: [TextRecord], _ bootstrap: Bootstrap) throws {
        let finds = try records.map { try $0.finds() }
        guard
            let found = bootstrap.ratio(
                finds.map { Counts(hits: Double($0.count { $0 != nil }), trials: Double($0.count)) })
        else { return nil }
        self.found = found
        let some = finds.map { $0.compactMap(\.self) }
        all = Measurement.LookupKind(some, from: Self.lengths[0], below: .max, bootstrap)
        byLength = Self.lengths.indices.compactMap { i in
            Measurement.LookupKind(
                some, from: Self.lengths[i], below: i + 1 < Self.lengths.count ? Self.lengths[i + 1] : .max, bootstrap)
        }
    }
}

extension Measurement.LookupKind {
    /// Finds of each text whose matches have from `length` to below `end` tokens; nil without any.
    fileprivate init?(_ finds: [[LookupFind]], from length: Int, below end: Int, _ bootstrap: Bootstrap) {
        func share(_ isMeant: (LookupFind) -> Bool = { _ in true }) -> Estimate? {
            bootstrap.ratio(
                finds.map { text in
                    text.reduce(into: Counts()) { counts, find in
                        if (length..<end).contains(find.match.length) && isMeant(find) { counts.add(find.held) }
                    }
                })
        }
        guard let held = share() else { return nil }
        self.init(
            length: length, held: held, agreed: share { $0.agreed == true }, disagreed: share { $0.agreed == false })
    }
}
