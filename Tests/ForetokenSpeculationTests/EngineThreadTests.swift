import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// An engine that other threads give requests to.
@Suite(.serialized) struct EngineThreadTests {
    private struct Broken: Error {}

    private static let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15]

    private static func start(parallel: Int = 4) throws -> EngineThread {
        try EngineThread { thread in
            let model = try Model.load(Fixtures.demoModel, threads: 1)
            var settings = Engine.Settings(context: 2048)
            settings.parallel = parallel
            thread.serve(try Engine(model, settings))
        }
    }

    private static func request(_ tokens: Int, seed: UInt64 = 0) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = tokens
        request.sampling.seed = seed
        request.sampling.temperature = 0.9
        return request
    }

    /// Waits for something on a thread that may be blocked.
    private static func wait(_ isSo: () -> Bool) -> Bool {
        for _ in 0..<3000 {
            if isSo() { return true }
            usleep(10_000)
        }
        return false
    }

    @Test func requestsFromManyThreadsGetTheirOwnTokens() throws {
        let thread = try Self.start()
        let results = Mutex<[Int: [Int32]]>([:])
        for index in 0..<12 {
            thread.post { engine in
                do {
                    try engine.submit(Self.request(20 + index, seed: UInt64(index))) { outcome in
                        results.withLock { $0[index] = try? outcome.get().tokens }
                    }
                } catch {
                    Issue.record(error)
                }
            }
        }
        #expect(Self.wait { results.withLock { $0.count } == 12 })
        thread.finish()
        #expect(thread.wait(nanoseconds: 10_000_000_000))
        let generator = try Generator(model: Model.load(Fixtures.demoModel, threads: 1), capacity: 2048)
        for (index, tokens) in results.withLock({ $0 }) {
            generator.clear()
            #expect(tokens == (try generator.generate(Self.request(20 + index, seed: UInt64(index))).tokens))
        }
    }

    @Test func aRequestIsCancelledWhileOthersGoOn() throws {
        let thread = try Self.start()
        let cancellation = Cancellation()
        let seen = Atomic(0)
        let outcomes = Mutex<[Int: FinishReason]>([:])
        for index in 0..<2 {
            thread.post { engine in
                var request = Self.request(index == 0 ? 1900 : 200)
                if index == 0 { request.cancellation = cancellation }
                _ = try? engine.submit(
                    request,
                    observe: { event in
                        if index == 0, case .token = event { seen.add(1, ordering: .relaxed) }
                        return .proceed
                    }, completion: { outcome in outcomes.withLock { $0[index] = try? outcome.get().reason } })
            }
        }
        #expect(Self.wait { seen.load(ordering: .relaxed) > 10 })
        cancellation.request()
        #expect(Self.wait { outcomes.withLock { $0.count } == 2 })
        #expect(outcomes.withLock { $0 } == [0: .cancelled, 1: .length])
        #expect(seen.load(ordering: .relaxed) < 1900)
        thread.finish()
        #expect(thread.wait(nanoseconds: 10_000_000_000))
    }

    @Test func withoutWorkItSleepsAndAfterTheEndItRefuses() throws {
        let thread = try Self.start()
        let times = Mutex<[Int]>([])
        func readTime() {
            thread.post { _ in
                var time = timespec()
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                times.withLock { $0.append(time.tv_sec * 1_000_000 + time.tv_nsec / 1000) }
            }
        }
        readTime()
        #expect(Self.wait { times.withLock { $0.count } == 1 && thread.sinceLastLook == nil })
        usleep(500_000)
        readTime()
        #expect(Self.wait { times.withLock { $0.count } == 2 })
        let used = times.withLock { $0[1] - $0[0] }
        #expect(used < 50_000, "\(used) µs of 500 000")
        thread.finish()
        #expect(thread.wait(nanoseconds: 10_000_000_000))
        let refused = Atomic(0)
        thread.post({ _ in Issue.record("there is no engine") }, orElse: { _ in refused.add(1, ordering: .relaxed) })
        #expect(refused.load(ordering: .relaxed) == 1)
    }

    @Test func aThreadThatCannotBeginRefusesAllJobsWithTheReason() throws {
        let gate = Atomic(false)
        let thread = try EngineThread { _ in
            while !gate.load(ordering: .acquiring) { usleep(1000) }
            throw Broken()
        }
        let errors = Mutex<[any Error]>([])
        thread.post({ _ in }, orElse: { error in errors.withLock { $0.append(error) } })
        gate.store(true, ordering: .releasing)
        #expect(thread.wait(nanoseconds: 10_000_000_000))
        thread.post({ _ in }, orElse: { error in errors.withLock { $0.append(error) } })
        #expect(errors.withLock { $0.count == 2 && $0.allSatisfy { $0 is Broken } })
    }
}
