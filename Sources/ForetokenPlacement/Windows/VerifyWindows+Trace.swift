extension WindowHalves {
    /// Windows of a trace that are enough to plan from.
    static let enough = 256
    /// Consecutive windows that stay in one half, so that a half holds stretches of text rather than every other token.
    static let longestBlock = 64

    /// A window before its experts are gathered.
    private struct Candidate {
        var rows: Range<Int>
        /// nil where its texts are of several.
        var domain: Int?
        var texts = 1
        var tokens: Int
    }

    /// Cuts a trace into windows, those of several texts as they shared a step, and deals them to two halves.
    ///
    /// Each domain's windows are dealt out block by block in the order they were run, even blocks for training, odd ones
    /// held out. A block has 64 windows, or an eighth of a domain with fewer than 512, so both halves see every domain
    /// that has at least two windows. Windows that texts of several domains shared count as a domain of their own.
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
        // Prompts do not say how texts share steps.
        let isShared = verified.contains { $0.texts > 1 }
        let cut = isShared || verified.count >= Self.enough ? [] : Self.promptWindows(of: trace, width: width)
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
            training: Self.gathered(halves.training, from: trace),
            heldOut: Self.gathered(halves.heldOut, from: trace),
            source: verified.count >= cut.count ? .verified : .cut(width: width), available: all.count)
    }

    private static func gathered(_ windows: [Candidate], from trace: RoutingTrace) -> VerifyWindows {
        var gathered = VerifyWindows(gathering: windows.map { ($0.rows, $0.tokens) }, from: trace)
        gathered.texts = windows.reduce(0) { $0 + $1.texts }
        return gathered
    }

    private static func verifiedWindows(of trace: RoutingTrace) -> [Candidate] {
        trace.steps.compactMap { step in
            guard trace.isVerified(step) else { return nil }
            let rows = trace.rows(ofStep: step)
            let held = rows.reduce(0) { $0 + (trace.kinds[$1] == .accepted ? 1 : 0) }
            let domain = trace.windows[step.lowerBound].domain
            return Candidate(
                rows: rows, domain: step.allSatisfy { trace.windows[$0].domain == domain } ? domain : nil,
                texts: step.count, tokens: step.count + held)
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
    ) -> (training: [Candidate], heldOut: [Candidate]) {
        // The last is of those without a domain.
        var sizes = [Int](repeating: 0, count: domains + 1)
        for window in windows { sizes[window.domain ?? domains] += 1 }
        var seen = [Int](repeating: 0, count: domains + 1)
        var (training, heldOut): ([Candidate], [Candidate]) = ([], [])
        for window in windows {
            let domain = window.domain ?? domains
            let block = min(longestBlock, max(1, sizes[domain] / 8))
            let isTraining = seen[domain] / block % 2 == 0
            seen[domain] += 1
            if isTraining { training.append(window) } else { heldOut.append(window) }
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
        for step in steps where !isContiguous(step) {
            throw PlacementError(
                "windows \(step.lowerBound) to \(step.upperBound - 1) of the routing trace are of one step, but their rows "
                    + "do not lie side by side")
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
