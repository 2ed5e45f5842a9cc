import Glibc
import Synchronization

/// A line on a terminal that shows how far something has come. It appears only when the work takes longer than a moment,
/// is drawn at most ten times a second, and leaves no trace. Where nobody is looking nothing is written.
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
    private static let widestBar = 30

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
            state.nextDrawing = now + Self.interval
            state.isVisible = true
            let seconds = Double(now - started) / 1e9
            put("\r" + Self.line(label, fraction, detail(seconds), on: terminal) + "\u{1B}[K")
        }
    }

    /// Removes the bar, so that something else can be written.
    public func clear() {
        state.withLock { state in
            if state.isVisible { put("\r\u{1B}[K") }
            state.isVisible = false
        }
    }

    /// The bar as text without line control, never wider than the terminal.
    package static func line(_ label: String, _ fraction: Double, _ detail: String, on terminal: Terminal) -> String {
        let share = min(1, max(0, fraction.isNaN ? 0 : fraction))
        let percent = Format.fixed(share * 100, 0).padded(toWidth: 3, alignment: .right) + " %"
        // The last column stays free: writing there makes some terminals wrap.
        let room = terminal.width - 1 - label.displayWidth - percent.displayWidth - detail.displayWidth - 6
        guard room >= 4 else { return "\(label) \(percent)".truncated(toWidth: terminal.width - 1) }
        let bar = min(room, widestBar)
        let done = Int((share * Double(bar)).rounded(.down))
        let filled = terminal.styled(String(repeating: "━", count: done), .green)
        let empty = terminal.styled(String(repeating: terminal.usesColor ? "━" : "·", count: bar - done), .dim)
        return "\(label)  \(filled)\(empty)  \(percent)\(detail.isEmpty ? "" : "  \(detail)")"
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
