extension RoutingTrace {
    /// Most rows of a step that checks drafts.
    static let mostStepRows = 16

    /// The same windows as if `count` texts at a time had been generated: a text's rows choose the same experts whatever
    /// else a step holds. Texts come in the order they were recorded, and one begins where another ended. Each step takes the
    /// next window of every text; of more rows than a step has, those wait that came last. Prompts stay steps of their own.
    ///
    /// When fewer than `count` texts are left, what remains of them is left out.
    /// - Throws: `PlacementError` where fewer texts than that, and than two, have verify windows.
    public func shared(by count: Int) throws(PlacementError) -> RoutingTrace {
        guard count >= 1 else { throw PlacementError("expected 1 or more texts in a step, found \(count)") }
        var sharing = TextSharing(self, count: count)
        let texts = sharing.textCount
        guard count == 1 || texts >= count else {
            throw PlacementError(
                texts == 0
                    ? "the routing trace has prompts only, which do not say how texts share steps; record it with generate"
                    : "the routing trace has verify windows of \(texts) text\(texts == 1 ? "" : "s"), too few for steps "
                        + "of \(count); record more texts")
        }
        return sharing.run()
    }
}

/// Deals a trace's texts to steps.
private struct TextSharing {
    private let trace: RoutingTrace
    private let count: Int
    private var shared: RoutingTrace
    /// By text: its windows to come.
    private var waiting: ArraySlice<ArraySlice<Int>>
    /// The same of those that are there, those that have waited longest first.
    private var running: [ArraySlice<Int>] = []
    /// Texts with verify windows.
    let textCount: Int

    init(_ trace: RoutingTrace, count: Int) {
        self.trace = trace
        self.count = count
        shared = RoutingTrace(
            model: trace.model, layers: trace.layers, expertCount: trace.expertCount,
            expertsPerToken: trace.expertsPerToken)
        shared.domains = trace.domains
        var places: [Int: Int] = [:]
        var texts: [ArraySlice<Int>] = []
        for (index, window) in trace.windows.enumerated() where !window.rows.isEmpty {
            if let place = places[window.text] {
                texts[place].append(index)
            } else {
                places[window.text] = texts.count
                texts.append([index])
            }
        }
        waiting = texts[...]
        textCount = texts.count { $0.contains { trace.kinds[trace.windows[$0].rows.lowerBound] != .prompt } }
    }

    mutating func run() -> RoutingTrace {
        while true {
            while running.count < count, var next = waiting.popFirst() {
                readPrompts(&next)
                if !next.isEmpty { running.append(next) }
            }
            if running.count < count { return shared }
            runStep()
        }
    }

    private mutating func runStep() {
        var rows = 0
        var taken: [ArraySlice<Int>] = []
        while var text = running.first {
            let own = trace.windows[text.first!].rows.count
            guard taken.isEmpty || rows + own <= RoutingTrace.mostStepRows else { break }
            add(text.removeFirst(), joinsPrevious: !taken.isEmpty)
            rows += own
            taken.append(text)
            running.removeFirst()
        }
        for var text in taken {
            readPrompts(&text)
            if !text.isEmpty { running.append(text) }
        }
    }

    private mutating func readPrompts(_ text: inout ArraySlice<Int>) {
        while let next = text.first, trace.kinds[trace.windows[next].rows.lowerBound] == .prompt {
            add(next, joinsPrevious: false)
            text.removeFirst()
        }
    }

    private mutating func add(_ index: Int, joinsPrevious: Bool) {
        var window = trace.windows[index]
        let first = shared.rowCount
        let ids = trace.layers.count * trace.expertsPerToken
        shared.kinds += trace.kinds[window.rows]
        shared.experts += trace.experts[window.rows.lowerBound * ids..<window.rows.upperBound * ids]
        window.rows = first..<shared.rowCount
        window.joinsPrevious = joinsPrevious
        shared.windows.append(window)
    }
}
