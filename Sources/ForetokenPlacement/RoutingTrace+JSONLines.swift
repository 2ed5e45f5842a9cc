extension RoutingTrace {
    /// A trace from text: one JSON object a line and row, `{"round":0,"row":0,"domain":"code","layers":[[3,7],[1,2]]}`.
    /// `layers` has a list of expert ids for each layer; layers without experts have empty ones in every row, and only the
    /// others become layers of the trace. Lines that follow each other with the same round and domain form a window, rows
    /// ascending. Where several texts shared a step, each line says with a number `"text"` whose row it is: windows of the
    /// same round that follow each other are then one step. Which drafts were accepted is not known of such a trace: its first
    /// rows are taken for the newest tokens, all others for accepted drafts.
    ///
    /// - Parameters:
    ///   - jsonLines: the whole file; empty lines are skipped, unknown keys ignored.
    ///   - model: fingerprint of the model that routed; "" where it is unknown.
    ///   - expertCount: routed experts a layer; nil takes the largest id for the last expert.
    /// - Throws: `PlacementError` naming the line.
    public init(jsonLines: [UInt8], model: String = "", expertCount: Int? = nil) throws {
        var reader = TraceLineReader(expertCount: expertCount)
        let lines = jsonLines.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.allSatisfy({ " \t\r".utf8.contains($0) }) {
            do {
                try reader.add(line)
            } catch let error as PlacementError {
                throw PlacementError("line \(index + 1): \(error)")
            }
        }
        self = try reader.finish(model: model)
    }
}

/// Builds a trace line by line.
private struct TraceLineReader {
    private let expertCount: Int?
    private var trace = RoutingTrace(model: "", layers: [], expertCount: 0, expertsPerToken: 0)
    /// Number of lists in every line; 0 before the first.
    private var listCount = 0
    private var largest = 0
    private var last: TraceLine?
    private var domains: [String: Int] = [:]
    private var texts: [Text: Int] = [:]
    /// By text: rows so far.
    private var positions: [Int] = []
    /// Texts and rows of the last step.
    private var stepTexts: Set<Int> = []
    private var stepRows = 0

    /// What tells texts apart.
    private struct Text: Hashable {
        let domain: Int
        let number: Int?
    }

    init(expertCount: Int?) { self.expertCount = expertCount }

    mutating func add(_ bytes: ArraySlice<UInt8>) throws {
        let line = try TraceLine(bytes)
        guard line.round >= 0 && line.row >= 0 else {
            throw PlacementError("round \(line.round) and row \(line.row) must be 0 or more")
        }
        if trace.layers.isEmpty { try begin(line) }
        try check(line)
        let domain = try index(line.domain ?? RoutingTrace.unlabelled)
        let text = index(Text(domain: domain, number: line.text))
        let isSameRound = last?.round == line.round
        if let last, isSameRound, trace.windows.last?.text == text {
            guard last.row < line.row else {
                throw PlacementError(
                    "row \(line.row) comes after row \(last.row) of the same round \(line.round); rows must ascend")
            }
            trace.windows[trace.windows.count - 1].rows = trace.windows.last!.rows.lowerBound..<trace.rowCount + 1
            trace.kinds.append(.accepted)
            stepRows += 1
        } else {
            let joins = isSameRound && line.text != nil && last?.text != nil
            if !joins {
                stepTexts.removeAll(keepingCapacity: true)
                stepRows = 0
            }
            guard stepTexts.insert(text).inserted else {
                throw PlacementError(
                    "round \(line.round) has rows of other texts between those of this one; a text's rows must follow "
                        + "each other")
            }
            trace.windows.append(
                .init(
                    rows: trace.rowCount..<trace.rowCount + 1, domain: domain, position: positions[text], text: text,
                    joinsPrevious: joins))
            trace.kinds.append(.newest)
            stepRows += 1
        }
        guard stepRows <= RoutingTraceEncoder.mostRows && stepTexts.count <= RoutingTraceEncoder.mostTexts else {
            throw PlacementError(
                "round \(line.round) has more than \(RoutingTraceEncoder.mostRows) rows or "
                    + "\(RoutingTraceEncoder.mostTexts) texts")
        }
        positions[text] += 1
        last = line
    }

    /// The first line says which layers there are, and how many experts a row has.
    private mutating func begin(_ line: TraceLine) throws {
        listCount = line.counts.count
        trace.layers = line.counts.indices.filter { line.counts[$0] > 0 }
        guard let first = trace.layers.first else { throw PlacementError("no layer has experts") }
        trace.expertsPerToken = line.counts[first]
    }

    /// Checks the experts and takes them over.
    private mutating func check(_ line: TraceLine) throws {
        guard line.counts.count == listCount else {
            throw PlacementError("there are \(line.counts.count) layers, but \(listCount) in the lines before")
        }
        let limit = expertCount ?? RoutingTraceHeader.mostExperts
        var (first, next) = (0, 0)
        for (layer, count) in line.counts.enumerated() {
            let isRouted = next < trace.layers.count && trace.layers[next] == layer
            next += isRouted ? 1 : 0
            guard count == (isRouted ? trace.expertsPerToken : 0) else {
                throw PlacementError(
                    "layer \(layer) has \(count) experts, expected \(isRouted ? trace.expertsPerToken : 0) as before")
            }
            let ids = line.ids[first..<first + count].sorted()
            first += count
            for (index, id) in ids.enumerated() {
                guard 0..<limit ~= id else {
                    throw PlacementError("layer \(layer): experts are 0...\(limit - 1), found \(id)")
                }
                guard index == 0 || ids[index - 1] < id else {
                    throw PlacementError("layer \(layer) names expert \(id) twice")
                }
                trace.experts.append(UInt16(id))
            }
            largest = max(largest, ids.last ?? 0)
        }
    }

    private mutating func index(_ label: String) throws -> Int {
        if let index = domains[label] { return index }
        try RoutingTrace.check(domain: label)
        try RoutingTrace.check(domainCount: trace.domains.count + 1)
        domains[label] = trace.domains.count
        trace.domains.append(label)
        return trace.domains.count - 1
    }

    private mutating func index(_ text: Text) -> Int {
        if let index = texts[text] { return index }
        texts[text] = positions.count
        positions.append(0)
        return positions.count - 1
    }

    func finish(model: String) throws -> RoutingTrace {
        guard !trace.windows.isEmpty else { throw PlacementError("it holds no row of a trace") }
        var trace = trace
        trace.model = model
        trace.expertCount = expertCount ?? largest + 1
        _ = try trace.header()
        return trace
    }
}

extension RoutingTrace {
    /// What texts are called that nobody gave a label.
    public static let unlabelled = "unlabelled"
}
