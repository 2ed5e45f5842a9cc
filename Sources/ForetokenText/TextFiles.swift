import ForetokenTokenizer
import ForetokenWeights

/// What is wrong with a folder's files that are not weights: tokenizer and chat template.
package struct TextFiles {
    /// What makes a command refuse the folder.
    package private(set) var problems: [CheckpointError] = []
    /// What only some commands miss, one sentence each.
    package private(set) var warnings: [String] = []
    /// The folder's tokenizer; nil when there is none, or none that can be used.
    package private(set) var tokenizer: Tokenizer?
    /// Its chat template's format; nil when there is none, or none that can be used.
    package private(set) var chat: ChatFormat?
    private let inspection: Inspection

    /// Reads and checks the files, whatever is wrong with the weights.
    package init(of inspection: Inspection) {
        self.inspection = inspection
        checkTokenizer()
    }

    private mutating func checkTokenizer() {
        var (name, file) = (Tokenizer.files[0], FileContent.missing)
        for candidate in Tokenizer.files {
            if case .missing = file { (name, file) = (candidate, read(candidate)) }
        }
        let settings = read("tokenizer_config.json")
        let template = read("chat_template.jinja")
        guard case .bytes(let bytes) = file else {
            if case .missing = file {
                warnings.append("no \(Tokenizer.files.joined(separator: " or ")): token ids only")
            }
            return
        }
        // An unreadable settings file is a problem already; the tokenizer is checked without it.
        tokenizer = collect { try Tokenizer(name, bytes, settings: settings.content) }
        guard let tokenizer else { return }
        checkChatTemplate(template, tokenizer)
    }

    /// A template that cannot be used is a problem: chat would refuse the folder. Without one plain text is still continued.
    private mutating func checkChatTemplate(_ file: FileContent, _ tokenizer: Tokenizer) {
        var sources = tokenizer.chatTemplates
        if case .bytes(let bytes) = file {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return problems.append(
                    CheckpointError("chat_template.jinja is not UTF-8 text", hint: "download the file again"))
            }
            sources = [ChatTemplates.usual: text]
        }
        guard !sources.isEmpty else {
            do { chat = try ChatFormat(.v3, tokenizer) } catch { warnings.append("no chat: \(error)") }
            return
        }
        chat = collect { try ChatFormat(ChatTemplates(sources), tokenizer) }
    }

    // MARK: Files

    /// What became of reading a file.
    private enum FileContent {
        case missing, unreadable
        case bytes([UInt8])

        var content: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
    }

    private mutating func read(_ name: String) -> FileContent {
        let inspection = inspection
        guard let found = collect({ try inspection.file(named: name) }) else { return .unreadable }
        return found.map { .bytes($0) } ?? .missing
    }

    /// Runs one step and notes its error instead of throwing it.
    private mutating func collect<Value>(_ step: () throws -> Value) -> Value? {
        do {
            return try step()
        } catch let error as CheckpointError {
            problems.append(error)
        } catch {
            let text = "\(error)"
            problems.append(CheckpointError(text.hasSuffix(".") ? String(text.dropLast()) : text))
        }
        return nil
    }
}
