import ArgumentParser
import ForetokenReport
import Glibc

/// What the program says to somebody who gave it nothing to do.
package enum Tour {
    private static let begin = """
        foretoken \(Foretoken.configuration.version) generates text on CPUs from checkpoints of DeepSeek-V3's family, as \
        Hugging Face has them, and drafts tokens so that several come at once. Drafts change the speed, never the text.
        """

    /// Commands and what they do.
    private static let commands = [
        ("foretoken generate \"func add(\" --max-tokens 80", "continue a text"),
        ("foretoken generate --show-drafts \"func add(\"", "see who drafted what"),
        ("foretoken chat", "hold a conversation"), ("foretoken serve", "a server and a chat page"),
        ("foretoken prove --quick", "see that no bit changes"),
    ]

    private static let own = [
        "hf download ai-sage/GigaChat3-10B-A1.8B", "foretoken chat --model ai-sage/GigaChat3-10B-A1.8B",
    ]

    /// The usual width; narrower terminals get what is said of a command below it.
    private static let width = 79

    /// Commands are never broken: they are there to be copied.
    package static func text(on terminal: Terminal) -> String {
        let isNarrow = terminal.isInteractive && terminal.width <= width
        let lines = Terminal(
            isInteractive: true, usesColor: false, width: isNarrow ? terminal.width : width)
        let list = commands.map { command, meaning in
            isNarrow ? "  \(command)\n      \(meaning)\n" : "  \(command.padded(toWidth: 51))\(meaning)\n"
        }
        return lines.prose(begin) + "\n" + lines.prose("A small model is built in, so all of this works at once:")
            + list.joined() + "\nWith a model of your own:\n" + own.map { "  \($0)\n" }.joined() + "\n"
            + lines.prose("`foretoken --help` lists all commands, `foretoken help COMMAND` explains one.")
    }

    /// Shows it.
    /// - Throws: `UsageError` for text that is piped in: nothing says what is to be done with it.
    static func show() throws {
        guard !isTextWaiting else {
            throw UsageError(
                "text is piped in, but no command says what to do with it: generate continues it, generate --chat answers it, "
                    + "score tells how likely it is", command: "… | foretoken generate")
        }
        try StandardOutput.write(text(on: Terminal(descriptor: STDOUT_FILENO)))
    }

    /// Milliseconds in which whoever is at the other end of a pipe may begin.
    private static let patience: Int32 = 500

    /// Whether standard input is a file or a pipe that holds something.
    private static var isTextWaiting: Bool {
        var status = stat()
        guard fstat(STDIN_FILENO, &status) == 0 else { return false }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return lseek(STDIN_FILENO, 0, SEEK_CUR) < status.st_size
        case S_IFIFO:
            var request = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            return poll(&request, 1, patience) > 0 && request.revents & Int16(POLLIN) != 0
        default: return false
        }
    }
}
