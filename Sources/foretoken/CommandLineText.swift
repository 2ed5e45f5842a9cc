import ForetokenText
import Glibc

/// The bytes of the command line, before anybody repairs them.
enum CommandLineText {
    /// The words as a shell reads them back, for whoever copies the line.
    static func quoted(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

    private static func quoted(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=,@%+".contains($0) }
        if isPlain { return word }
        if !word.contains(where: { "\"$`\\!".contains($0) }) { return "\"\(word)\"" }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// Swift replaces what is not UTF-8 in its arguments; a prompt changed behind the user's back would be a wrong answer.
    /// - Throws: `InputError` for the first argument that is not UTF-8, and where Swift finds not even the program's name:
    ///   it reads arguments from /proc, and without them the help text would be the answer to everything.
    static func check() throws {
        guard CommandLine.argc > 0 else {
            throw InputError("the arguments cannot be read from /proc/self/cmdline; is /proc mounted?")
        }
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = CommandLine.unsafeArgv[index] else { return }
            let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
            guard String(validating: bytes, as: UTF8.self) != nil else {
                throw InputError("argument \(index) of the command line is not valid UTF-8")
            }
        }
    }
}
