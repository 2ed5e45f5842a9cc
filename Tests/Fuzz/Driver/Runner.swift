import ForetokenTestSupport
import FoundationEssentials
import Glibc

/// Hands out numbers of inputs to workers, as many at a time as there are cores, and finds the input when one of them dies.
struct Runner {
    /// When to stop.
    enum Limit {
        /// After so many seconds.
        case seconds(Int)
        /// After so many inputs, divided evenly over the formats.
        case inputs(Int)
    }

    /// What has been done of one format.
    private struct Progress {
        let name: String
        var next = 0
        var done = 0
        var accepted = 0
        var failed = 0
        var batch = 4
        var time = 0.0
        var isBusy = false
    }

    private struct Job {
        let process: Process
        let format: Int
        let numbers: Range<Int>
        let slot: Int
        let started: ContinuousClock.Instant
    }

    let limit: Limit
    let seed: UInt64
    /// Where failing inputs are kept.
    let failures: String
    private var formats: [Progress]
    private let scratch: TemporaryFolder
    private var jobs: [Job] = []

    /// Seconds that a batch should take.
    private static let batchSeconds = 2.0

    init(_ names: [String], limit: Limit, seed: UInt64, failures: String) throws {
        self.limit = limit
        self.seed = seed
        self.failures = failures
        formats = names.map { Progress(name: $0) }
        scratch = try TemporaryFolder()
    }

    /// Where this program lies.
    static let ownPath: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()

    /// Works until the limit; prints counts by format.
    /// - Returns: inputs read as they should be, and others.
    mutating func run() throws -> (passed: Int, failed: Int) {
        let slots = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        let started = ContinuousClock.now
        var told = started
        while true {
            while jobs.count < slots, let format = choose(after: started) { try start(format, slots: slots) }
            if jobs.isEmpty { break }
            try finishOne()
            if ContinuousClock.now - told > .seconds(30) {
                told = .now
                print("\(formats.reduce(0) { $0 + $1.done }) inputs, \(formats.reduce(0) { $0 + $1.failed }) unclean")
                fflush(nil)
            }
        }
        for format in formats {
            print("\(format.name): \(format.done) inputs, \(format.accepted) accepted, \(format.failed) unclean")
        }
        let failed = formats.reduce(0) { $0 + $1.failed }
        return (formats.reduce(0) { $0 + $1.done } - failed, failed)
    }

    /// The format that is furthest behind and has no worker; nil when there is nothing to begin.
    private func choose(after started: ContinuousClock.Instant) -> Int? {
        let free = formats.indices.filter { !formats[$0].isBusy }
        switch limit {
        case .seconds(let seconds):
            guard ContinuousClock.now - started < .seconds(seconds) else { return nil }
            return free.min { formats[$0].time < formats[$1].time }
        case .inputs(let count):
            let share = (count + formats.count - 1) / formats.count
            return free.filter { formats[$0].next < share }.min { formats[$0].next < formats[$1].next }
        }
    }

    private mutating func start(_ index: Int, slots: Int) throws {
        let used = Set(jobs.map(\.slot))
        guard let slot = (0..<slots).first(where: { !used.contains($0) }) else { return }
        let format = formats[index]
        var count = format.batch
        if case .inputs(let all) = limit { count = min(count, (all + formats.count - 1) / formats.count - format.next) }
        let numbers = format.next..<format.next + count
        unlink(status(slot))
        let process = try Process(
            [Self.ownPath, "worker", format.name, "\(seed)", "\(numbers.lowerBound)", "\(count)", status(slot)],
            errors: scratch.path + "/errors-\(slot)")
        formats[index].isBusy = true
        formats[index].next = numbers.upperBound
        jobs.append(Job(process: process, format: index, numbers: numbers, slot: slot, started: .now))
    }

    private func status(_ slot: Int) -> String { scratch.path + "/status-\(slot)" }

    private mutating func finishOne() throws {
        var status: Int32 = 0
        let id = waitpid(-1, &status, 0)
        guard let place = jobs.firstIndex(where: { $0.process.id == id }) else { return }
        let job = jobs.remove(at: place)
        let seconds = (ContinuousClock.now - job.started) / .seconds(1)
        var report = (job.numbers.lowerBound, 0)
        if let bytes = try? scratch.read("status-\(job.slot)"), bytes.count == 16 {
            report = bytes.withUnsafeBytes { ($0.load(as: Int.self), $0.load(fromByteOffset: 8, as: Int.self)) }
        }
        let index = job.format
        formats[index].isBusy = false
        formats[index].time += seconds
        formats[index].accepted += report.1
        let ending = Process.Ending(status: status)
        guard ending != .code(0) else {
            formats[index].done += job.numbers.count
            let faster = Double(job.numbers.count) * Self.batchSeconds / max(seconds, 0.01)
            formats[index].batch = min(max(1, Int(faster)), 2 * formats[index].batch, 5000)
            return
        }
        let errors = (try? scratch.read("errors-\(job.slot)")) ?? []
        formats[index].done += report.0 - job.numbers.lowerBound + 1
        formats[index].failed += 1
        formats[index].next = report.0 + 1
        try keep(report.0, formats[index].name, ending, String(decoding: errors.suffix(3000), as: UTF8.self))
        // A format that fails again and again says nothing new.
        if formats[index].failed >= 20 {
            print("\(formats[index].name): given up after 20 unclean inputs")
            formats[index].isBusy = true
        }
    }

    /// Repeats a failure alone, makes its input smaller, and keeps it.
    private func keep(_ number: Int, _ name: String, _ ending: Process.Ending, _ errors: String) throws {
        print("FAILED: \(name), input \(number) of seed \(seed), \(Self.text(ending)): \(errors)")
        guard let make = Formats.make(name) else { return }
        var bytes = try make().input(number, seed: seed, name: name)
        if Self.replay(bytes, name, scratch) == .code(0) {
            print("  alone it is clean, so what came before it matters")
        } else {
            bytes = smaller(bytes, name)
        }
        mkdir(failures, 0o755)
        let file = "\(failures)/\(name).\(String(Checksum.of(bytes), radix: 16))"
        try Data(bytes).write(to: URL(filePath: file))
        print("  kept as \(file), \(bytes.count) bytes")
        fflush(nil)
    }

    /// The input without parts that do not matter; at most 60 attempts.
    private func smaller(_ bytes: [UInt8], _ name: String) -> [UInt8] {
        var best = bytes
        var attempts = 0
        var size = best.count / 2
        while size > 0 {
            var start = 0
            while start < best.count {
                guard attempts < 60 else { return best }
                attempts += 1
                var candidate = best
                candidate.removeSubrange(start..<min(start + size, best.count))
                if Self.replay(candidate, name, scratch) != .code(0) { best = candidate } else { start += size }
            }
            size /= 2
        }
        return best
    }

    /// How a worker of its own ends with one input.
    static func replay(_ bytes: [UInt8], _ name: String, _ scratch: TemporaryFolder) -> Process.Ending? {
        guard (try? scratch.write(bytes, "input")) != nil else { return nil }
        let process = try? Process(
            [ownPath, "once", name, scratch.path + "/input"], errors: scratch.path + "/errors-once")
        return process?.wait()
    }

    static func text(_ ending: Process.Ending) -> String {
        switch ending {
        case .code(let code): code == Worker.uncleanCode ? "unclean" : "exit code \(code)"
        case .signal(SIGPROF), .signal(SIGALRM): "no end in sight"
        case .signal(let number): "signal \(number)"
        }
    }
}
