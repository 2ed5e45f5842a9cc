import ArgumentParser
import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights
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
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Something the user gave was found but cannot be used.
struct InputError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The user stopped the program; what there was to say has been said.
struct Interrupted: Error {}

/// How the program ends: what it says and the code it leaves.
struct Failure {
    let code: Int32
    /// For standard error, without a final newline; nil when there is nothing to say.
    var message: String?
    /// For standard output: the help text or the version.
    var answer: String?

    init(_ error: any Error) {
        switch error {
        case is Interrupted:
            code = Status.interrupted
        case is BrokenPipe:
            // Whoever read the output has seen enough.
            code = Status.done
        case let error as CheckpointError:
            switch error.kind {
            case .missingPath: code = Status.usage
            case .unusable: code = Status.unusable
            case .system: code = Status.other
            }
            message = error.description
        case is UsageError, is InstructionSetError:
            code = Status.usage
            message = "\(error)"
        case is InputError, is TokenizerError, is GenerationError:
            code = Status.unusable
            message = "\(error)"
        case is HardwareError, is OutputError:
            code = Status.other
            message = "\(error)"
        default:
            self.init(parser: error)
        }
    }

    /// What the argument parser threw, or an error of a kind nobody thought of.
    private init(parser error: any Error) {
        let text = Foretoken.fullMessage(for: error)
        switch Foretoken.exitCode(for: error) {
        case .success:
            code = Status.done
            answer = text
        case .validationFailure:
            code = Status.usage
            message = text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text
        case let other:
            code = error is ExitCode ? other.rawValue : Status.other
            message = error is ExitCode ? nil : "\(error)"
        }
    }

    /// Says what there is to say and ends the process.
    func exit() -> Never {
        if let answer { try? StandardOutput.write(answer.hasSuffix("\n") ? answer : answer + "\n") }
        if let message { Console.error(message) }
        Glibc.exit(code)
    }
}
