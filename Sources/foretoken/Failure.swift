import ArgumentParser
import ForetokenCluster
import ForetokenLoad
import ForetokenReport
import ForetokenServer
import ForetokenText
import Glibc

/// The codes this program exits with.
enum Status {
    /// Done.
    static let done: Int32 = 0
    /// The rest.
    static let other: Int32 = 1
    /// The command line alone is wrong.
    static let usage: Int32 = 2
    /// Something was found but cannot be used (EX_DATAERR).
    static let unusable: Int32 = 65
    /// Ctrl-C.
    static let interrupted: Int32 = 130
}

/// The command line asks for something that cannot be, whatever the files hold.
package struct UsageError: Error, CustomStringConvertible {
    package let description: String
    /// A command line that does what was meant, where one is known.
    package let command: String?

    init(_ description: String, command: String? = nil) {
        self.description = description
        self.command = command
    }
}

/// What is wrong with a line of a file.
struct LineError: Error, CustomStringConvertible {
    let number: Int
    let file: String
    let cause: any Error
    var description: String { "\(file), line \(number): \(cause)" }
}

/// The user stopped the program; what there was to say has been said.
struct Interrupted: Error {}

/// How the program ends: what it says and the code it leaves.
struct Failure {
    let code: Int32
    /// For standard error, without a final newline; nil when there is nothing to say.
    let message: String?
    /// Whether the message has several lines: the argument parser's do.
    private let hasLines: Bool
    /// A command line that does what was meant, where one is known.
    private let command: String?
    /// For standard output: the help text or the version.
    let answer: String?

    init(_ error: any Error) {
        switch error {
        // What there was to say has been said.
        case is Interrupted: self.init(code: Status.interrupted)
        // Whoever read the output has seen enough.
        case is BrokenPipe: self.init(code: Status.done)
        case let error as UsageError: self.init(error)
        case is LineError: self.init(code: Status.unusable, message: "\(error)")
        case let error as ClusterError: self.init(code: error.code, message: error.message)
        case is OutputError, is LimitError, is ListenError, is LoadError:
            self.init(code: Status.other, message: "\(error)")
        default:
            if let fault = Fault(error) {
                self.init(code: Self.code(fault), message: "\(error)")
            } else {
                self.init(parser: error)
            }
        }
    }

    private init(
        code: Int32, message: String? = nil, hasLines: Bool = false, answer: String? = nil, command: String? = nil
    ) {
        self.code = code
        self.message = message
        self.hasLines = hasLines
        self.answer = answer
        self.command = command
    }

    private init(_ error: UsageError) {
        self.init(code: Status.usage, message: error.description, command: error.command)
    }

    private static func code(_ fault: Fault) -> Int32 {
        switch fault {
        case .settings: Status.usage
        case .input: Status.unusable
        case .system: Status.other
        }
    }

    /// What the argument parser threw, or an error of a kind nobody thought of.
    private init(parser error: any Error) {
        let text = HelpText.message(for: error)
        switch Foretoken.exitCode(for: error) {
        case .success: self.init(code: Status.done, answer: text)
        case .validationFailure:
            let prefix = "Error: "
            let message = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
            if let guess = WrongGuess.answer(message, Array(CommandLine.arguments.dropFirst())) {
                self.init(guess)
            } else {
                self.init(code: Status.usage, message: message, hasLines: true)
            }
        case let other:
            let isSilent = error is ExitCode
            self.init(code: isSilent ? other.rawValue : Status.other, message: isSilent ? nil : "\(error)")
        }
    }

    /// Whether it follows from the command line alone, or answers it.
    var isOfCommandLine: Bool { code == Status.usage || answer != nil }

    /// Says what there is to say and ends the process.
    func exit() -> Never {
        say()
        Glibc.exit(code)
    }

    /// Says what there is to say.
    func say() {
        if let answer {
            do {
                try StandardOutput.write(answer.hasSuffix("\n") ? answer : answer + "\n")
            } catch {
                // Neither of the errors of writing has an answer of its own.
                Failure(error).exit()
            }
        }
        if let message { hasLines ? Console.error(lines: message) : Console.error(message) }
        if let command { Console.suggest(command) }
    }
}
