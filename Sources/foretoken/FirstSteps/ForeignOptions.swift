import ArgumentParser

/// What options of other engines are called here.
package enum ForeignOptions {
    /// An option of this program by its own name, or what to know instead.
    private enum Answer {
        case option(String)
        case remark(String)
    }

    private static let table: [(names: [String], answer: Answer)] = [
        (["-m", "--model-path", "--hf-repo", "-hf", "-hfr", "--ckpt-path", "--model-dir"], .option("--model")),
        (["-t", "--n-threads", "-tb", "--threads-batch"], .option("--threads")),
        (["-c", "--ctx-size", "--ctx", "--max-model-len", "--num-ctx", "--context-length"], .option("--context")),
        (["-n", "--n-predict", "--predict", "--max-new-tokens", "--num-predict"], .option("--max-tokens")),
        (["--temp"], .option("--temperature")),
        (["-f", "--file"], .option("--prompt-file")),
        (["-s"], .option("--seed")),
        (["-sys", "--system-prompt"], .option("--system")),
        (["-r", "--reverse-prompt"], .option("--stop")),
        (["-np", "--max-num-seqs"], .option("--parallel")),
        (["--repeat-penalty"], .option("--repetition-penalty")),
        (["-ctk", "-ctv", "--cache-type-k", "--cache-type-v", "--kv-cache-dtype"], .option("--cache-type")),
        (
            [
                "--draft-max", "--draft-n", "--num-speculative-tokens", "--speculative-config",
                "--speculative-num-steps",
                "--spec-type",
            ], .option("--draft")
        ),
        (["--chat-template-file", "--jinja"], .option("--chat-template")),
        (["-a", "--alias"], .option("--served-model-name")),
        (["--api-key"], .option("--api-key-file")),
        (["-q", "--quantization", "--dtype", "--load-format"], .option("--weights")),
        (["-cnv", "--conversation", "-i", "--interactive"], .remark("`foretoken chat` holds conversations")),
        (
            ["-md", "--model-draft", "--speculative-model"],
            .remark("drafts come from the checkpoint's own MTP modules and from look-up; see --draft-source")
        ),
        (
            [
                "-ngl", "--n-gpu-layers", "--gpu-layers", "-ot", "--override-tensor", "-ncmoe", "--n-cpu-moe", "-fa",
                "--flash-attn", "--tensor-parallel-size", "-tp", "--gpu-memory-utilization",
            ],
            .remark("all runs on the CPUs; leave it out")
        ),
        (
            ["--mlock", "--no-mmap", "--numa", "--no-warmup"],
            .remark("weights are read into memory of the right nodes in any case; leave it out")
        ),
        (["-b", "--batch-size", "-ub", "--ubatch-size"], .remark("batches need no setting; leave it out")),
        (["-v", "--verbose"], .remark("what there is to tell is told; `foretoken doctor` looks at the machine")),
    ]

    /// What the option that the parser does not know is called here.
    /// - Parameters:
    ///   - name: with its dashes.
    ///   - arguments: the command line without the program's name.
    /// - Returns: nil for an option that nobody has.
    package static func answer(_ name: String, in arguments: [String]) -> String? {
        // Asked for text before anything else: what text of its own a command takes.
        if ["-p", "--prompt"].contains(name), let answer = promptAnswer(arguments.first) { return answer }
        guard let found = table.first(where: { $0.names.contains(name) }) else { return nil }
        guard case .option(let own) = found.answer else {
            guard case .remark(let remark) = found.answer else { return nil }
            return remark
        }
        if let command = CommandNames.command(of: arguments), has(command, own) { return "it is called \(own) here" }
        if arguments.first == "measure" && own == "--temperature" { return "it is called --temperatures here" }
        let commands = Foretoken.configuration.subcommands.filter { has($0, own) }.map { $0._commandName }
        return commands.isEmpty ? nil : "\(own) is an option of \(commands.joined(separator: ", "))"
    }

    private static func promptAnswer(_ command: String?) -> String? {
        switch command {
        case "chat": "chat asks for its messages, and --input-file reads them; `foretoken generate --chat` answers one"
        case "score": "the text comes without an option: foretoken score \"…\""
        case "measure", "tune": "prompts come from --suite"
        default: nil
        }
    }

    private static func has(_ command: any ParsableCommand.Type, _ option: String) -> Bool {
        let help = Foretoken.helpMessage(for: command, columns: 120)
        return help.split(whereSeparator: { " \n[]".contains($0) }).contains(option[...])
    }

    /// The parser's message with what an unknown option is called here in place of its guess, or with how texts that begin
    /// with a dash are given.
    package static func explained(_ message: String, _ arguments: [String]) -> String {
        let start = "Unknown option '"
        let isUnknown = message.hasPrefix(start)
        guard isUnknown || message.hasPrefix("Missing value for '-") else { return message }
        let usage = message.firstRange(of: "\nUsage: ").map { String(message[$0.lowerBound...]) } ?? ""
        let own = isUnknown ? message.dropFirst(start.count).prefix { $0 != "'" } : ""
        // The parser takes several letters behind one dash for as many options.
        let letters = arguments.prefix { $0 != "--" }.filter {
            $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.count > 2
        }
        for name in [String(own)] + letters where !name.isEmpty {
            if let answer = answer(name, in: arguments) { return "\(start)\(name)'; \(answer)\(usage)" }
        }
        guard ["generate", "score"].contains(arguments.first), isUnknown, let text = letters.first else {
            return message
        }
        return "\(start)\(text)'\(PromptText.dashAdvice)\(usage)"
    }
}
