/// How far two words are apart.
package enum EditDistance {
    /// Letters to add, to leave out, to replace or to swap with their neighbour, so that one word becomes the other:
    /// Damerau's distance in its restricted form (Communications of the ACM 7(3), 1964, pages 171–176), in which no letter
    /// is changed twice. Case does not count.
    package static func between(_ one: String, _ other: String) -> Int {
        let (a, b) = (Array(one.lowercased()), Array(other.lowercased()))
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                let isSame = a[i] == b[j]
                var best = min(rows[i][j] + (isSame ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }

    /// The nearest of some words: what the word begins, else what is at most a third of its letters away.
    package static func nearest(to word: String, among words: [String]) -> String? {
        guard (2...40).contains(word.count) else { return nil }
        let begun = words.filter { $0.hasPrefix(word.lowercased()) }
        if begun.count == 1 { return begun[0] }
        let best = words.map { ($0, between(word, $0)) }.min { $0.1 < $1.1 }
        guard let best, best.1 <= max(1, word.count / 3) else { return nil }
        return best.0
    }
}
