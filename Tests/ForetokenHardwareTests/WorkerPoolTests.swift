import CForetokenSystem
import ForetokenHardware
import Glibc
import Testing

/// One counter a worker, a cache line apart.
private struct Counters {
    static let stride = 16
    let runs: UnsafeMutablePointer<Int64>

    init(workers: Int) {
        runs = .allocate(capacity: workers * Self.stride)
        runs.initialize(repeating: 0, count: workers * Self.stride)
    }
}

private let countRun: WorkerPool.Entry = { context, worker, _ in
    context?.assumingMemoryBound(to: Int64.self)[Int(worker) * Counters.stride] += 1
}

/// The CPUs the calling thread may use.
private func availableCPUs() -> [Int] {
    var cpus = [Int32](repeating: 0, count: Int(FORETOKEN_MAX_CPUS))
    var count: Int32 = 0
    return foretoken_affinity_get(&cpus, &count) == 0 ? cpus.prefix(Int(count)).map(Int.init) : []
}

@Suite(.serialized) struct WorkerPoolTests {
    @Test(arguments: [1, 2, 3, 4])
    func everyWorkerRunsExactlyOncePerRun(threads: Int) throws {
        let pool = try WorkerPool(threads: threads)
        #expect(pool.workerCount == threads)
        #expect(!pool.isPinned)
        #expect(!pool.startSpinning(), "a pool that is not pinned never spins")
        let counters = Counters(workers: threads)
        defer { counters.runs.deallocate() }
        for run in 1...100_000 {
            pool.run(countRun, counters.runs)
            for worker in 0..<threads where counters.runs[worker * Counters.stride] != Int64(run) {
                Issue.record("worker \(worker) has run \(counters.runs[worker * Counters.stride]) times of \(run)")
                return
            }
        }
    }

    @Test(arguments: [[1, 1], [2, 1], [1, 3], [2, 2, 1], [1, 1, 1, 1]])
    func groupsMeetInTwoLevels(sizes: [Int]) throws {
        let threads = sizes.reduce(0, +)
        let pool = try WorkerPool(threads: threads, teamSizes: sizes)
        #expect(pool.teamSizes == sizes)
        let teams = sizes.indices.flatMap { Array(repeating: $0, count: sizes[$0]) }
        #expect((0..<threads).map { Int(pool.seats[$0].team) } == teams)
        let counters = Counters(workers: threads)
        defer { counters.runs.deallocate() }
        for run in 1...20_000 {
            pool.run(countRun, counters.runs)
            for worker in 0..<threads where counters.runs[worker * Counters.stride] != Int64(run) {
                Issue.record("worker \(worker) has run \(counters.runs[worker * Counters.stride]) times of \(run)")
                return
            }
        }
        #expect(pool.teamWaits.count == sizes.count)
        #expect(pool.teamWaits.allSatisfy { $0 >= 0 })
    }

    @Test("The team that finishes first waits for the one that finishes last")
    func waitsAreCounted() throws {
        let pool = try WorkerPool(threads: 2, teamSizes: [1, 1])
        // Far longer than a busy machine keeps a thread waiting.
        pool.run({ _, worker, _ in if worker == 1 { usleep(1_000_000) } }, nil)
        #expect(pool.teamWaits[0] >= 100_000_000)
        #expect(pool.teamWaits[1] == 0)
    }

    @Test func pinnedWorkersSpinAndStop() throws {
        let cpus = Array(availableCPUs().prefix(4))
        let pool = try WorkerPool(threads: cpus.count, cpus: cpus)
        let counters = Counters(workers: cpus.count)
        defer { counters.runs.deallocate() }
        var expected: Int64 = 0
        for round in 0..<200 {
            if round % 2 == 0 {
                #expect(pool.startSpinning() == pool.isPinned)
            } else {
                pool.stopSpinning()
            }
            for _ in 0..<50 { pool.run(countRun, counters.runs) }
            // Longer than the time a worker spins, so that some rounds find it asleep in spinning mode.
            if round % 40 == 0 { usleep(4000) }
            expected += 50
            for worker in cpus.indices { #expect(counters.runs[worker * Counters.stride] == expected) }
        }
    }

    @Test func writesAreVisibleBothWays() throws {
        struct Work {
            var input: UnsafeMutablePointer<Int>
            var sums: UnsafeMutablePointer<Int>
            var count: Int
        }
        let sum: WorkerPool.Entry = { context, worker, workers in
            guard let work = context?.assumingMemoryBound(to: Work.self).pointee else { return }
            let share = work.count / Int(workers)
            let first = Int(worker) * share
            work.sums[Int(worker)] = (first..<first + share).reduce(0) { $0 + work.input[$1] }
        }
        let cpus = availableCPUs()
        for pins in [nil, cpus.count >= 2 ? Array(cpus.prefix(2)) : nil] {
            let pool = try WorkerPool(threads: 2, cpus: pins)
            pool.startSpinning()
            let input = try ScratchBuffer<Int>(count: 64)
            let sums = try ScratchBuffer<Int>(count: 2)
            var work = Work(input: input.pointer, sums: sums.pointer, count: input.count)
            for run in 0..<20_000 {
                for i in 0..<input.count { input.pointer[i] = run + i }
                pool.run(sum, &work)
                let expected = input.count * run + input.count * (input.count - 1) / 2
                if sums.pointer[0] + sums.pointer[1] != expected {
                    Issue.record("run \(run): \(sums.pointer[0] + sums.pointer[1]), expected \(expected)")
                    break
                }
            }
        }
    }

    @Test func idlePoolsAreFreed() throws {
        for threads in 1...4 {
            for _ in 0..<50 { _ = try WorkerPool(threads: threads) }
        }
        let cpus = Array(availableCPUs().prefix(2))
        for _ in 0..<50 {
            let pool = try WorkerPool(threads: cpus.count, cpus: cpus)
            pool.startSpinning()
        }
        #expect(Array(availableCPUs().prefix(2)) == cpus, "the creating thread has its mask back")
    }

    @Test func workersSitOnTheirCPUs() throws {
        let cpus = availableCPUs().reversed().prefix(4).map { $0 }
        let pool = try WorkerPool(threads: cpus.count, cpus: cpus)
        guard pool.isPinned else { try Test.cancel("the system refuses to pin threads") }
        let seen = try ScratchBuffer<Int32>(count: cpus.count)
        let report: WorkerPool.Entry = { context, worker, _ in
            var allowed = [Int32](repeating: 0, count: Int(FORETOKEN_MAX_CPUS))
            var count: Int32 = 0
            let error = foretoken_affinity_get(&allowed, &count)
            context?.assumingMemoryBound(to: Int32.self)[Int(worker)] = error == 0 && count == 1 ? allowed[0] : -1
        }
        pool.run(report, seen.pointer)
        #expect(seen.elements.map(Int.init) == cpus)
    }

    @Test func senselessPoolsAreRefused() {
        #expect(throws: HardwareError.self) { try WorkerPool(threads: 0) }
        #expect(throws: HardwareError.self) { try WorkerPool(threads: 1 << 20) }
        #expect(throws: HardwareError.self) { try WorkerPool(threads: 2, cpus: [0]) }
        #expect(throws: HardwareError.self) { try WorkerPool(threads: 2, cpus: [0, 0]) }
        #expect(throws: HardwareError.self) { try WorkerPool(threads: 1, cpus: [-1]) }
        for sizes in [[], [1], [1, 2], [0, 2], [-1, 3]] {
            #expect(throws: HardwareError.self) { try WorkerPool(threads: 2, teamSizes: sizes) }
        }
    }

    @Test func aCPUThatIsNotThereLeavesThePoolUnpinned() throws {
        let pool = try WorkerPool(threads: 1, cpus: [Int(FORETOKEN_MAX_CPUS) - 1])
        #expect(!pool.isPinned)
        #expect(!pool.startSpinning())
    }
}
