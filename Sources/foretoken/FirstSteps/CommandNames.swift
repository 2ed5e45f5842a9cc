import ArgumentParser

/// The names of commands, and what those mean that there are not.
package enum CommandNames {
    /// What users of llama.cpp, ollama, vLLM and others type, and what does that here.
    private static let foreign: [(names: [String], answer: String)] = [
        (
            ["run", "chat-cli", "interactive", "repl", "talk", "cli", "llama-cli", "main"],
            "`foretoken chat` holds a conversation, `foretoken generate` continues a prompt"
        ),
        (
            ["complete", "completion", "predict", "infer", "inference", "ask", "prompt", "simple"],
            "`foretoken generate` continues a prompt"
        ),
        (
            ["server", "api", "llama-server", "http", "api_server", "openai", "web", "webui"],
            "`foretoken serve` answers clients over HTTP"
        ),
        (
            ["list", "ls", "models", "ps"],
            "`foretoken inspect --shapes` lists models whose dimensions are known; checkpoints are plain folders"
        ),
        (
            ["pull", "download", "get", "fetch"],
            "`hf download OWNER/NAME` fetches a checkpoint, then --model OWNER/NAME finds it"
        ),
        (["show", "info", "plan-memory", "fit"], "`foretoken inspect` shows what a model holds and takes"),
        (["perplexity", "ppl", "logprobs", "llama-perplexity"], "`foretoken score` tells how likely a text is"),
        (
            ["benchmark", "llama-bench", "perf", "speed", "microbench", "throughput", "latency"],
            "`foretoken bench` measures the speed here"
        ),
        (
            ["eval", "acceptance", "spec-bench", "stats"],
            "`foretoken measure` tells how often drafts hold, `foretoken score` how likely a text is"
        ),
        (
            ["quantize", "quant", "llama-quantize"],
            "--weights int8 or int4 quantizes while loading, `foretoken convert` writes files"
        ),
        (["plan", "placement", "numa"], "`foretoken place` plans where experts lie"),
        (
            ["verify", "check", "test", "selftest", "proof"],
            "`foretoken prove` shows that speculation changes nothing, `foretoken doctor` looks at the machine"
        ),
        (["diagnose", "diagnostics", "system", "env", "hardware"], "`foretoken doctor` looks at the machine"),
        (["version"], "`foretoken --version` tells it"),
        (
            ["create", "push", "cp", "rm", "stop", "signin", "login"],
            "there is no store of models: checkpoints are plain folders, named by --model"
        ),
    ]

    /// All commands, `help` last.
    static var all: [String] { Foretoken.configuration.subcommands.map { $0._commandName } + ["help"] }

    /// What to do for a command that there is not.
    package static func answer(_ name: String) -> String {
        // More than a word can only be a text.
        if name.contains(where: \.isWhitespace) {
            return "'\(name.prefix(40))\(name.count > 40 ? "…" : "")' is no command; if it is a prompt, put generate "
                + "before it: foretoken generate \"…\""
        }
        let unknown = "there is no command '\(name)'"
        if let found = foreign.first(where: { $0.names.contains(name.lowercased()) }) {
            return "\(unknown); \(found.answer)"
        }
        if let nearest = EditDistance.nearest(to: name, among: all) {
            return "\(unknown); did you mean `foretoken \(nearest)`?"
        }
        return "\(unknown); there are \(all.joined(separator: ", "))"
    }

    /// Refuses a command that there is not, before the argument parser does it with fewer words; behind `help`, too, where
    /// the parser would show everything as if it were right.
    /// - Parameter arguments: the command line without the program's name.
    /// - Throws: `UsageError`.
    static func check(_ arguments: [String]) throws {
        guard let first = arguments.first, !first.hasPrefix("-") else { return }
        guard all.contains(first) else { throw UsageError(answer(first)) }
        guard first == "help", arguments.count > 1, !arguments[1].hasPrefix("-") else { return }
        guard all.contains(arguments[1]) else { throw UsageError(answer(arguments[1])) }
    }

    /// The command that the arguments name, if any.
    static func command(of arguments: [String]) -> (any ParsableCommand.Type)? {
        Foretoken.configuration.subcommands.first { $0._commandName == arguments.first }
    }
}
