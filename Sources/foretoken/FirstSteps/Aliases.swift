import ArgumentParser

/// Spellings that users of other engines type first. They are options like others, but help does not show them. Each may be
/// given once, and not beside the option's own name: nothing decides which of two values would be meant.
enum Alias {
    /// The one value that was given.
    /// - Parameters:
    ///   - own: what was given by the option's own name.
    ///   - aliases: what was given by its other spellings.
    static func value<Value>(_ own: Value?, _ aliases: [Value]) -> Value? { own ?? aliases.first }

    /// - Parameters:
    ///   - name: the option's own name.
    ///   - spellings: the others, in words.
    /// - Throws: `ValidationError` where more than one value was given.
    static func check<Value>(_ name: String, _ own: Value?, _ spellings: String, _ aliases: [Value]) throws {
        guard !aliases.isEmpty, aliases.count > 1 || own != nil else { return }
        throw ValidationError("\(name) is given twice: \(spellings) means the same")
    }
}

/// Another spelling of --model.
struct ModelAlias: ParsableArguments {
    @Option(
        name: .customShort("m"), parsing: .singleValue, help: ArgumentHelp(valueName: "dir", visibility: .hidden))
    var values: [String] = []

    func check(_ own: String?) throws { try Alias.check("--model", own, "-m", values) }
}

/// Other spellings of --threads.
struct ThreadsAlias: ParsableArguments {
    @Option(
        name: .customShort("t"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "threads", visibility: .hidden))
    var values: [Int] = []

    func check(_ own: Int?) throws { try Alias.check("--threads", own, "-t", values) }
}

/// Other spellings of --context.
struct ContextAlias: ParsableArguments {
    @Option(
        name: [.customShort("c"), .customLong("ctx-size")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "n", visibility: .hidden))
    var values: [Int] = []

    func check(_ own: Int?) throws { try Alias.check("--context", own, "-c or --ctx-size", values) }
}

/// Other spellings of --max-tokens.
struct MaxTokensAlias: ParsableArguments {
    @Option(
        name: [.customShort("n"), .customLong("n-predict")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "n", visibility: .hidden))
    var values: [Int] = []

    func check(_ own: Int?) throws { try Alias.check("--max-tokens", own, "-n or --n-predict", values) }
}

/// Another spelling of --temperature.
struct TemperatureAlias: ParsableArguments {
    @Option(
        name: .customLong("temp"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "temperature", visibility: .hidden))
    var values: [Float] = []

    func check(_ own: Float?) throws { try Alias.check("--temperature", own, "--temp", values) }
}

/// Other ways to give the prompt.
struct PromptAlias: ParsableArguments {
    @Option(
        name: [.customShort("p"), .customLong("prompt")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "prompt", visibility: .hidden))
    var values: [String] = []

    func check(_ own: String?) throws { try Alias.check("the prompt", own, "-p or --prompt", values) }
}

/// Another spelling of --prompt, where that is an option.
struct ShortPromptAlias: ParsableArguments {
    @Option(
        name: .customShort("p"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(valueName: "prompt", visibility: .hidden))
    var values: [String] = []

    func check(_ own: String?) throws { try Alias.check("--prompt", own, "-p", values) }
}
