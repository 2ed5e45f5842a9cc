/// A compiled expression of a Split pre-tokenizer.
///
/// Its classes come from a table of our own at one version of Unicode, so that a text is cut alike on every machine.
struct SplitPattern: Sendable {
    /// As tokenizer.json gives it: an Oniguruma expression, or plain text.
    enum Source: Equatable {
        case regex(String)
        case literal(String)

        var text: String {
            switch self {
            case .regex(let text), .literal(let text): text
            }
        }
    }

    let source: Source
    let program: PatternProgram

    /// Throws `TokenizerError.unsupported` for an expression that may mean something else to the reference library.
    init(_ source: Source) throws(TokenizerError) {
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
}
