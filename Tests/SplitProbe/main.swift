import ForetokenJSON
import ForetokenTokenizer
import Glibc

// Cuts texts for a comparison with the reference library: reads lines {"patterns": ["…"], "texts": ["…"]}, and writes for each a
// line {"cuts": [[…]]} with the ends of every text's pieces, in bytes, or with the `error` and whether it is a `refusal`. For a line
// {"ranks": "…", "settings": "…", "texts": ["…"]} with the contents of a tiktoken.model and of a tokenizer_config.json it writes
// {"ids": [[…]], "plain": [[…]], "bytes": "…"}: the ids of every text, those without added tokens, and in hexadecimal the bytes of
// all of the first, one after the other.

/// The ends of the pieces: each expression cuts the pieces of the one before.
func cuts(_ text: [UInt8], _ patterns: ArraySlice<SplitPattern>) throws(TokenizerError) -> [Int] {
    guard let pattern = patterns.first else { return [text.count] }
    var ends: [Int] = []
    var start = 0
    func add(_ end: Int) throws(TokenizerError) {
        guard start < end else { return }
        ends += try cuts(Array(text[start..<end]), patterns.dropFirst()).map { start + $0 }
        start = end
    }
    for match in try pattern.matches(in: text) {
        try add(match.lowerBound)
        try add(match.upperBound)
    }
    try add(text.count)
    return ends
}

func strings(_ value: JSONValue?) -> [String]? {
    guard case .array(let items)? = value else { return nil }
    return items.compactMap(\.string)
}

func ids(_ ranks: String, _ settings: String?, _ texts: [String]) throws(TokenizerError) -> String {
    let tokenizer = try Tokenizer(ranks: Array(ranks.utf8), configJSON: settings.map { Array($0.utf8) })
    let ids = try texts.map { text throws(TokenizerError) in try tokenizer.encode(text) }
    let plain = try texts.map { text throws(TokenizerError) in try tokenizer.encode(text, addedTokens: false) }
    let digits = tokenizer.decode(ids.joined(), skippingSpecial: false).map { byte in
        String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    return "{\"ids\": \(ids), \"plain\": \(plain), \"bytes\": \"\(digits.joined())\"}"
}

func answer(_ line: String) -> String {
    do {
        if let object = try? JSONValue(Array(line.utf8)).object, let ranks = object["ranks"]?.string {
            return try ids(ranks, object["settings"]?.string, strings(object["texts"]) ?? [])
        }
    } catch {
        return "{\"error\": \(JSONValue.string(error.description).text), \"refusal\": true}"
    }
    guard let object = try? JSONValue(Array(line.utf8)).object, let expressions = strings(object["patterns"]),
        let texts = strings(object["texts"])
    else { return #"{"error": "a line without patterns or texts", "refusal": false}"# }
    do {
        let patterns = try expressions.map { expression throws(TokenizerError) in try SplitPattern(.regex(expression)) }
        let ends = try texts.map { text throws(TokenizerError) in try cuts(Array(text.utf8), patterns[...]) }
        return "{\"cuts\": \(ends)}"
    } catch {
        let isRefusal = if case .unsupported = error { true } else { false }
        let text = error.description.unicodeScalars.map {
            $0.value < 0x20 || $0 == "\\" || $0 == "\"" ? "_" : String($0)
        }
        return "{\"error\": \"\(text.joined())\", \"refusal\": \(isRefusal)}"
    }
}

while let line = readLine() {
    print(answer(line))
    fflush(nil)
}
