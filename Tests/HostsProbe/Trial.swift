import ForetokenCluster
import ForetokenHardware
import ForetokenModel
import Glibc

/// What hosts-probe can do.
struct Trial {
    let cluster: Cluster
    private var channel: MPIChannel { cluster.channel }

    init(_ cluster: Cluster) { self.cluster = cluster }

    /// The same numbers on all hosts (SplitMix64).
    private struct Numbers {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }

        /// Often 0, mostly small, sometimes above every eager limit.
        mutating func size() -> Int {
            switch next() % 8 {
            case 0, 1: 0
            case 2: Int(next() % 3_000_000)
            case 3: Int(next() % 200_000)
            default: Int(next() % 5_000)
            }
        }
    }

    private func byte(_ index: Int, _ round: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (index &* 0x9E37_79B1 &+ round &* 0x85EB_CA6B) >> 11)
    }

    /// Ends all when something is wrong.
    private func check(_ isRight: Bool, _ what: @autoclosure () -> String) {
        if !isRight { cluster.abandon(ClusterError(code: 3, message: what())) }
    }

    // MARK: Talking

    func talk(rounds: Int, seed: UInt64) throws {
        var numbers = Numbers(state: seed)
        var received = 0
        for round in 0..<rounds {
            let kind = numbers.next() % 3
            let bounds = (0..<cluster.count).reduce(into: [Int(numbers.next() % 5)]) { bounds, _ in
                bounds.append(bounds[bounds.count - 1] + numbers.size())
            }
            if kind == 2 {
                send(round, byteCount: min(bounds[1], 1_000_000))
            } else {
                received += meet(round, bounds, isGather: kind == 1)
            }
        }
        check(channel.waiting.bytes == received, "\(channel.waiting.bytes) bytes counted, \(received) received")
        try cluster.settle(.success(()), phase: "talking")
        if cluster.isLeader { say("\(rounds) rounds are right, \(channel.waiting.meetings) meetings") }
    }

    /// - Returns: bytes that came from others.
    private func meet(_ round: Int, _ bounds: [Int], isGather: Bool) -> Int {
        let own = bounds[cluster.rank]..<bounds[cluster.rank + 1]
        let end = bounds[cluster.count]
        var bytes = [UInt8](repeating: 0, count: end + 4)
        for index in own { bytes[index] = byte(index, round) }
        bytes.withUnsafeMutableBytes { buffer in
            if isGather {
                channel.gather(buffer.baseAddress!, bounds: bounds)
            } else {
                channel.exchange(buffer.baseAddress!, bounds: bounds)
            }
        }
        let hasAll = !isGather || cluster.isLeader
        let known = hasAll ? bounds[0]..<end : own
        for index in bytes.indices {
            let expected = known.contains(index) ? byte(index, round) : 0
            check(bytes[index] == expected, "round \(round), byte \(index): \(bytes[index]), not \(expected)")
        }
        return hasAll ? known.count - own.count : 0
    }

    private func send(_ round: Int, byteCount: Int) {
        if cluster.isLeader {
            let message = (0..<byteCount).map { byte($0, round) }
            message.withUnsafeBytes { channel.lead($0) }
        } else {
            var room = [UInt8](repeating: 0, count: 1_000_000)
            let found = room.withUnsafeMutableBytes { channel.follow(into: $0) }
            check(found == byteCount, "round \(round): a message of \(found) bytes, not \(byteCount)")
            for index in 0..<found { check(room[index] == byte(index, round), "round \(round), byte \(index)") }
        }
    }

    // MARK: Agreeing

    func agree(value: String, odd: Int) throws {
        try cluster.agree([
            AgreedField("the program's version", "0.1.0"),
            AgreedField("the cache's type", cluster.rank == odd ? value : "f32"),
        ])
        if cluster.isLeader { say("agreed") }
    }

    func arithmetic() throws {
        let start = MonotonicClock.now
        let fields = try ArithmeticProbe(instructionSet: nil).fields
        let milliseconds = (MonotonicClock.now - start) / 1_000_000
        try cluster.agree(fields.map { AgreedField($0.name, $0.value) })
        if cluster.isLeader { say("\(fields.count) fields agree, computed in \(milliseconds) ms") }
    }

    func settle(failing: Int, code: Int32) throws {
        let outcome = Result { if cluster.rank == failing { throw PlannedFailure(code: code) } }
        try cluster.settle(outcome, phase: "opening")
        if cluster.isLeader { say("settled") }
    }

    func load(seconds: Int, failing: Int) throws {
        let start = MonotonicClock.now
        var slowest = 1.0
        let outcome = Result {
            for step in 0..<(seconds * 10) {
                cluster.report(fraction: Double(step) / Double(seconds * 10))
                // Rank 1 is slow.
                usleep(cluster.rank == 1 ? 100_000 : 50_000)
                if cluster.isLeader { slowest = min(slowest, cluster.slowestFraction) }
                try cluster.checkOthers()
                if cluster.rank == failing && step == seconds { throw PlannedFailure(code: 65) }
            }
        }
        defer {
            let milliseconds = (MonotonicClock.now - start) / 1_000_000
            if cluster.isLeader { say("loading took \(milliseconds) ms") }
        }
        try cluster.settle(outcome, phase: "loading")
        if cluster.isLeader { say("slowest began at \(slowest)") }
    }

    // MARK: Steps

    private func step(_ bytes: inout [UInt8]) {
        let part = bytes.count / cluster.count
        let bounds = (0...cluster.count).map { $0 * part }
        for _ in 0..<4 { bytes.withUnsafeMutableBytes { channel.exchange($0.baseAddress!, bounds: bounds) } }
        bytes.withUnsafeMutableBytes { channel.gather($0.baseAddress!, bounds: bounds) }
    }

    /// A message of one byte: 1 is a step, 0 the end.
    private func lead(_ order: UInt8) { withUnsafeBytes(of: order) { channel.lead($0) } }

    private func follow(_ bytes: inout [UInt8]) {
        cluster.obeyLeader()
        var room = [UInt8](repeating: 0, count: 16)
        while room.withUnsafeMutableBytes({ channel.follow(into: $0) }) == 1 && room[0] == 1 { step(&bytes) }
    }

    func steps(_ count: Int, pause milliseconds: Int) {
        var bytes = [UInt8](repeating: 0, count: 28_672)
        guard cluster.isLeader else { return follow(&bytes) }
        cluster.setOnLoss { complain("the server answers 503") }
        for _ in 0..<count {
            lead(1)
            step(&bytes)
            usleep(UInt32(milliseconds * 1000))
        }
        lead(0)
        say("\(count) steps, \(channel.waiting.meetings) meetings")
    }

    func overlong() {
        if cluster.isLeader {
            [UInt8](repeating: 1, count: 1000).withUnsafeBytes { channel.lead($0) }
        } else {
            var room = [UInt8](repeating: 0, count: 16)
            let count = room.withUnsafeMutableBytes { channel.follow(into: $0) }
            complain("a message of \(count) bytes was taken")
        }
    }

    func idle(seconds: Int) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        if cluster.isLeader {
            usleep(UInt32(seconds * 1_000_000))
            lead(0)
        } else {
            // Once it has become lazy.
            let before = processorMilliseconds()
            follow(&bytes)
            bytes[0] = UInt8(min(255, processorMilliseconds() - before))
        }
        var times = [UInt8](repeating: 0, count: cluster.count)
        times[cluster.rank] = bytes[0]
        channel.gather(&times, bounds: Array(0...cluster.count))
        if cluster.isLeader { say("followers used \(times.dropFirst().map(String.init).joined(separator: ", ")) ms") }
    }

    private func processorMilliseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    func signals(seconds: Int) throws {
        var bytes = [UInt8](repeating: 0, count: 28_672)
        guard cluster.isLeader else { return follow(&bytes) }
        try Interrupts.install()
        say("ready")
        var count = 0
        let start = MonotonicClock.now
        while !Interrupts.requested && MonotonicClock.now - start < Int64(seconds) * 1_000_000_000 {
            lead(1)
            step(&bytes)
            usleep(5000)
            count += 1
        }
        lead(0)
        say(Interrupts.requested ? "interrupted, statistics follow" : "nobody asked to stop")
    }

    func links() {
        let start = MonotonicClock.now
        let figures = cluster.probeLinks()
        guard cluster.isLeader else { return }
        for (rank, figure) in figures.enumerated() {
            guard let figure else { continue }
            say("\(cluster.hosts[rank].label): \(figure.latency * 1e6) us, \(figure.bandwidth / 1e9) GB/s")
        }
        say("took \((MonotonicClock.now - start) / 1_000_000) ms")
    }
}
