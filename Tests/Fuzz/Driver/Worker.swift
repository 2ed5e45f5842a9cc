import Glibc

/// The process that reads damaged inputs, one after another, until one of them is its end. It leaves the number of the
/// input it is at, and how many it accepted, in a file that outlives it.
struct Worker {
    /// The exit code of a worker whose last input was unclean without killing it.
    static let uncleanCode: Int32 = 3

    let name: String
    let target: Target
    let seed: UInt64

    /// Reads inputs `numbers`, reporting to the file at `status`.
    func run(_ numbers: Range<Int>, status path: String) -> Never {
        let status = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        limit()
        var report = (numbers.lowerBound, 0)
        for number in numbers {
            report.0 = number
            withUnsafeBytes(of: &report) { _ = pwrite(status, $0.baseAddress, $0.count, 0) }
            report.1 += read(target.input(number, seed: seed, name: name)) ? 1 : 0
        }
        report.0 = numbers.upperBound
        withUnsafeBytes(of: &report) { _ = pwrite(status, $0.baseAddress, $0.count, 0) }
        exit(0)
    }

    /// Reads one input and ends.
    func run(_ bytes: [UInt8]) -> Never {
        limit()
        _ = read(bytes)
        exit(0)
    }

    private func read(_ bytes: [UInt8]) -> Bool {
        // Processor time, since a busy machine is not the reader's fault; the alarm is for readers that sleep.
        var timer = itimerval()
        timer.it_value.tv_sec = target.seconds
        setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
        alarm(UInt32(target.seconds * 15))
        do {
            return try target.accepts(bytes)
        } catch {
            complain("\(error)")
            exit(Self.uncleanCode)
        }
    }

    private func limit() {
        if let bytes = target.addressSpace {
            var space = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
            setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &space)
        }
        var core = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core)
    }
}

/// Says something on standard error.
func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
