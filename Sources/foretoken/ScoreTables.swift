import ForetokenLaboratory
import ForetokenReport
import ForetokenTokenizer

/// What `score` shows to people.
struct ScoreTables {
    let score: ForetokenLaboratory.Score
    /// The whole text, of which an interrupted score covers the beginning.
    let tokens: [Int32]
    let bitsPerByte: Double?

    /// The figures, and how the text was cut if it was.
    func summary(on terminal: Terminal) -> String {
        var table = Table([.init("score"), .init("", .right)])
        let count = score.logProbabilities.count - 1
        let isScored = count > 0
        table.add("tokens scored", "\(Format.grouped(count)) of \(Format.grouped(tokens.count))")
        table.add("nats per token", isScored ? Format.fixed(score.negativeLogLikelihood, 4) : "–")
        table.add("perplexity", isScored ? Format.fixed(score.perplexity, 3) : "–")
        if isScored, let bitsPerByte { table.add("bits per byte", Format.fixed(bitsPerByte, 4)) }
        table.add("likeliest token is the text's", shareRight(score.favourites.compactMap { $0?.token }, offset: 1))
        for (index, module) in (score.mtp?.modules ?? []).enumerated() {
            table.add(
                "MTP module \(index): nats per token", module.negativeLogLikelihood.map { Format.fixed($0, 4) } ?? "–")
            table.add("MTP module \(index): guess is the text's", shareRight(module.argmax, offset: 2 + index))
        }
        for (index, chain) in (score.mtp?.recursive ?? []).enumerated() {
            table.add("chained draft \(index + 1): guess is the text's", shareRight(chain, offset: 2 + index))
        }
        return table.rendered(on: terminal) + windows
    }

    /// One line for each token.
    func perToken(_ tokenizer: Tokenizer?, on terminal: Terminal) -> String {
        func text(_ token: Int32) -> String? { tokenizer?.bytes(of: token).map { Self.quoted($0) } }
        var table = Table([
            .init("position", .right), .init("id", .right), .init("token"), .init("log-prob", .right),
            .init("likeliest"), .init("log-prob", .right),
        ])
        for (position, logProbability) in score.logProbabilities.enumerated() {
            let token = tokens[position]
            let favourite = score.favourites[position]
            table.add(
                "\(position)", "\(token)", text(token) ?? "–", logProbability.map { Format.fixed($0, 4) } ?? "–",
                favourite.map { text($0.token) ?? "\($0.token)" } ?? "–",
                favourite.map { Format.fixed($0.logProbability, 4) } ?? "–")
        }
        return table.rendered(on: terminal)
    }

    private var windows: String {
        let windows = score.windows
        guard tokens.count > windows.length else { return "" }
        let count = "\(Format.grouped(windows.count)) window\(windows.count == 1 ? "" : "s")"
        return "\n\(count) of \(Format.grouped(windows.length)) tokens, stride \(Format.grouped(windows.stride))\n"
    }

    /// Share of guesses that the text has too; guess i is for position i + offset.
    private func shareRight(_ guesses: [Int32], offset: Int) -> String {
        let pairs = Array(zip(guesses, tokens.prefix(score.logProbabilities.count).dropFirst(offset)))
        return pairs.isEmpty ? "–" : Format.percent(Double(pairs.count { $0 == $1 }) / Double(pairs.count))
    }

    /// A token's bytes in quotes, on one line and without anything a terminal could obey: bytes that are no UTF-8 as \xNN,
    /// what cannot be seen as \u{N}.
    static func quoted(_ bytes: some Collection<UInt8>) -> String {
        var text = ""
        var rest = bytes[...]
        while let first = rest.first {
            var decoder = UTF8()
            var iterator = rest.makeIterator()
            if case .scalarValue(let scalar) = decoder.decode(&iterator) {
                text += escaped(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                text += "\\x" + (first < 16 ? "0" : "") + String(first, radix: 16, uppercase: true)
                rest = rest.dropFirst()
            }
        }
        return "\"\(text)\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\"", "\\": return "\\\(scalar)"
        default: break
        }
        return scalar.printable
    }
}
