/// What was meant by a command line that the argument parser refuses.
enum WrongGuess {
    /// The answer in place of the parser's message; nil where the parser knows best.
    /// - Parameters:
    ///   - message: the parser's.
    ///   - arguments: the command line without the program's name.
    static func answer(_ message: String, _ arguments: [String]) -> UsageError? {
        let names = quoted(message)
        if message.hasPrefix("Unknown option '"), let name = names.first {
            return option(name, arguments) ?? typo(name, names.dropFirst().first, arguments)
        }
        if message.hasPrefix("Missing value for '-") { return option("", arguments) }
        if message.contains("nexpected argument"), let first = names.first {
            return text(first, names.count, arguments)
        }
        return nil
    }

    /// The answer to letters behind one dash that the parser would take for as many options of its own, some of which it has:
    /// `-hf` for help, `-np 4` for four tokens.
    static func early(_ arguments: [String]) -> UsageError? {
        for word in lettersBehindADash(arguments) where word.prefix(while: { $0 != "=" }).count > 2 {
            if word.hasPrefix("-h") && word != "-help", let answer = option(word, arguments) { return answer }
            let name = String(word.prefix { $0 != "=" })
            if ForeignOptions.answer(name, in: arguments) != nil, let answer = option(name, arguments) { return answer }
        }
        return nil
    }

    private static func lettersBehindADash(_ arguments: [String]) -> [String] {
        arguments.prefix { $0 != "--" }.filter {
            $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.count > 2
        }
    }

    /// What stands in quotes before the parser tells how the command is used.
    private static func quoted(_ message: String) -> [String] {
        let usage = message.firstRange(of: "\nUsage: ")?.lowerBound ?? message.endIndex
        let parts = message[..<usage].split(separator: "'", omittingEmptySubsequences: false)
        return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
    }

    // MARK: Options

    /// - Parameter name: what the parser does not know; empty where it missed something else.
    private static func option(_ name: String, _ arguments: [String]) -> UsageError? {
        // The parser takes several letters behind one dash for as many options.
        let letters = lettersBehindADash(arguments)
        for name in [name] + letters.map({ String($0.prefix { $0 != "=" }) }) where !name.isEmpty {
            guard let answer = ForeignOptions.answer(name, in: arguments) else { continue }
            let command = ForeignOptions.line(arguments) ?? ForeignOptions.other(name, arguments.first)
            return UsageError("there is no option \(name); \(answer)", command: command)
        }
        guard ["generate", "score"].contains(arguments.first), !name.isEmpty, let text = letters.first else {
            return nil
        }
        let moved = arguments.filter { $0 != text } + ["--", text]
        return UsageError(
            "there is no option '\(text)'\(PromptText.dashAdvice)", command: ForeignOptions.line(moved))
    }

    /// An option that nobody has.
    /// - Parameter guess: the parser's, which may be far away.
    private static func typo(_ name: String, _ guess: String?, _ arguments: [String]) -> UsageError? {
        guard let command = arguments.first, CommandNames.command(of: arguments) != nil else { return nil }
        guard let guess, EditDistance.nearest(to: name, among: [guess]) != nil else {
            return UsageError("there is no option \(name)", command: "foretoken help \(command)")
        }
        let words = arguments.map {
            $0 == name ? guess : $0.hasPrefix(name + "=") ? guess + $0.dropFirst(name.count) : $0
        }
        return UsageError("there is no option \(name); did you mean \(guess)?", command: ForeignOptions.line(words))
    }

    // MARK: Words

    /// What a word by itself may be where a command takes none, or no more.
    private static func text(_ word: String, _ count: Int, _ arguments: [String]) -> UsageError? {
        guard let command = arguments.first, let index = arguments.firstIndex(of: word), index > 0 else { return nil }
        let rest = Array(arguments[1..<index] + arguments[(index + 1)...])
        if ModelFolder.likeness(of: word) == .gguf {
            return UsageError(ModelFolder.ggufAdvice, command: "foretoken \(command) --model OWNER/NAME")
        }
        if ["generate", "score"].contains(command) { return unquoted(index, count, arguments) }
        guard count == 1 else { return nil }
        if command == "serve", !word.isEmpty, word.allSatisfy(\.isNumber) {
            return UsageError(
                "'\(word)' stands by itself; --port takes the port",
                command: ForeignOptions.line(["serve", "--port", word] + rest))
        }
        if [.folder, .repository].contains(ModelFolder.likeness(of: word)), ForeignOptions.has(command, "--model") {
            return UsageError(
                "'\(word)' stands by itself; --model takes the model",
                command: ForeignOptions.line([command, "--model", word] + rest))
        }
        let takers = ["chat": ["generate", "--chat", word], "prove": ["prove", "--prompt", word]]
        guard let taker = takers[command] else { return nil }
        return UsageError(
            "\(command) takes no text by itself; `foretoken \(taker[0]) \(taker[1])` does",
            command: ForeignOptions.line(taker + rest))
    }

    /// Words that were to be one text.
    private static func unquoted(_ index: Int, _ count: Int, _ arguments: [String]) -> UsageError {
        let message = "the text must be one word to the shell: put it in quotes"
        let end = index + count
        // The word before begins the text, unless it is an option or belongs to one.
        let start = index - 1
        let before = start > 1 ? arguments[start - 1] : ""
        let isValue = before.hasPrefix("-") && ForeignOptions.takesValue(arguments.first, before)
        let isText = start >= 1 && !arguments[start].hasPrefix("-") && !isValue
        guard isText, end <= arguments.count else { return UsageError(message) }
        let text = arguments[start..<end].joined(separator: " ")
        let words = arguments[..<start] + [text] + arguments[end...]
        return UsageError(message, command: ForeignOptions.line(Array(words)))
    }
}
