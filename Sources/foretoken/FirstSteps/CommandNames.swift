import ArgumentParser

/// The names of commands, and what those mean that there are not.
package enum CommandNames {
    /// What becomes of the words behind a foreign name.
    private enum Rest {
        case kept, dropped
        /// The first names a model.
        case model
        /// The first names a model, the others are a question.
        case question
    }

    private struct Foreign {
        let names: [String]
        let remark: String
        /// What does that here.
        let words: [String]
        var rest = Rest.kept
    }

    /// What users of llama.cpp, ollama, vLLM and others type.
    private static let foreign: [Foreign] = [
        Foreign(
            names: ["run", "chat-cli", "interactive", "repl", "talk", "cli", "llama-cli", "main"],
            remark: "`foretoken chat` holds a conversation, `foretoken generate` continues a prompt",
            words: ["foretoken", "chat"], rest: .question),
        Foreign(
            names: ["complete", "completion", "predict", "infer", "inference", "ask", "prompt", "simple"],
            remark: "`foretoken generate` continues a prompt", words: ["foretoken", "generate"]),
        Foreign(
            names: ["server", "api", "llama-server", "http", "api_server", "openai", "web", "webui"],
            remark: "`foretoken serve` answers clients over HTTP", words: ["foretoken", "serve"]),
        Foreign(
            names: ["list", "ls", "models"],
            remark: "checkpoints are plain folders; known dimensions are listed by",
            words: ["foretoken", "inspect", "--shapes"], rest: .dropped),
        Foreign(
            names: ["ps"], remark: "each command loads its own model and ends with it; a server tells what it serves",
            words: ["curl", "http://127.0.0.1:8080/v1/models"], rest: .dropped),
        Foreign(
            names: ["pull", "download", "get", "fetch"],
            remark: "Hugging Face's own tool fetches a checkpoint, then --model OWNER/NAME finds it",
            words: ["hf", "download"], rest: .model),
        Foreign(
            names: ["show", "info", "plan-memory", "fit"],
            remark: "`foretoken inspect` shows what a model holds and takes",
            words: ["foretoken", "inspect"]),
        Foreign(
            names: ["perplexity", "ppl", "logprobs", "llama-perplexity"],
            remark: "`foretoken score` tells how likely a text is", words: ["foretoken", "score"]),
        Foreign(
            names: ["benchmark", "llama-bench", "perf", "speed", "microbench", "throughput", "latency"],
            remark: "`foretoken bench` measures the speed here", words: ["foretoken", "bench"]),
        Foreign(
            names: ["eval", "acceptance", "spec-bench", "stats"],
            remark: "`foretoken measure` tells how often drafts hold, `foretoken score` how likely a text is",
            words: ["foretoken", "measure"]),
        Foreign(
            names: ["quantize", "quant", "llama-quantize"],
            remark: "--weights int8 or int4 quantizes while loading, `foretoken convert` writes files",
            words: ["foretoken", "chat", "--weights", "int4"], rest: .dropped),
        Foreign(
            names: ["plan", "placement", "numa"], remark: "`foretoken place` plans where experts lie",
            words: ["foretoken", "place"]),
        Foreign(
            names: ["verify", "check", "test", "selftest", "proof"],
            remark: "`foretoken prove` shows that speculation changes nothing, `foretoken doctor` looks at the machine",
            words: ["foretoken", "prove"]),
        Foreign(
            names: ["diagnose", "diagnostics", "system", "env", "hardware"],
            remark: "`foretoken doctor` looks at the machine", words: ["foretoken", "doctor"]),
        Foreign(names: ["version"], remark: "an option tells it", words: ["foretoken", "--version"], rest: .dropped),
        Foreign(
            names: ["create", "push", "cp", "rm", "stop", "signin", "login"],
            remark: "there is no store of models: checkpoints are plain folders, named by --model",
            words: ["foretoken", "chat", "--model", "FOLDER"], rest: .dropped),
    ]

    /// All commands, `help` last.
    static var all: [String] { Foretoken.configuration.subcommands.map { $0._commandName } + ["help"] }

    /// The command that the arguments name, if any.
    static func command(of arguments: [String]) -> (any ParsableCommand.Type)? {
        Foretoken.configuration.subcommands.first { $0._commandName == arguments.first }
    }

    /// Refuses a command line that does not begin with a command, before the argument parser does it with fewer words;
    /// behind `help`, too, where the parser would show everything as if it were right.
    /// - Parameter arguments: the command line without the program's name.
    /// - Throws: `UsageError`.
    static func check(_ arguments: [String]) throws {
        guard let first = arguments.first else { return }
        if first.hasPrefix("-") {
            if let answer = answer(options: arguments) { throw answer }
        } else if !all.contains(first) {
            throw answer(arguments)
        } else if first == "help", arguments.count > 1, !arguments[1].hasPrefix("-"), !all.contains(arguments[1]) {
            let near = EditDistance.nearest(to: arguments[1], among: all)
            let error = answer([arguments[1]])
            throw UsageError(error.description, command: near.map { "foretoken help \($0)" } ?? error.command)
        } else if let answer = WrongGuess.early(arguments) {
            throw answer
        }
    }

    // MARK: Words

    /// What to do for a command that there is not.
    /// - Parameter arguments: the command line from that word on.
    package static func answer(_ arguments: [String]) -> UsageError {
        let (name, rest) = (arguments[0], Array(arguments.dropFirst()))
        func prompt(_ text: String, _ others: [String]) -> UsageError {
            UsageError(
                "'\(text.prefix(40))\(text.count > 40 ? "…" : "")' is no command; if it is a prompt, generate continues it",
                command: ForeignOptions.line(["generate", text] + others))
        }
        // More than a word can only be a text.
        if name.contains(where: \.isWhitespace) { return prompt(name, rest) }
        if let answer = answer(file: name, rest) { return answer }
        let unknown = "there is no command '\(name)'"
        if let found = foreign.first(where: { $0.names.contains(name.lowercased()) }) {
            return UsageError("\(unknown); \(found.remark)", command: line(found, rest))
        }
        if let nearest = EditDistance.nearest(to: name, among: all) {
            return UsageError("\(unknown); did you mean \(nearest)?", command: ForeignOptions.line([nearest] + rest))
        }
        let words = arguments.prefix { !$0.hasPrefix("-") }
        if words.count > 1 { return prompt(words.joined(separator: " "), Array(arguments[words.count...])) }
        return UsageError("\(unknown); there are \(all.joined(separator: ", "))")
    }

    /// What to do for a word that names a file or a model.
    private static func answer(file name: String, _ rest: [String]) -> UsageError? {
        switch ModelFolder.likeness(of: name) {
        case .gguf: UsageError(ModelFolder.ggufAdvice, command: "foretoken chat --model OWNER/NAME")
        case .folder, .repository:
            UsageError(
                "'\(name)' is no command; if it is a model, chat talks with it",
                command: ForeignOptions.line(["chat", "--model", name] + rest))
        case .file:
            UsageError(
                "'\(name)' is a file, and no command; generate continues the text in it",
                command: ForeignOptions.line(["generate", "--prompt-file", name] + rest))
        case nil: nil
        }
    }

    private static func line(_ found: Foreign, _ rest: [String]) -> String? {
        let own = Array(found.words.dropFirst())
        switch found.rest {
        case .dropped: return CommandLineText.quoted(found.words)
        case .model: return CommandLineText.quoted(found.words + [model(rest.first)])
        case .kept: return ForeignOptions.line(own + rest) ?? CommandLineText.quoted(found.words)
        case .question: return ForeignOptions.line(question(own, rest)) ?? CommandLineText.quoted(found.words)
        }
    }

    /// What names a model, or what such names are like.
    private static func model(_ word: String?) -> String {
        word.flatMap { [.folder, .repository].contains(ModelFolder.likeness(of: $0)) ? $0 : nil } ?? "OWNER/NAME"
    }

    private static func question(_ own: [String], _ rest: [String]) -> [String] {
        let words = rest.prefix { !$0.hasPrefix("-") }
        let options = Array(rest[words.count...])
        let isModel = words.first.map { !$0.contains(where: \.isWhitespace) } ?? false
        let named = isModel ? ["--model", model(words.first)] : []
        let text = words.dropFirst(isModel ? 1 : 0).joined(separator: " ")
        if !text.isEmpty { return ["generate", "--chat", text] + named + options }
        let hasPrompt = options.contains { ["-p", "--prompt", "-f", "--file"].contains($0) }
        return (hasPrompt ? ["generate"] : own) + named + options
    }

    // MARK: Options

    /// Options that tell which command is meant.
    private static let telling: [(names: [String], command: String)] = [
        (["-p", "--prompt", "-f", "--file", "--prompt-file"], "generate"), (["--port", "--host"], "serve"),
        (["-m", "--model"], "chat"),
    ]

    /// What to do for options without a command; nil for those that there are.
    private static func answer(options arguments: [String]) -> UsageError? {
        if ["-v", "-V"].contains(arguments[0]) {
            return UsageError(
                "there is no option \(arguments[0]); --version tells the version", command: "foretoken --version")
        }
        if ["-h", "--help", "-help", "--version"].contains(arguments[0]) { return nil }
        if let index = arguments.firstIndex(where: { all.contains($0) }) {
            let words = [arguments[index]] + arguments[..<index] + arguments[(index + 1)...]
            return UsageError("the command comes before its options", command: ForeignOptions.line(words))
        }
        let names = arguments.filter { $0.hasPrefix("-") }.map { $0.prefix { $0 != "=" } }
        let found =
            telling.first { entry in names.contains { entry.names.contains(String($0)) } }?.command
            ?? all.first { command in names.allSatisfy { ForeignOptions.has(command, String($0)) } }
        return found.map {
            UsageError("options come behind a command, such as \($0)", command: ForeignOptions.line([$0] + arguments))
        }
    }
}
