import Glibc
import Synchronization

/// A line on a terminal that shows how far something has come. It appears only when the work takes longer than a moment,
/// is drawn at most ten times a second, tells how long the rest will take, and leaves no trace. On a plain terminal it is a
/// line of words every ten seconds. Where nobody is looking nothing is written.
public final class ProgressBar: Sendable {
    private struct State {
        var nextDrawing: UInt64
        var isVisible = false
    }

    private let label: String
    private let terminal: Terminal
    private let descriptor: Int32
    private let started: UInt64
    private let state: Mutex<State>

    private static let interval: UInt64 = 100_000_000
    /// Between lines on a plain terminal.
    private static let plainInterval: UInt64 = 10_000_000_000
    private static let widestBar = 30
    private static let narrowestBar = 4

    /// - Parameters:
    ///   - label: what is going on.
    ///   - delayNanoseconds: work shorter than this is not worth a bar.
    ///   - terminal: what the stream behind `descriptor` can show.
    ///   - descriptor: where to draw.
    public init(_ label: String, delayNanoseconds: UInt64, terminal: Terminal, descriptor: Int32 = STDERR_FILENO) {
        self.label = label.printable
        self.terminal = terminal
        self.descriptor = descriptor
        started = Self.now
        state = Mutex(State(nextDrawing: started + delayNanoseconds))
    }

    deinit { clear() }

    /// Draws the bar anew when it is time to.
    /// - Parameters:
    ///   - fraction: done, 0...1.
    ///   - detail: figures to show beside the bar; given the seconds since the start.
    public func update(_ fraction: Double, detail: (Double) -> String = { _ in "" }) {
        guard terminal.isInteractive else { return }
        let now = Self.now
        state.withLock { state in
            guard now >= state.nextDrawing else { return }
            state.nextDrawing = now + (terminal.isPlain ? Self.plainInterval : Self.interval)
            let seconds = Double(now - started) / 1e9
            guard !terminal.isPlain else {
                return put(Self.words(label, fraction, seconds: seconds, detail(seconds), on: terminal))
            }
            state.isVisible = true
            put("\r" + Self.line(label, fraction, seconds: seconds, detail(seconds), on: terminal) + "\u{1B}[K")
        }
    }

    /// Removes the bar, so that something else can be written.
    public func clear() {
        state.withLock { state in
            if state.isVisible { put("\r\u{1B}[K") }
            state.isVisible = false
        }
    }

    /// The bar as text without line control, never wider than the terminal: first the detail gives way, then the bar.
    /// - Parameters:
    ///   - fraction: done, 0...1.
    ///   - seconds: since the start.
    package static func line(
        _ label: String, _ fraction: Double, seconds: Double, _ detail: String, on terminal: Terminal
    ) -> String {
        let share = min(1, max(0, fraction.isNaN ? 0 : fraction))
        let percent = Format.fixed(share * 100, 0).padded(toWidth: 3, alignment: .right) + " %"
        let figures = [percent] + (timeLeft(share, seconds).map { [$0] } ?? [])
        for tail in [figures + (detail.isEmpty ? [] : [detail]), figures] {
            let text = tail.joined(separator: "  ")
            // The last column stays free: writing there makes some terminals wrap.
            let room = terminal.width - 1 - label.displayWidth - text.displayWidth - 4
            if room >= narrowestBar { return "\(label)  \(bar(share, min(room, widestBar), terminal))  \(text)" }
        }
        return ([label] + figures).joined(separator: " ").truncated(toWidth: terminal.width - 1)
    }

    /// The same as a sentence, with its line end.
    package static func words(
        _ label: String, _ fraction: Double, seconds: Double, _ detail: String, on terminal: Terminal
    ) -> String {
        let share = min(1, max(0, fraction.isNaN ? 0 : fraction))
        let figures = [Format.fixed(share * 100, 0) + " %", timeLeft(share, seconds) ?? "", detail]
        return terminal.prose("\(label): " + figures.filter { !$0.isEmpty }.joined(separator: ", "))
    }

    private static func bar(_ share: Double, _ width: Int, _ terminal: Terminal) -> String {
        let done = Int((share * Double(width)).rounded(.down))
        return terminal.styled(String(repeating: "━", count: done), .green)
            + terminal.styled(String(repeating: terminal.usesColor ? "━" : "·", count: width - done), .dim)
    }

    /// How long the rest takes if it goes on as so far: "12 s left"; nil while that says nothing.
    private static func timeLeft(_ share: Double, _ seconds: Double) -> String? {
        guard seconds >= 1, share >= 0.01, share < 1 else { return nil }
        let left = seconds * (1 - share) / share
        switch left {
        case ..<99.5: return "\(Format.fixed(max(1, left), 0)) s left"
        case ..<5970: return "\(Format.fixed(left / 60, 0)) min left"
        default: return "\(Format.fixed(left / 3600, 1)) h left"
        }
    }

    private func put(_ text: String) {
        var text = text
        // A terminal that went away is no reason to stop the work.
        _ = text.withUTF8 { write(descriptor, $0.baseAddress, $0.count) }
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
