/// A compiled expression of a Split pre-tokenizer.
///
/// Its classes come from a table of our own at one version of Unicode, so that a text is cut alike on every machine.
package struct SplitPattern: Sendable {
    /// As tokenizer.json gives it: an Oniguruma expression, or plain text.
    package enum Source: Equatable, Sendable {
        case regex(String)
        case literal(String)

        var text: String {
            switch self {
            case .regex(let text), .literal(let text): text
            }
        }
    }

    package let source: Source
    let program: PatternProgram

    /// Throws `TokenizerError.unsupported` for an expression that may mean something else to the reference library.
    package init(_ source: Source) throws(TokenizerError) {
        self.source = source
        let node: PatternNode
        switch source {
        case .literal(let text): node = .sequence(text.unicodeScalars.map { .scalar(ScalarSet($0.value)) })
        case .regex(let text):
            do {
                node = try PatternParser.parse(text)
            } catch {
                throw TokenizerFile.unsupported(
                    "the expression \(text.prefix(200)) (\(error.reason), near character \(error.position + 1))")
            }
        }
        do {
            program = try PatternProgram(node)
        } catch {
            throw TokenizerFile.unsupported("the expression \(source.text.prefix(200)) (it is too large)")
        }
    }
    /// Where the matches lie in a text, in bytes and in order. For tests; `TextEncoder` cuts without making lists.
    package func matches(in text: [UInt8]) throws(TokenizerError) -> [Range<Int>] {
        guard text.count <= Int32.max else { throw .textTooLong(bytes: text.count) }
        let found: Result<[Range<Int>], TokenizerError> = text.withUnsafeBufferPointer { bytes in
            Result { () throws(TokenizerError) in
                if let offset = bytes.firstInvalidUTF8 { throw .invalidUTF8(offset: offset) }
                let matcher = Matcher(textBytes: bytes.count)
                var found: [Range<Int>] = []
                try matcher.forEachMatch(of: self, in: bytes) { found.append($0) }
                return found
            }
        }
        return try found.get()
    }
}
