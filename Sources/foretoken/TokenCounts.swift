import ArgumentParser

/// Numbers of tokens on the command line, such as 512,8k,128k: ascending, each once. A k is 1,024 tokens, an m 1,024 k.
struct TokenCounts {
    let values: [Int]

    /// The largest number that makes sense for any model.
    private static let most = 1 << 30

    /// - Parameter option: how the list was asked for, for messages.
    static func parse(_ argument: String, option: String) throws -> TokenCounts {
        var values: Set<Int> = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = count(item.trimmed) else {
                throw ValidationError(
                    "\(option) wants numbers of tokens such as 512,8k,128k, each from 1 on; '\(item)' is none")
            }
            values.insert(value)
        }
        return TokenCounts(values: values.sorted())
    }

    private static func count(_ text: String) -> Int? {
        let units: [Character: Int] = ["k": 1 << 10, "m": 1 << 20]
        let unit = text.last.flatMap { units[Character($0.lowercased())] }
        let digits = unit == nil ? text[...] : text.dropLast()
        guard let number = Int(digits), number > 0, number <= most / (unit ?? 1) else { return nil }
        return number * (unit ?? 1)
    }
}

extension Substring {
    /// Without spaces at either end.
    var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
