import ArgumentParser

/// What options of other engines are called here.
package enum ForeignOptions {
    /// What becomes of such an option.
    private enum Answer {
        /// It is called so here.
        case option(String)
        /// This one comes nearest, but takes something else.
        case near(String)
        /// It can be left out, with the word behind it if it takes one.
        case needless(String, takesValue: Bool)
        /// Its value stands by itself.
        case bare(String)
        /// Another command does that.
        case command([String], String)
    }

    private typealias Entry = (names: [String], answer: Answer)

    /// By command, where they mean something else there.
    private static let special: [String: [Entry]] = [
        "serve": [(["-p"], .option("--port"))],
        "chat": [
            (
                ["-p", "--prompt"],
                .command(
                    ["generate", "--chat"],
                    "chat asks for its messages, and --input-file reads them; `foretoken generate --chat` answers one")
            )
        ],
        "score": [
            (["-p", "--prompt"], .bare("the text comes without an option: foretoken score \"…\"")),
            (["-f", "--file", "--prompt-file"], .option("--text-file")),
        ],
        "measure": [
            (["--temp", "--temperature"], .option("--temperatures")), (["-p", "--prompt"], .near("--suite")),
        ],
        "tune": [(["-p", "--prompt"], .near("--suite"))],
    ]

    private static let table: [Entry] = [
        (["-m", "--model-path", "--hf-repo", "-hf", "-hfr", "--ckpt-path", "--model-dir"], .option("--model")),
        (["-t", "--n-threads", "-tb", "--threads-batch"], .option("--threads")),
        (["-c", "--ctx-size", "--ctx", "--max-model-len", "--num-ctx", "--context-length"], .option("--context")),
        (["-n", "--n-predict", "--predict", "--max-new-tokens", "--num-predict"], .option("--max-tokens")),
        (["--temp"], .option("--temperature")), (["-f", "--file"], .option("--prompt-file")),
        (["-s"], .option("--seed")), (["-sys", "--system-prompt"], .option("--system")),
        (["-r", "--reverse-prompt"], .option("--stop")), (["-np", "--max-num-seqs"], .option("--parallel")),
        (["--repeat-penalty"], .option("--repetition-penalty")),
        (["--port", "--host"], .command(["serve"], "serve listens")),
        (["-ctk", "-ctv", "--cache-type-k", "--cache-type-v", "--kv-cache-dtype"], .near("--cache-type")),
        (["--draft-max", "--draft-n", "--num-speculative-tokens", "--speculative-num-steps"], .option("--draft")),
        (["--speculative-config", "--spec-type"], .near("--draft")),
        (["--chat-template-file"], .option("--chat-template")),
        (["--jinja"], .near("--chat-template")), (["-a", "--alias"], .option("--served-model-name")),
        (["--api-key"], .near("--api-key-file")),
        (["-q", "--quantization", "--dtype", "--load-format"], .near("--weights")),
        (
            ["-cnv", "--conversation", "-i", "--interactive"],
            .command(["chat"], "`foretoken chat` holds conversations")
        ),
        (
            ["-md", "--model-draft", "--speculative-model"],
            .needless(
                "drafts come from the checkpoint's own MTP modules and from look-up; see --draft-source",
                takesValue: true)
        ),
        (
            [
                "-ngl", "--n-gpu-layers", "--gpu-layers", "-ot", "--override-tensor", "-ncmoe", "--n-cpu-moe",
                "--tensor-parallel-size", "-tp", "--gpu-memory-utilization",
            ], .needless("all runs on the CPUs; leave it out", takesValue: true)
        ),
        (["-fa", "--flash-attn"], .needless("all runs on the CPUs; leave it out", takesValue: false)),
        (
            ["--mlock", "--no-mmap", "--no-warmup"],
            .needless("weights are read into memory of the right nodes in any case; leave it out", takesValue: false)
        ),
        (
            ["--numa"],
            .needless("weights are read into memory of the right nodes in any case; leave it out", takesValue: true)
        ),
        (
            ["-b", "--batch-size", "-ub", "--ubatch-size"],
            .needless("batches need no setting; leave it out", takesValue: true)
        ),
        (
            ["--stream", "--no-stream"],
            .needless("text is shown as it comes, and --json gives it at once; leave it out", takesValue: false)
        ),
        (
            ["-v", "--verbose"],
            .needless("what there is to tell is told; `foretoken doctor` looks at the machine", takesValue: false)
        ),
    ]

    /// Words that flags take elsewhere.
    private static let switches = ["on", "off", "auto", "true", "false", "0", "1"]

    /// - Parameters:
    ///   - name: with its dashes.
    ///   - command: the first word of the command line.
    private static func find(_ name: String, _ command: String?) -> Answer? {
        let own = special[command ?? ""] ?? []
        if let found = (own + table).first(where: { $0.names.contains(name) }) { return found.answer }
        guard name.contains("_") else { return nil }
        let dashed = String(name.map { $0 == "_" ? "-" : $0 })
        return find(dashed, command) ?? .option(dashed)
    }

    /// What to know of an option that the parser does not.
    /// - Parameters:
    ///   - name: with its dashes.
    ///   - arguments: the command line without the program's name.
    /// - Returns: nil for an option that nobody has.
    package static func answer(_ name: String, in arguments: [String]) -> String? {
        switch find(name, arguments.first) {
        case nil: return nil
        case .needless(let remark, _), .bare(let remark), .command(_, let remark): return remark
        case .near(let own):
            return has(arguments.first, own) ? "nearest comes \(own), which takes something else" : owners(of: own)
        case .option(let own):
            return has(arguments.first, own) ? "it is called \(own) here" : owners(of: own)
        }
    }

    private static func owners(of option: String) -> String? {
        let commands = Foretoken.configuration.subcommands.map { $0._commandName }.filter { has($0, option) }
        return commands.isEmpty ? nil : "\(option) is an option of \(commands.joined(separator: ", "))"
    }

    /// A command line with foreign options as they are called here, and without those that there is no need of.
    /// - Parameter arguments: without the program's name; the first is a command.
    package static func corrected(_ arguments: [String]) -> [String] {
        var (head, rest, index) = (Array(arguments.prefix(1)), [String](), 1)
        while index < arguments.count {
            let word = arguments[index]
            index += 1
            if word == "--" { return head + rest + arguments[(index - 1)...] }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let isOption = word.hasPrefix("-") && !has(arguments.first, parts[0])
            switch isOption ? find(parts[0], arguments.first) : nil {
            case .option(let own): rest.append(([own] + parts.dropFirst()).joined(separator: "="))
            case .bare: rest += parts.dropFirst()
            case .command(let words, _):
                head = words
                if has(words.first, parts[0]) { rest.append(word) } else { rest += parts.dropFirst() }
            case .needless(_, let takesValue):
                guard parts.count == 1, index < arguments.count else { break }
                if takesValue || switches.contains(arguments[index]) { index += 1 }
            case .near, nil: rest.append(word)
            }
        }
        return head + rest
    }

    /// The command line as it may be copied; nil where the parser would refuse it still.
    /// - Parameter arguments: as that of `corrected`.
    static func line(_ arguments: [String]) -> String? {
        let fixed = corrected(arguments)
        guard (try? Foretoken.parseAsRoot(fixed)) != nil else { return nil }
        return "foretoken " + CommandLineText.quoted(fixed)
    }

    /// The command that does what an option asks for.
    static func other(_ name: String, _ command: String?) -> String? {
        guard case .command(let words, _) = find(name, command) else { return nil }
        return "foretoken " + CommandLineText.quoted(words)
    }

    /// Whether a command has an option by that name.
    static func has(_ command: String?, _ option: String) -> Bool { words(command).contains(option) }

    /// Whether that option has a word behind it.
    static func takesValue(_ command: String?, _ option: String) -> Bool {
        let words = words(command)
        return words.firstIndex(of: option).map { words.dropFirst($0 + 1).first?.hasPrefix("<") == true } ?? false
    }

    private static func words(_ command: String?) -> [String] {
        guard let type = CommandNames.command(of: command.map { [$0] } ?? []) else { return [] }
        return Foretoken.helpMessage(for: type, columns: 120).split(whereSeparator: { " \n[]".contains($0) }).map(
            String.init)
    }
}
