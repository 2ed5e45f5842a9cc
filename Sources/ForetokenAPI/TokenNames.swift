import ForetokenSpeculation
import ForetokenTokenizer

/// How answers name tokens.
struct TokenNames {
    private let tokenizer: Tokenizer?
    private let byID: Bool

    init(_ tokenizer: Tokenizer?, byID: Bool) {
        self.tokenizer = tokenizer
        self.byID = byID
    }

    /// JSON has no infinity.
    private static func finite(_ logProbability: Double) -> Double { max(logProbability, -9999) }

    private func idName(_ token: Int32) -> String { "token_id:\(token)" }

    /// A token's text; one that is no text by its bytes, so that no two of these are the same.
    private func name(_ token: Int32) -> String {
        guard !byID, let bytes = tokenizer?.bytes(of: token) else { return idName(token) }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return bytes.reduce(into: "bytes:") { name, byte in
            let digits = String(byte, radix: 16)
            name += "\\x" + (byte < 16 ? "0" : "") + digits
        }
    }

    // MARK: Chat

    /// A token's text, with marks in the place of bytes that are no character.
    func text(_ token: Int32) -> String {
        guard !byID, let bytes = tokenizer?.bytes(of: token) else { return idName(token) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Each token with its bytes and the likeliest others.
    func writeChat(_ entries: some Sequence<TokenLogProbabilities>, into writer: inout JSONWriter) {
        writer.object { object in
            object.list("content") { list in
                for entry in entries {
                    list.object { item in
                        writeChat(entry.token, entry.logProbability, into: &item)
                        item.list("top_logprobs") { top in
                            for other in entry.top {
                                top.object { writeChat(other.token, other.logProbability, into: &$0) }
                            }
                        }
                    }
                }
            }
            object.nullMember("refusal")
        }
    }

    private func writeChat(_ token: Int32, _ logProbability: Double, into item: inout JSONWriter) {
        let bytes = tokenizer?.bytes(of: token)
        item.member("token", text(token))
        item.member("logprob", Self.finite(logProbability))
        if let bytes { item.member("bytes", bytes) } else { item.nullMember("bytes") }
    }

    // MARK: Completions

    /// Four lists of one length.
    /// - Parameter opening: a token before the entries that nothing comes before, so that it has no log-probability.
    func writeCompletion(
        opening: Int32? = nil, _ entries: some Sequence<TokenLogProbabilities>, _ offsets: inout TextOffsets,
        into writer: inout JSONWriter
    ) {
        let tokens = (opening.map { [$0] } ?? []) + entries.map(\.token)
        writer.object { object in
            object.list("tokens") { for token in tokens { $0.value(name(token)) } }
            object.list("token_logprobs") { list in
                if opening != nil { list.null() }
                for entry in entries { list.value(Self.finite(entry.logProbability)) }
            }
            object.list("top_logprobs") { list in
                if opening != nil { list.null() }
                for entry in entries { writeTop(entry, into: &list) }
            }
            object.member("text_offset", tokens.map { offsets.next($0) })
        }
    }

    /// The likeliest tokens and the chosen one, by names of which no two are the same.
    private func writeTop(_ entry: TokenLogProbabilities, into list: inout JSONWriter) {
        var all = entry.top
        if !all.contains(where: { $0.token == entry.token }) { all.append((entry.token, entry.logProbability)) }
        var used: Set<[UInt8]> = []
        list.object { object in
            for one in all {
                let name = name(one.token)
                let isNew = used.insert(Array(name.utf8)).inserted
                object.member(isNew ? name : idName(one.token), Self.finite(one.logProbability))
            }
        }
    }
}

/// Where tokens begin in their text, in characters as Python counts them.
struct TextOffsets: Sendable {
    private var detokenizer: StreamingDetokenizer?
    private var count = 0

    init(_ tokenizer: Tokenizer?) { detokenizer = tokenizer.map { StreamingDetokenizer($0) } }

    /// Where this token begins; the next begins behind it.
    mutating func next(_ token: Int32) -> Int {
        let start = count
        // Bytes that begin a character.
        count += detokenizer?.push(token).count { $0 & 0xC0 != 0x80 } ?? 0
        return start
    }
}
