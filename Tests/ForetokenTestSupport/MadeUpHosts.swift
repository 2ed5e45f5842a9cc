import ForetokenHardware
import ForetokenModel
import ForetokenWeights
import Glibc

/// Hosts that exist in name only: threads of this process that talk through its memory.
public final class MadeUpHosts: @unchecked Sendable {
    private let count: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// By host: the leader's messages that it has not taken yet.
    private var messages: [[[UInt8]]]
    /// By host: what it has brought to the present meeting.
    private var brought: [UnsafeMutableRawPointer?]
    private var meeting = 0
    private var arrived = 0
    private var running = 0
    /// What a follower threw.
    private var errors: [any Error] = []

    private init(_ count: Int) {
        self.count = count
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
        messages = .init(repeating: [], count: count)
        brought = .init(repeating: nil, count: count)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    private func wait(until isTrue: () -> Bool) {
        while !isTrue() {
            // The others would wait for it for ever.
            if let error = errors.first { preconditionFailure("a host failed: \(error)") }
            pthread_cond_wait(changed, mutex)
        }
    }

    private func tell() { pthread_cond_broadcast(changed) }

    /// Waits until all hosts have come.
    private func meet(_ rank: Int, _ bytes: UnsafeMutableRawPointer?) {
        locked {
            brought[rank] = bytes
            arrived += 1
            let mine = meeting
            if arrived == count {
                arrived = 0
                meeting += 1
                tell()
            }
            wait { meeting != mine }
        }
    }

    /// One host's end of the line.
    private final class Channel: HostChannel {
        let hosts: MadeUpHosts
        let rank: Int
        var waiting = HostWaiting()
        var count: Int { hosts.count }

        init(_ hosts: MadeUpHosts, _ rank: Int) {
            self.hosts = hosts
            self.rank = rank
        }

        func lead(_ message: UnsafeRawBufferPointer) {
            hosts.locked {
                for host in 1..<count { hosts.messages[host].append(Array(message)) }
                hosts.tell()
            }
        }

        func follow(into room: UnsafeMutableRawBufferPointer) -> Int {
            hosts.locked {
                hosts.wait { !hosts.messages[rank].isEmpty }
                let message = hosts.messages[rank].removeFirst()
                room.copyBytes(from: message)
                return message.count
            }
        }

        func exchange(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>) {
            take(bytes, bounds, isTaker: true)
        }

        func gather(_ bytes: UnsafeMutableRawPointer, bounds: UnsafePointer<Int>) {
            take(bytes, bounds, isTaker: rank == 0)
        }

        private func take(_ bytes: UnsafeMutableRawPointer, _ bounds: UnsafePointer<Int>, isTaker: Bool) {
            hosts.meet(rank, bytes)
            for host in 0..<count where isTaker && host != rank {
                (bytes + bounds[host])
                    .copyMemory(from: hosts.brought[host]! + bounds[host], byteCount: bounds[host + 1] - bounds[host])
            }
            // Nobody changes what others still read.
            hosts.meet(rank, bytes)
            waiting.meetings += 1
            waiting.bytes += isTaker ? bounds[count] - (bounds[rank + 1] - bounds[rank]) : 0
        }
    }

    /// Does something with a model that hosts share, each with a part of its weights and workers of its own.
    ///
    /// - Parameters:
    ///   - threads: workers of each host.
    ///   - nodes: memory nodes of each host.
    ///   - body: is given the leader's end; nothing of it may outlive the call.
    /// - Throws: what the body or a host throws.
    public static func run<Result>(
        _ directory: String, _ division: HostShare.Division, threads: Int = 1, format: ResidentFormat = .stored,
        nodes: NodeLayout = .single, _ body: (Model) throws -> Result
    ) throws -> Result {
        let count = HostShare(division, rank: 0).count
        let hosts = MadeUpHosts(count)
        @Sendable func load(_ rank: Int) throws -> Model {
            try Model.load(
                directory, threads: threads, format: format, nodes: nodes, host: HostShare(division, rank: rank),
                channel: Channel(hosts, rank))
        }
        for rank in 1..<count {
            hosts.locked { hosts.running += 1 }
            try DetachedThread.start("host \(rank)") {
                do {
                    _ = try Follower(load(rank)).run()
                } catch {
                    hosts.locked {
                        hosts.errors.append(error)
                        hosts.tell()
                    }
                }
                hosts.locked {
                    hosts.running -= 1
                    hosts.tell()
                }
            }
        }
        let result = try body(load(0))
        try hosts.locked {
            hosts.wait { hosts.running == 0 }
            if let error = hosts.errors.first { throw error }
        }
        return result
    }
}
