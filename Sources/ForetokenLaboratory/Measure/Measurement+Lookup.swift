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
        guard let first = chains.first?.position else { return [] }
        let finder = DraftFinder(
            TextLookup(sequence.tokens, capacity: tokens.count), count: first + 1, prediction: nil, others: [])
        return chains.map { chain in
            finder.grow(to: chain.position + 1) { _, _ in }
            return finder.match(end: chain.position + 1).map {
                LookupFind(
                    match: $0, held: $0.token == chain.choice, agreed: depth > 0 ? $0.token == chain.drafts[0] : nil)
            }
        }
    }
}

extension Measurement.LookupAcceptance {
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
        all = Measurement.LookupKind(some, from: LookupOdds.lengths[0], below: .max, bootstrap)
        let lengths = LookupOdds.lengths
        byLength = zip(lengths, lengths.dropFirst() + [.max]).compactMap { length, next in
            Measurement.LookupKind(some, from: length, below: next, bootstrap)
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
