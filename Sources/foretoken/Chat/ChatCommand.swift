import ForetokenSpeculation

/// What a line of a conversation asks of the program instead of the model.
package enum ChatCommand: Equatable, Sendable {
    case help, clear, stats, retry, exit
    /// These tell what is set where they are given nothing.
    case system(String?), temperature(Float?), seed(UInt64?), draft(DraftMode?), marks(Bool?)
    case save(String), load(String)

    /// Names, what they take, and what they do. The first name of a line is the one that help shows.
    private static let list: [(names: [String], argument: String, meaning: String)] = [
        (["help", "h"], "", "shows this"),
        (["system"], "TEXT", "sets the system message; \"\" for none"),
        (["temperature", "temp"], "T", "0 always takes the likeliest token"),
        (["seed"], "N", "decides the noise at temperatures above 0"),
        (["draft"], "auto|off|N", "tokens to draft in each round"),
        (["marks"], "on|off", "marks each token by who drafted it"),
        (["stats"], "", "the figures of the last answer"),
        (["retry"], "", "asks the last message again, at temperatures above 0 with the next seed"),
        (["save"], "FILE", "keeps the conversation as JSON lines of role and content"),
        (["load"], "FILE", "goes on from a conversation that was saved"),
        (["clear", "reset", "new"], "", "forgets the conversation, but not the system message"),
        (["exit", "bye", "quit", "q"], "", "ends, as the end of the input does"),
    ]

    /// All commands, one a line: what to type and what it does.
    package static var all: [(usage: String, meaning: String)] {
        list.map { ("/\($0.names[0])" + ($0.argument.isEmpty ? "" : " \($0.argument)"), $0.meaning) }
    }

    /// The command that a message is; nil for one that goes to the model: of several lines, or not beginning with a slash
    /// and a word.
    /// - Throws: `UsageError` for a word that is no command, and for what a command cannot take.
    package static func parse(_ message: String) throws -> ChatCommand? {
        guard message.hasPrefix("/"), !message.contains(where: \.isNewline) else { return nil }
        let parts = message.dropFirst().split(maxSplits: 1, omittingEmptySubsequences: false) {
            $0 == " " || $0 == "\t"
        }
        let word = String(parts[0])
        guard word == "?" || (!word.isEmpty && word.allSatisfy { $0.isASCII && $0.isLetter }) else { return nil }
        let rest = parts.count > 1 ? parts[1].trimmed : ""
        return try make(word == "?" ? "help" : word.lowercased(), rest)
    }

    private static func make(_ word: String, _ argument: String) throws -> ChatCommand {
        guard let found = list.first(where: { $0.names.contains(word) }) else { throw unknown(word) }
        let name = found.names[0]
        if found.argument.isEmpty && !argument.isEmpty { throw UsageError("/\(name) takes nothing behind it") }
        let isGiven = !argument.isEmpty
        switch name {
        case "help": return .help
        case "clear": return .clear
        case "stats": return .stats
        case "retry": return .retry
        case "exit": return .exit
        case "system": return .system(isGiven ? (argument == "\"\"" ? "" : argument) : nil)
        case "temperature": return .temperature(try value(name, argument, "a number such as 0.7") { Float($0) })
        case "seed": return .seed(try value(name, argument, "a whole number, 0 or more") { UInt64($0) })
        case "draft":
            return .draft(try value(name, argument, "auto, off or 1...15") { DraftMode(argument: $0) })
        case "marks": return .marks(try value(name, argument, "on or off") { ["on": true, "off": false][$0] })
        default:
            guard isGiven else { throw UsageError("/\(name) needs the name of a file") }
            return name == "save" ? .save(argument) : .load(argument)
        }
    }

    private static func value<Value>(
        _ name: String, _ argument: String, _ wanted: String, _ read: (String) -> Value?
    ) throws -> Value? {
        guard !argument.isEmpty else { return nil }
        guard let value = read(argument) else { throw UsageError("/\(name) wants \(wanted), not '\(argument)'") }
        return value
    }

    private static func unknown(_ word: String) -> UsageError {
        let names = list.flatMap(\.names)
        let nearest = EditDistance.nearest(to: word, among: names).map { "did you mean /\($0)?" }
        return UsageError(
            "there is no command /\(word); \(nearest ?? "/help lists them.") With a space before it, it is a message to the "
                + "model")
    }
}
