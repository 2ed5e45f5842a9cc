extension WindowHalves {
    /// Windows of a trace that are enough to plan from.
    static let enough = 256
    /// Consecutive windows that stay in one half, so that a half holds stretches of text rather than every other token.
    static let longestBlock = 64

    /// A window before its experts are gathered.
    private struct Candidate {
        var rows: Range<Int>
        var domain: Int
        var tokens: Int
    }

    /// Cuts a trace into windows and deals them to two halves.
    ///
    /// Each domain's windows are dealt out block by block in the order they were run, even blocks for training, odd ones
    /// held out. A block has 64 windows, or an eighth of a domain with fewer than 512, so both halves see every domain
    /// that has at least two windows.
    /// - Parameters:
    ///   - width: rows of a window where the trace has too few verified ones and its prompts are cut instead.
    ///   - rowLimit: about how many rows both halves get together; windows of a longer trace are thinned out evenly.
    /// - Throws: `PlacementError` where the trace is inconsistent or too short for two halves.
    public init(of trace: RoutingTrace, width: Int = 2, rowLimit: Int = 32_000) throws(PlacementError) {
        try trace.checkShape()
        guard width >= 1, rowLimit >= 1 else {
            throw PlacementError("expected windows of at least one row, found width \(width) and limit \(rowLimit)")
        }
        let verified = Self.verifiedWindows(of: trace)
        let cut = verified.count >= Self.enough ? [] : Self.promptWindows(of: trace, width: width)
        let all = verified.count >= cut.count ? verified : cut
        let rows = all.reduce(0) { $0 + $1.rows.count }
        let kept = Self.thinned(all, to: rows <= rowLimit ? all.count : max(2, all.count * rowLimit / rows))
        let halves = Self.dealt(kept, domains: trace.domains.count)
        guard !halves.training.isEmpty, !halves.heldOut.isEmpty else {
            throw PlacementError(
                "expected at least two windows of one domain in the routing trace, found \(all.count) windows in "
                    + "\(trace.rowCount) rows; record more text")
        }
        self.init(
            training: VerifyWindows(gathering: halves.training, from: trace),
            heldOut: VerifyWindows(gathering: halves.heldOut, from: trace),
            source: verified.count >= cut.count ? .verified : .cut(width: width), available: all.count)
    }

    private static func verifiedWindows(of trace: RoutingTrace) -> [Candidate] {
        trace.windows.compactMap { window in
            guard let first = window.rows.first, trace.kinds[first] == .newest else { return nil }
            let held = window.rows.reduce(0) { $0 + (trace.kinds[$1] == .accepted ? 1 : 0) }
            return Candidate(rows: window.rows, domain: window.domain, tokens: 1 + held)
        }
    }

    private static func promptWindows(of trace: RoutingTrace, width: Int) -> [Candidate] {
        trace.windows.filter { $0.rows.first.map { trace.kinds[$0] == .prompt } ?? false }.flatMap { window in
            (0..<window.rows.count / width).map { part in
                let first = window.rows.lowerBound + part * width
                return Candidate(rows: first..<first + width, domain: window.domain, tokens: 1)
            }
        }
    }

    private static func thinned(_ windows: [Candidate], to limit: Int) -> [Candidate] {
        guard limit < windows.count else { return windows }
        return (0..<limit).map { windows[$0 * windows.count / limit] }
    }

    private static func dealt(
        _ windows: [Candidate], domains: Int
    ) -> (training: [(Range<Int>, Int)], heldOut: [(Range<Int>, Int)]) {
        var sizes = [Int](repeating: 0, count: domains)
        for window in windows { sizes[window.domain] += 1 }
        var seen = [Int](repeating: 0, count: domains)
        var (training, heldOut): ([(Range<Int>, Int)], [(Range<Int>, Int)]) = ([], [])
        for window in windows {
            let block = min(longestBlock, max(1, sizes[window.domain] / 8))
            let isTraining = seen[window.domain] / block % 2 == 0
            seen[window.domain] += 1
            if isTraining {
                training.append((window.rows, window.tokens))
            } else {
                heldOut.append((window.rows, window.tokens))
            }
        }
        return (training, heldOut)
    }
}

extension VerifyWindows {
    /// The distinct experts of some ranges of a trace's rows, each with the tokens that its step gave.
    init(gathering windows: [(rows: Range<Int>, tokens: Int)], from trace: RoutingTrace) {
        self.init(
            layerNumbers: trace.layers, expertCount: trace.expertCount, layers: [], count: windows.count,
            rows: windows.reduce(0) { $0 + $1.rows.count }, tokens: windows.reduce(0) { $0 + $1.tokens })
        let (layers, choices) = (trace.layers.count, trace.expertsPerToken)
        self.layers = trace.experts.withUnsafeBufferPointer { experts in
            (0..<layers).map { layer in
                var gathered = Layer()
                gathered.starts.reserveCapacity(windows.count + 1)
                gathered.uses.reserveCapacity(rows * choices)
                for (rows, _) in windows {
                    let start = gathered.uses.count
                    for row in rows {
                        let first = (row * layers + layer) * choices
                        for index in first..<first + choices { gathered.count(experts[index], from: start) }
                    }
                    gathered.starts.append(Int32(gathered.uses.count))
                }
                return gathered
            }
        }
    }
}

extension VerifyWindows.Layer {
    /// Counts one row's choice into the window that begins at `start` and is still open.
    fileprivate mutating func count(_ expert: UInt16, from start: Int) {
        var place = uses.count
        while place > start, uses[place - 1].expert > expert { place -= 1 }
        if place > start, uses[place - 1].expert == expert {
            if uses[place - 1].rows < .max { uses[place - 1].rows += 1 }
        } else {
            uses.insert(ExpertUse(expert: expert, rows: 1), at: place)
        }
    }
}

extension RoutingTrace {
    /// Refuses a trace whose parts contradict each other.
    fileprivate func checkShape() throws(PlacementError) {
        guard expertsPerToken >= 1, experts.count == rowCount * layers.count * expertsPerToken else {
            throw PlacementError(
                "expected \(rowCount) rows of \(layers.count) layers of \(expertsPerToken) experts in the routing trace, "
                    + "found \(experts.count) experts")
        }
        if let expert = experts.first(where: { Int($0) >= expertCount }) {
            throw PlacementError("the routing trace names expert \(expert), but has only \(expertCount)")
        }
        for (index, window) in windows.enumerated() {
            guard window.rows.lowerBound >= 0, window.rows.upperBound <= rowCount, window.rows.count <= 1 << 24,
                domains.indices.contains(window.domain)
            else {
                throw PlacementError(
                    "window \(index) of the routing trace has rows \(window.rows) and domain \(window.domain), but there "
                        + "are \(rowCount) rows and \(domains.count) domains")
            }
        }
    }
}
