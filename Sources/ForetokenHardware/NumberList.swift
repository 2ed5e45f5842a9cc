/// The kernel's way to write sets of CPUs and nodes: ascending numbers and ranges, "0-3,8-11".
package enum NumberList {
    /// The numbers of a list; an empty text is an empty set.
    ///
    /// - Throws: `HardwareError` naming `source` for anything else than ascending numbers in 0..<limit.
    static func parse(_ text: String, below limit: Int, source: String) throws -> [Int] {
        let list = SystemFile.trimmed(text)
        guard !list.isEmpty else { return [] }
        var numbers: [Int] = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(number)
            guard let first = ends[0], let last = ends[ends.count - 1], limit > last, last >= first,
                first > (numbers.last ?? -1)
            else {
                throw HardwareError(
                    .file,
                    "\(source): expected ascending numbers and ranges below \(limit), as in 0-3,8-11, "
                        + "found \"\(excerpt(list))\"")
            }
            numbers += first...last
        }
        return numbers
    }

    /// The shortest list of ascending numbers.
    package static func format(_ numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }

    /// `Int` alone would take a sign.
    private static func number(_ digits: Substring) -> Int? {
        digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(digits) : nil
    }

    private static func excerpt(_ text: Substring) -> String { text.count > 80 ? text.prefix(80) + "…" : String(text) }
}
