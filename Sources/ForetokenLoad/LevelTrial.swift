/// So many requests at once, each client asking the next when it has its answer.
struct LevelTrial {
    let bench: LoadBench
    /// Answers alone, by request; the level of one client makes them.
    private var alone: [LoadAnswer] = []

    init(bench: LoadBench) { self.bench = bench }

    /// One client first, then those of the plan.
    var concurrencies: [Int] { [1] + bench.plan.concurrency.filter { $0 > 1 } }

    mutating func run(_ concurrency: Int) async throws -> LevelFigures {
        let different = bench.plan.requests
        let total = concurrency == 1 ? different : max(different, 2 * concurrency)
        let before = try await bench.client.gauges()
        let begin = Clock.now
        let answers = try await ask(concurrency, total)
        let seconds = Double(Clock.now - begin) / 1e9
        let after = try await bench.client.gauges()
        if alone.isEmpty { alone = answers }
        var figures = LevelFigures(concurrency: concurrency)
        figures.requests = total
        figures.seconds = seconds
        count(answers, into: &figures)
        time(answers, into: &figures)
        speculate(answers, into: &figures)
        if let steps = Self.growth(before.steps, after.steps), let rows = Self.growth(before.rows, after.rows),
            steps > 0
        {
            figures.rowsPerStep = rows / steps
        }
        return figures
    }

    private static func growth(_ before: Double?, _ after: Double?) -> Double? { after.map { $0 - (before ?? 0) } }

    /// The answers in the order of their requests.
    private func ask(_ concurrency: Int, _ count: Int) async throws -> [LoadAnswer] {
        let (counter, done) = (Counter(), Counter())
        let bench = bench
        let answers = await withTaskGroup(of: [(Int, LoadAnswer)].self) { group in
            for _ in 0..<concurrency {
                group.addTask {
                    var own: [(Int, LoadAnswer)] = []
                    while !Task.isCancelled {
                        let number = counter.next()
                        guard number < count else { break }
                        own.append((number, await bench.ask(bench.request(number % bench.plan.requests))))
                        bench.progress(
                            "\(concurrency) at once", Double(done.next() + 1) / Double(count))
                    }
                    return own
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        try Task.checkCancellation()
        return answers.sorted { $0.0 < $1.0 }.map(\.1)
    }

    // MARK: Figures

    private func count(_ answers: [LoadAnswer], into figures: inout LevelFigures) {
        var good = 0
        for (number, answer) in answers.enumerated() {
            guard answer.ending == .whole else {
                figures.failed += 1
                figures.failure = figures.failure ?? answer.ending.reason
                continue
            }
            figures.outputTokens += answer.tokenCount
            if bench.plan.goal.isMet(by: answer) { good += 1 }
            let request = number % bench.plan.requests
            if figures.concurrency > 1 && alone[request].ending == .whole {
                figures.equality.compare(answer, with: alone[request], request: request)
            }
        }
        figures.tokensPerSecond = Double(figures.outputTokens) / figures.seconds
        figures.goodput = Double(good) / figures.seconds
        figures.goodShare = Double(good) / Double(max(1, answers.count))
    }

    private func time(_ answers: [LoadAnswer], into figures: inout LevelFigures) {
        let whole = answers.filter { $0.ending == .whole }
        figures.firstToken = Spread(nanoseconds: whole.compactMap(\.firstToken))
        figures.perToken = Spread(nanoseconds: whole.compactMap(\.timePerToken))
        figures.gap = Spread(nanoseconds: whole.flatMap(\.gaps))
    }

    private func speculate(_ answers: [LoadAnswer], into figures: inout LevelFigures) {
        let told = answers.compactMap(\.own)
        for own in told {
            Self.add(own.drafted, to: &figures.drafted)
            Self.add(own.accepted, to: &figures.accepted)
        }
        func sum(_ figure: (LoadAnswer.OwnFigures) -> Int?) -> Double {
            Double(told.compactMap(figure).reduce(0, +))
        }
        let (rounds, steps) = (sum(\.rounds), sum(\.steps))
        if rounds > 0 { figures.tokensPerRound = 1 + Double(figures.accepted.reduce(0, +)) / rounds }
        if steps > 0 {
            figures.rowsOfText = sum(\.rows) / steps
            figures.sharedSteps = sum(\.shared) / steps
        }
    }

    private static func add(_ counts: [Int], to sums: inout [Int]) {
        while sums.count < counts.count { sums.append(0) }
        for (index, count) in counts.enumerated() { sums[index] += count }
    }
}

extension LoadPlan.Goal {
    func isMet(by answer: LoadAnswer) -> Bool {
        guard let first = answer.firstToken else { return false }
        return Double(first) / 1e6 <= firstTokenMilliseconds
            && (answer.timePerToken ?? 0) / 1e6 <= perTokenMilliseconds
    }
}

extension LoadAnswer.Ending {
    /// What went wrong; nil where nothing did.
    var reason: String? {
        switch self {
        case .whole: nil
        case .cancelled: "the client went"
        case .crowded: "429"
        case .refused(let status, let message): "\(status): \(message)"
        case .broken(let reason): reason
        }
    }
}
