import Glibc

/// A program that runs beside this one.
struct Process {
    let id: pid_t

    /// Starts a program with its standard input empty.
    /// - Parameters:
    ///   - output: file for standard output, nil for nowhere.
    ///   - errors: the same for standard error.
    ///   - variables: added to the environment; this project's own variables are taken out of it.
    init(
        _ arguments: [String], output: String? = nil, errors: String? = nil, input: String = "/dev/null",
        variables: [String: String] = [:]
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let written = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output ?? "/dev/null", written, 0o600)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors ?? "/dev/null", written, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Background jobs of shells have SIGINT ignored.
        var defaults = sigset_t()
        sigaddset(&defaults, SIGINT)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var texts: [String] = []
        var entry = environ
        while let text = entry.pointee {
            let variable = String(cString: text)
            let name = variable.prefix { $0 != "=" }
            if !name.hasPrefix("FORETOKEN_"), variables[String(name)] == nil { texts.append(variable) }
            entry += 1
        }
        texts += variables.map { "\($0)=\($1)" }
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = texts.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var id: pid_t = 0
        guard posix_spawn(&id, arguments[0], &actions, &attributes, &argv, &envp) == 0 else {
            throw Unclean("\(arguments[0]) cannot be run")
        }
        self.id = id
    }

    /// How a program ended.
    enum Ending: Equatable {
        case code(Int32)
        case signal(Int32)

        init(status: Int32) {
            self = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
        }
    }

    /// Waits for the end.
    func wait() -> Ending {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 && errno == EINTR {}
        return Ending(status: status)
    }

    /// The end, where it came within some seconds.
    func wait(seconds: Int) -> Ending? {
        var status: Int32 = 0
        var pause: UInt32 = 500
        var waited = 0
        while waited < seconds * 1_000_000 {
            if waitpid(id, &status, WNOHANG) == id { return Ending(status: status) }
            usleep(pause)
            waited += Int(pause)
            pause = min(pause * 2, 50_000)
        }
        return nil
    }
}
