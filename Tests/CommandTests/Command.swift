import ForetokenTestSupport
import FoundationEssentials
import Glibc
import Testing

/// The built program, run as a user runs it: its own process, its own streams.
final class Command {
    /// How a process ended and what it wrote.
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String

        /// The output as JSON of that shape.
        func json<T: Decodable>(_: T.Type = T.self) throws -> T {
            try JSONDecoder().decode(T.self, from: Data(output.utf8))
        }
    }

    /// The program lies beside the test bundle, unless FORETOKEN_TESTED names another build of it.
    static let path: String = {
        if let other = ProcessInfo.processInfo.environment["FORETOKEN_TESTED"] { return other }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/foretoken"
    }()

    private let folder: TemporaryFolder
    private var process: pid_t = 0
    private var hasEnded = false

    /// Starts the program. Variables of this project's do not leak in from outside, nor what other runs learnt.
    init(
        _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:], program: String = Command.path
    ) throws {
        folder = try TemporaryFolder()
        try folder.write(input, "input")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, folder.path + "/input", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, folder.path + "/output", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, folder.path + "/errors", O_WRONLY | O_CREAT, 0o600)
        // Shells start background jobs with SIGINT ignored, and the threads tests run on block it; both are inherited.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigaddset(&defaults, SIGINT)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        var mask = sigset_t()
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("FORETOKEN_") }
        let own = ["XDG_CACHE_HOME": folder.path + "/cache"]
        let variables = inherited.merging(own) { $1 }.merging(environment) { $1 }.map { "\($0)=\($1)" }
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        try #require(
            posix_spawn(&process, program, &actions, &attributes, &argv, &envp) == 0, "\(program) cannot be run")
    }

    /// What it has written to standard output so far.
    var outputSoFar: String { (try? text("output")) ?? "" }

    func signal(_ number: Int32) { kill(process, number) }

    /// Waits until something is so, as long as the program runs; ten minutes at most, against a program that hangs.
    func wait(until isSo: () -> Bool) {
        for _ in 0..<60_000 where !isSo() {
            var information = siginfo_t()
            guard waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0,
                information._sifields._kill.si_pid == 0
            else { return }
            usleep(10_000)
        }
    }

    /// Runs a program that reports what it has done when it is interrupted. When it has begun cannot be seen from
    /// outside, so the moment is a guess: where nothing is reported, the next run gets three times as long.
    static func interrupt(_ arguments: [String]) throws -> Outcome {
        var outcome: Outcome
        var seconds: UInt32 = 1
        repeat {
            let command = try Command(arguments)
            sleep(seconds)
            command.signal(SIGINT)
            outcome = try command.finish()
            seconds *= 3
        } while outcome.output.isEmpty && outcome.status == 130 && seconds < 300
        return outcome
    }

    /// A test that fails leaves nothing running.
    deinit {
        guard process > 0, !hasEnded else { return }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    }

    /// Waits for the end.
    func finish() throws -> Outcome {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        hasEnded = true
        // Ended by a signal: reported as shells do.
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + status & 0x7F
        return Outcome(status: code, output: try text("output"), errors: try text("errors"))
    }

    private func text(_ name: String) throws -> String { String(decoding: try folder.read(name), as: UTF8.self) }

    /// Runs the program to its end.
    static func run(
        _ arguments: String..., input: String = "", environment: [String: String] = [:]
    ) throws -> Outcome {
        try Command(arguments, input: Array(input.utf8), environment: environment).finish()
    }

    /// Runs `generate` with more arguments and takes its JSON; anything but success fails the test.
    static func generate(_ arguments: String...) throws -> Generated {
        let outcome = try Command(["generate", "--json"] + arguments).finish()
        try #require(outcome.status == 0, "\(outcome.errors)")
        return try outcome.json()
    }
}

/// What `generate --json` promises.
struct Generated: Decodable {
    struct Timings: Decodable {
        let prompt_n: Int
        let prompt_ms: Double
        let prompt_per_second: Double
        let predicted_n: Int
        let predicted_ms: Double
        let predicted_per_second: Double
        let draft_n: Int
        let draft_n_accepted: Int
    }

    struct Speculation: Decodable {
        struct Policy: Decodable {
            let earlier_runs: Int
        }

        let policy: Policy?
        let rounds: Int
        let drafted: [Int]
        let accepted: [Int]
        let tokens_per_round: Double
        let sources: Sources
        let prediction: Prediction?
    }

    struct Sources: Decodable {
        struct Counts: Decodable {
            let drafted: Int
            let accepted: Int
        }

        let mtp: Counts
        let lookup: Counts
    }

    struct Prediction: Decodable {
        let accepted: Int
        let rejected: Int
    }

    struct LogProbabilities: Decodable, Equatable {
        let token: Int32
        let logprob: Double
        /// [id, log-probability].
        let top: [[Double]]
    }

    let id: String?
    let model: String
    let prompt_tokens: [Int32]
    let tokens: [Int32]
    let text: String
    let finish_reason: String
    let logprobs: [LogProbabilities]?
    let timings: Timings
    let speculation: Speculation
}
