import ForetokenHardware
import Glibc
import Testing

/// The state of a program just started: a shell may have had the signals ignored, and the threads that execute tests
/// block them.
private func startAfresh() {
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
}

/// Each in a process of its own, since signals belong to the whole process.
@Suite struct InterruptTests {
    @Test func theFirstSignalSetsTheFlag() async {
        await #expect(processExitsWith: .exitCode(7)) {
            startAfresh()
            try Interrupts.install()
            var seen = [Interrupts.requested]
            raise(SIGINT)
            seen.append(Interrupts.requested)
            Interrupts.reset()
            seen.append(Interrupts.requested)
            raise(SIGTERM)
            seen.append(Interrupts.requested)
            exit(seen == [false, true, false, true] ? 7 : 1)
        }
    }

    @Test func theSecondSignalEndsTheProcess() async {
        await #expect(processExitsWith: .exitCode(130)) {
            startAfresh()
            try Interrupts.install()
            raise(SIGINT)
            raise(SIGTERM)
            exit(1)
        }
    }

    @Test func anIgnoredSignalStaysIgnored() async {
        await #expect(processExitsWith: .exitCode(7)) {
            startAfresh()
            signal(SIGINT, SIG_IGN)
            try Interrupts.install()
            raise(SIGINT)
            exit(Interrupts.requested ? 1 : 7)
        }
    }

    @Test func brokenPipesAreErrors() async {
        await #expect(processExitsWith: .exitCode(7)) {
            try Interrupts.ignoreWriteSignals()
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0, close(ends[0]) == 0 else { exit(1) }
            exit(write(ends[1], "x", 1) == -1 && errno == EPIPE ? 7 : 1)
        }
    }
}
