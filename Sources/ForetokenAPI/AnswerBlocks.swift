import ForetokenSpeculation
import ForetokenText

/// An answer as a list of thoughts, texts and calls of tools in the order in which they were written, as it grows.
struct AnswerBlocks: Sendable {
    struct Block: Sendable {
        enum Kind: Sendable { case thought, text, call }

        let kind: Kind
        /// The called tool's.
        let name: String
        /// The call's own id; nil where the model gave it none.
        var id: String?
        /// Of a call the JSON text of its arguments.
        var text = ""
        /// Whether the answer did not end within it before its time.
        var isWhole = false
    }

    /// What happens to the blocks, by their numbers.
    enum Step: Sendable {
        case begin(Int)
        case more(Int, String)
        case end(Int)
    }

    private(set) var blocks: [Block] = []
    private var isOpen = false
    /// nil where all is text.
    private var parser: AnswerParser?

    init(_ parser: AnswerParser?) { self.parser = parser }

    /// A whole answer.
    init(_ parser: AnswerParser?, _ result: ChoiceResult) {
        self.init(parser)
        _ = push(result.answer.result.tokens, text: Array((result.answer.text ?? "").utf8))
        _ = finish(result)
    }

    /// Tokens of thoughts so far.
    var reasoningTokens: Int { parser?.reasoningTokens ?? 0 }

    /// How many calls come before a block.
    func calls(before block: Int) -> Int { blocks[..<block].count { $0.kind == .call } }

    var hasCalls: Bool { blocks.contains { $0.kind == .call } }

    /// Takes more of the answer.
    mutating func push(_ tokens: [Int32], text: [UInt8]) -> [Step] {
        if let parts = parser?.push(tokens, text: text) { return take(parts) }
        return text.isEmpty ? [] : take([.content(String(decoding: text, as: UTF8.self))])
    }

    /// Ends the answer.
    mutating func finish(_ result: ChoiceResult) -> [Step] {
        var steps = take(parser?.finish() ?? [])
        if isOpen {
            let last = blocks.count - 1
            steps.append(end(isWhole: result.answer.result.reason == .stop && blocks[last].kind != .call))
        }
        return steps
    }

    private mutating func take(_ parts: [AnswerPart]) -> [Step] {
        var steps: [Step] = []
        for part in parts {
            switch part {
            case .reasoning(let text): steps += more(text, of: .thought)
            case .content(let text): steps += more(text, of: .text)
            case .call(let name, let id): steps += begin(.call, name, id)
            case .arguments(let text): steps.append(more(text))
            case .callEnd: steps.append(end(isWhole: true))
            }
        }
        return steps
    }

    private mutating func more(_ text: String, of kind: Block.Kind) -> [Step] {
        let steps = isOpen && blocks[blocks.count - 1].kind == kind ? [] : begin(kind)
        return steps + [more(text)]
    }

    private mutating func more(_ text: String) -> Step {
        blocks[blocks.count - 1].text += text
        return .more(blocks.count - 1, text)
    }

    private mutating func begin(_ kind: Block.Kind, _ name: String = "", _ id: String? = nil) -> [Step] {
        let steps = isOpen ? [end(isWhole: true)] : []
        blocks.append(Block(kind: kind, name: name, id: id))
        isOpen = true
        return steps + [.begin(blocks.count - 1)]
    }

    private mutating func end(isWhole: Bool) -> Step {
        isOpen = false
        blocks[blocks.count - 1].isWhole = isWhole
        return .end(blocks.count - 1)
    }
}
