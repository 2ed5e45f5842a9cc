import ArgumentParser

/// What the program says to somebody who gave it nothing to do.
enum Tour {
    /// Lines of at most 79 columns, so that nothing wraps on the usual terminal.
    static let text = """
        foretoken \(Foretoken.configuration.version) generates text on CPUs from checkpoints of DeepSeek-V3's
        family, as Hugging Face has them, and drafts tokens so that several come at
        once. Drafts change the speed, never the text.

        A small model is built in, so all of this works at once:
          foretoken generate "func add(" --max-tokens 80     continue a text
          foretoken generate --show-drafts "func add("       see who drafted what
          foretoken chat                                     hold a conversation
          foretoken serve                                    a server and a chat page
          foretoken prove --quick                            see that no bit changes

        With a model of your own:
          hf download ai-sage/GigaChat3-10B-A1.8B
          foretoken chat --model ai-sage/GigaChat3-10B-A1.8B

        foretoken --help lists all commands, foretoken help COMMAND explains one.

        """
}
