import ForetokenTestSupport
import FoundationEssentials
import Glibc
import Testing

/// The built program on a terminal of its own, which the test types at and looks at.
final class PseudoTerminal {
    private let folder: TemporaryFolder
    private let descriptor: Int32
    private var process: pid_t = 0
    private var hasEnded = false
    private var bytes: [UInt8] = []
    let columns: Int
    let lines: Int

    private let usual: termios

    init(
        _ arguments: [String], columns: Int = 80, lines: Int = 24, environment: [String: String] = [:],
        program: String = Command.path
    ) throws {
        (self.columns, self.lines) = (columns, lines)
        folder = try TemporaryFolder()
        descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        // TIOCSPTLCK and TIOCGPTN of linux/tty.h; the functions around them are hidden from Swift.
        var (lock, number): (Int32, UInt32) = (0, 0)
        try #require(descriptor >= 0 && ioctl(descriptor, 0x4004_5431, &lock) == 0)
        try #require(ioctl(descriptor, 0x8004_5430, &number) == 0)
        let name = "/dev/pts/\(number)"
        var state = termios()
        tcgetattr(descriptor, &state)
        usual = state
        var size = winsize(ws_row: UInt16(lines), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        try #require(ioctl(descriptor, UInt(TIOCSWINSZ), &size) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Of a new session the first terminal that is opened is its own.
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, name, O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        for signal in [SIGINT, SIGHUP, SIGQUIT, SIGTERM] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var mask = sigset_t()
        posix_spawnattr_setsigmask(&attributes, &mask)
        let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which the headers hide from Swift.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | newSession))
        let inherited = ProcessInfo.processInfo.environment.filter {
            !$0.key.hasPrefix("FORETOKEN_") && $0.key != "NO_COLOR"
        }
        let own = ["XDG_CACHE_HOME": folder.path + "/cache", "TERM": "xterm"]
        let variables = inherited.merging(own) { $1 }.merging(environment) { $1 }.map { "\($0)=\($1)" }
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        try #require(posix_spawn(&process, program, &actions, &attributes, &argv, &envp) == 0)
    }

    /// A test that fails leaves nothing running.
    deinit {
        close(descriptor)
        guard process > 0, !hasEnded else { return }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    }

    /// Everything that was written so far.
    var output: String { String(decoding: bytes, as: UTF8.self) }

    /// What is on the screen.
    var screen: ScreenModel {
        var model = ScreenModel(columns: columns, lines: lines)
        model.write(output)
        return model
    }

    /// Whether the terminal is as it was before the program began.
    var isUsual: Bool {
        var state = termios()
        guard tcgetattr(descriptor, &state) == 0 else { return false }
        return state.c_lflag == usual.c_lflag && state.c_iflag == usual.c_iflag && state.c_oflag == usual.c_oflag
    }

    func send(_ signal: Int32) { kill(process, signal) }

    func type(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(0, count))
        }
    }

    /// Reads until a text has come `count` times, or the program has ended; five minutes at most, against one that hangs.
    func wait(for text: String, _ count: Int = 1) { wait { $0.count(of: text) >= count } }

    /// Reads until the program asks for a message for the `count`th time.
    func waitForPrompt(_ count: Int = 1) { wait(for: "\u{1B}[?2004h", count) }

    /// Reads until what has been written is so.
    func wait(until isSo: (String) -> Bool) {
        let end = ContinuousClock.now + Self.patience
        while !isSo(output), ContinuousClock.now < end, readSome() {}
    }

    private static let patience = Duration.seconds(300)

    /// Waits a tenth of a second for more; whether there may be more.
    private func readSome() -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&request, 1, 100) > 0 else { return true }
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(descriptor, &chunk, chunk.count)
        if count > 0 { bytes += chunk[..<count] }
        return count > 0 || errno == EINTR
    }

    /// Reads to the end and returns the exit code; 128 and more for a signal, which comes from here where nothing ends it.
    func finish() -> Int32 {
        let end = ContinuousClock.now + Self.patience
        while readSome() {
            if ContinuousClock.now > end { kill(process, SIGKILL) }
            var information = siginfo_t()
            if waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0,
                information._sifields._kill.si_pid != 0
            {
                // What is left.
                while readSome(), hasMore {}
                break
            }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        hasEnded = true
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + status & 0x7F
    }

    private var hasMore: Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, 0) > 0
    }
}

extension String {
    /// How often the text has another, without overlaps.
    func count(of other: String) -> Int { split(separator: other, omittingEmptySubsequences: false).count - 1 }
}
