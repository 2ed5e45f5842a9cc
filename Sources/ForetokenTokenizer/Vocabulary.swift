/// Every token by id: how the file spells it, which bytes it stands for, and whether it is special.
struct Vocabulary: Sendable {
    /// A larger id would be a damaged file: tables are sized by the highest one.
    static let highestID = 1 << 21

    /// A run inside one of the flat byte stores; `count` is never 0 for a token that exists.
    private struct Run {
        var start: UInt32 = 0
        var count: UInt32 = 0
    }

    private var spellings: [UInt8] = []
    private var spellingRuns: [Run]
    private var contents: [UInt8] = []
    private var contentRuns: [Run]
    private var special: [Bool]
    private var added: [Bool]
    /// Ids by the hash of their spelling, −1 where free; open addressing, at most half full.
    private var slots: [Int32]

    /// Room for `tokens` tokens with ids below `idCount`.
    init(tokens: Int, idCount: Int) {
        spellingRuns = Array(repeating: Run(), count: idCount)
        contentRuns = spellingRuns
        special = Array(repeating: false, count: idCount)
        added = special
        let bits = Int.bitWidth - (2 * max(tokens, 8) - 1).leadingZeroBitCount
        slots = Array(repeating: -1, count: 1 << bits)
    }

    /// The highest id plus one.
    var idCount: Int { contentRuns.count }

    enum Insertion: Equatable { case done, repeatedID, repeatedSpelling }

    /// Adds a token, spelt in the byte alphabet unless it is `verbatim`; `id` must be in 0..<idCount.
    mutating func insert(_ spelling: UnsafeBufferPointer<UInt8>, id: Int32, verbatim: Bool) -> Insertion {
        guard spellingRuns[Int(id)].count == 0 else { return .repeatedID }
        let slot = self.slot(of: spelling)
        guard slots[slot] < 0 else { return .repeatedSpelling }
        slots[slot] = id
        spellingRuns[Int(id)] = Run(start: UInt32(spellings.count), count: UInt32(spelling.count))
        spellings.append(contentsOf: spelling)
        let start = contents.count
        // As in the ByteLevel decoder: what is not written in the alphabet stands for itself.
        if verbatim || !ByteAlphabet.decode(spelling, into: &contents) { contents.append(contentsOf: spelling) }
        contentRuns[Int(id)] = Run(start: UInt32(start), count: UInt32(contents.count - start))
        return .done
    }

    mutating func markSpecial(_ id: Int32) { special[Int(id)] = true }
    mutating func markAdded(_ id: Int32) { added[Int(id)] = true }

    func isSpecial(_ id: Int32) -> Bool { special.indices.contains(Int(id)) && special[Int(id)] }
    func isAdded(_ id: Int32) -> Bool { added.indices.contains(Int(id)) && added[Int(id)] }

    func id(spelt spelling: UnsafeBufferPointer<UInt8>) -> Int32? {
        let id = slots[slot(of: spelling)]
        return id < 0 ? nil : id
    }

    /// The bytes the token stands for; nil when the id has no token.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard contentRuns.indices.contains(Int(id)) else { return nil }
        let run = contentRuns[Int(id)]
        guard run.count > 0 else { return nil }
        return contents[Int(run.start)..<Int(run.start + run.count)]
    }

    /// The slot that holds this spelling, or the free one where it belongs.
    private func slot(of spelling: UnsafeBufferPointer<UInt8>) -> Int {
        var index = Int(truncatingIfNeeded: hash(spelling)) & (slots.count - 1)
        while slots[index] >= 0 {
            let run = spellingRuns[Int(slots[index])]
            let isSame =
                Int(run.count) == spelling.count
                && spellings.withUnsafeBufferPointer {
                    $0[Int(run.start)..<Int(run.start + run.count)].elementsEqual(spelling)
                }
            if isSame { break }
            index = (index + 1) & (slots.count - 1)
        }
        return index
    }
}
