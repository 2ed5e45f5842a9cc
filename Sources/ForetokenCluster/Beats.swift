import CForetokenHosts
import ForetokenHardware
import Glibc
import Synchronization

/// Signs of life between rank 0 and each other rank, from a thread of its own, so that a host that dies or loses its cable is
/// noticed while nobody meets: at a prompt, and in the minutes of loading. With them goes how far loading has come and
/// whether it has failed.
final class Beats: @unchecked Sendable {
    private struct State {
        var fraction = 0.0
        var hasFailed = false
        var slowestOfOthers = 1.0
        var anotherHasFailed = false
    }

    private static let fractionUnit = 1_000_000.0
    private static let longestInterval: Int64 = 1_000_000_000

    private let ranks: Ranks
    private let state = Mutex(State())
    /// Between beats, in milliseconds.
    private let interval: Int32
    /// Its reading end wakes the thread.
    private let bell: (read: Int32, write: Int32)
    private let isStopping = Atomic(false)
    private let hasEnded = Atomic(false)

    /// - Throws: `HardwareError` when there can be no further thread or descriptor.
    init(_ ranks: Ranks) throws {
        self.ranks = ranks
        interval = Int32(min(Self.longestInterval, ranks.patience / 5) / 1_000_000)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw HardwareError.system("making a pipe", errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        bell = (ends[0], ends[1])
        do {
            try DetachedThread.start("signs of life for other hosts") { self.run() }
        } catch {
            close(bell.read)
            close(bell.write)
            throw error
        }
    }

    /// How far this host has come, 0...1.
    func set(fraction: Double) { state.withLock { $0.fraction = fraction } }

    /// Tells the others soon that this host has failed.
    func fail() {
        state.withLock { $0.hasFailed = true }
        ring()
    }

    /// Whether another host has failed; rank 0 knows of all, and tells the others.
    var anotherHasFailed: Bool { state.withLock { $0.anotherHasFailed } }

    /// How far the slowest host has come, on rank 0.
    var slowestFraction: Double { state.withLock { min($0.fraction, $0.slowestOfOthers) } }

    /// Ends the thread; afterwards others hear nothing more.
    func stop() {
        guard !isStopping.exchange(true, ordering: .sequentiallyConsistent) else { return }
        ring()
        while !hasEnded.load(ordering: .sequentiallyConsistent) { usleep(500) }
        close(bell.read)
        close(bell.write)
    }

    private func ring() {
        var byte: UInt8 = 1
        _ = write(bell.write, &byte, 1)
    }

    private func run() {
        var heard = [Int64](repeating: 0, count: ranks.count * Int(FORETOKEN_BEAT_NUMBERS))
        var silence = [Int64](repeating: 0, count: ranks.count)
        while !isStopping.load(ordering: .sequentiallyConsistent) {
            beat(&heard, &silence)
            var wait = pollfd(fd: bell.read, events: Int16(POLLIN), revents: 0)
            if poll(&wait, 1, interval) > 0 {
                var bytes: UInt64 = 0
                _ = read(bell.read, &bytes, 8)
            }
        }
        hasEnded.store(true, ordering: .sequentiallyConsistent)
    }

    private func beat(_ heard: inout [Int64], _ silence: inout [Int64]) {
        let own: [Int64] = state.withLock { state in
            // Rank 0 hands on what it has heard.
            let fails = state.hasFailed || (ranks.rank == 0 && state.anotherHasFailed)
            return [Int64(state.fraction * Self.fractionUnit), fails ? 1 : 0]
        }
        ranks.check(ranks.hosts.pointee.beat(own, &heard, &silence), patience: 0)
        let others = ranks.rank == 0 ? Array(1..<ranks.count) : [0]
        let patience = ranks.patience
        ranks.note(silence: (0..<ranks.count).map { others.contains($0) ? silence[$0] : nil })
        let lost = others.filter { silence[$0] > patience }
        if !lost.isEmpty { ranks.lose(lost, afterNanoseconds: patience) }
        state.withLock { state in
            let slowest = others.map { Double(heard[2 * $0]) / Self.fractionUnit }.min() ?? 1
            state.slowestOfOthers = min(1, max(0, slowest))
            if others.contains(where: { heard[2 * $0 + 1] != 0 }) { state.anotherHasFailed = true }
        }
    }
}
