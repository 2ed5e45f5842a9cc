import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Times steps, rounds and parts of steps behind one context.
final class StepBench {
    let context: Int
    private let model: Model
    private let verifier: Verifier
    private let draftHead: MTPHead?
    private let sequence: TokenSequence
    /// Rounds along the text, whose drafts all hold.
    private let round: Round?
    private let sampler: Sampler
    private var window = Step()
    private let clock: StepClock
    private let touching: Touching
    /// Whether steps are timed by kinds of layers as well.
    private let timesPlaces: Bool
    private var turn = 0

    /// By rows − 1.
    private var times: [[Double]]
    private var relatives: [[Double]]
    private var touched: [[Double]]
    private var distinct: [[Double]]
    /// By rows − 1 and place.
    private var placeTimes: [[[Double]]]
    /// By drafts − 1.
    private var draftTimes: [[Double]]
    private var verifyTimes: [[Double]]
    private var lastDraftTimes: [[Double]]
    private var roundRelatives: [[Double]]
    /// By rows of `componentRows`, place and component.
    private var componentTimes: [[[[Double]]]]

    static let componentRows = [1, 2, 4]
    /// A sample goes on for so long, so that small models are measured often.
    private static let sampleNanoseconds: Int64 = 60_000_000
    /// Plain steps before a sample, so that small models are back in the caches.
    private static let warmupNanoseconds: Int64 = 2_000_000

    /// What the windows read, by rows − 1 and start.
    private struct Touching {
        /// Bytes of weights.
        var bytes: [[Double]]
        /// Distinct experts, mean of the layers.
        var distinct: [[Double]]
    }

    /// - Parameters:
    ///   - tokens: the whole text; the sequence holds it.
    ///   - timesPlaces: whether steps are timed by kinds of layers as well, by an observer.
    init(_ model: Model, _ sequence: TokenSequence, tokens: [Int32], context: Int, timesPlaces: Bool = false) {
        self.model = model
        self.sequence = sequence
        verifier = model.verifier
        draftHead = model.draftHead
        self.context = context
        let along = TextVerifier(model.verifier)
        along.text = tokens
        round = model.draftHead.map { draftHead in
            let drafts = PlantedDrafts(MTPDrafts(draftHead, model.verifier)) { _, position, _ in tokens[position] }
            return Round(along, DraftExperience(), source: drafts)
        }
        sampler = Sampler(
            SamplingOptions(), limit: model.configuration.vocabularySize, instructionSet: model.instructionSet)
        clock = StepClock(denseLayers: model.configuration.denseLayerCount)
        let widths = [[Double]](repeating: [], count: Step.windowRows)
        (times, relatives, touched, distinct) = (widths, widths, widths, widths)
        placeTimes = .init(
            repeating: .init(repeating: [], count: StepClock.Place.allCases.count), count: Step.windowRows)
        self.timesPlaces = timesPlaces
        let lengths = [[Double]](repeating: [], count: MTPHead.maximumDrafts)
        (draftTimes, verifyTimes, lastDraftTimes, roundRelatives) = (lengths, lengths, lengths, lengths)
        let components = [[Double]](repeating: [], count: StepComponent.allCases.count)
        componentTimes = .init(
            repeating: .init(repeating: components, count: StepClock.Place.allCases.count),
            count: Self.componentRows.count)
        touching = Self.touching(model, sequence, context)
    }

    private static func touching(_ model: Model, _ sequence: TokenSequence, _ context: Int) -> Touching {
        let verifier = model.verifier
        var window = Step()
        let choices = ExpertChoices(
            layers: model.configuration.layerCount, experts: model.configuration.routedExpertCount, first: context)
        verifier.observer = choices
        for start in stride(from: BenchText.starts.lowerBound, to: BenchText.stretch, by: Step.windowRows) {
            sequence.jump(to: context + start)
            window.clear()
            window.add(sequence, count: min(Step.windowRows, BenchText.stretch - start))
            verifier.run(window)
        }
        verifier.observer = nil
        let expertBytes = model.expertBytes
        func table(_ value: Double) -> [[Double]] {
            .init(repeating: .init(repeating: value, count: BenchText.starts.count), count: Step.windowRows)
        }
        var touching = Touching(bytes: table(Double(model.denseBytesPerStep)), distinct: table(0))
        let layers = choices.layers
        for (i, start) in BenchText.starts.enumerated() {
            for layer in layers {
                let distinct = choices.distinct(layer: layer, start: context + start, rows: Step.windowRows)
                for rows in distinct.indices {
                    touching.bytes[rows][i] += Double(distinct[rows] * expertBytes[layer])
                    touching.distinct[rows][i] += Double(distinct[rows]) / Double(layers.count)
                }
            }
        }
        return touching
    }

    /// Repeats `body` at one start after another until the sample is long enough.
    /// - Returns: false when `body` did.
    private func sample(_ body: (_ index: Int, _ start: Int) -> Bool) -> Bool {
        let begun = MonotonicClock.now
        repeat {
            _ = step(context + BenchText.starts.lowerBound, 1)
        } while MonotonicClock.now - begun < Self.warmupNanoseconds
        repeat {
            // A step that shares no factor with the number of starts, so that all get their turn.
            let index = turn * 7 % BenchText.starts.count
            turn += 1
            guard body(index, context + BenchText.starts.lowerBound + index) else { return false }
        } while MonotonicClock.now - begun < Self.sampleNanoseconds
        return true
    }

    /// Runs the window of `rows` rows at `start`, logits included. Returns nanoseconds.
    private func step(_ start: Int, _ rows: Int) -> Double {
        sequence.jump(to: start)
        let begun = MonotonicClock.now
        window.clear()
        window.add(sequence, count: rows)
        verifier.run(window)
        verifier.computeLogits(first: 0, count: rows)
        return Double(MonotonicClock.now - begun)
    }

    /// A step of one row, to compare the next one with. A small model is first brought back into the caches as the
    /// steps of plain decoding leave them.
    private func plainStep(_ start: Int) -> Double {
        let time = step(start, 1)
        return time < Double(Self.warmupNanoseconds) ? step(start, 1) : time
    }

    /// One sample of steps of every width, each beside a plain one.
    /// - Returns: false when `proceed` said no.
    func timeSteps(proceed: () -> Bool) -> Bool {
        sample { index, start in
            for rows in 1...Step.windowRows {
                guard proceed() else { return false }
                let plain = plainStep(start)
                times[0].append(plain)
                relatives[0].append(1)
                touched[0].append(touching.bytes[0][index])
                guard rows > 1 || timesPlaces else { continue }
                let time = timesPlaces ? stepByPlaces(start, rows) : step(start, rows)
                distinct[rows - 1].append(touching.distinct[rows - 1][index])
                guard rows > 1 else { continue }
                times[rows - 1].append(time)
                relatives[rows - 1].append(time / plain)
                touched[rows - 1].append(touching.bytes[rows - 1][index])
            }
            return true
        }
    }

    /// The same as `step`, with the times of the kinds of layers kept.
    private func stepByPlaces(_ start: Int, _ rows: Int) -> Double {
        verifier.observer = clock
        defer { verifier.observer = nil }
        clock.start()
        let time = step(start, rows)
        for place in StepClock.Place.allCases {
            placeTimes[rows - 1][place.rawValue].append(
                StepComponent.allCases.reduce(0) { $0 + clock.nanoseconds($1, in: place) })
        }
        return time
    }

    /// One sample of rounds of every draft length, as if about half of the drafts before had held.
    /// - Returns: false when `proceed` said no.
    func timeRounds(proceed: () -> Bool) -> Bool {
        guard let draftHead, let round else { return true }
        return sample { _, start in
            for drafts in 1...MTPHead.maximumDrafts {
                guard proceed() else { return false }
                let plain = plainStep(start)
                let times = time(round, draftHead, start, drafts)
                draftTimes[drafts - 1].append(Double(times.drafting))
                lastDraftTimes[drafts - 1].append(
                    drafts == 1
                        ? Double(times.firstDrafts) : Double(times.laterDrafts) / Double(times.laterDraftCount))
                verifyTimes[drafts - 1].append(Double(times.verifying))
                roundRelatives[drafts - 1].append(Double(times.drafting + times.verifying) / plain)
            }
            return true
        }
    }

    /// A round of so many drafts behind the token at `start`, after one of which about half had held.
    private func time(_ round: Round, _ draftHead: MTPHead, _ start: Int, _ drafts: Int) -> RoundTimes {
        let taken = 1 + drafts / 2
        _ = step(start - taken, taken)
        sequence.jumpModules(to: start - taken)
        draftHead.observe(
            sequence, verifier.hidden(row: 0), stride: verifier.hiddenStride, count: taken, firstRow: start - taken)
        sequence.count = start + 1
        var request = GenerationRequest(prompt: [])
        request.maximumTokens = drafts + 2
        let policy = DraftPolicy(.fixed(drafts), limit: drafts, isGreedy: true)
        let session = Session(request, on: sequence, sampler, policy) { _ in .proceed }
        return round.run([session])
    }

    /// One sample of the parts of steps.
    /// - Returns: false when `proceed` said no.
    func timeComponents(proceed: () -> Bool) -> Bool {
        sample { _, start in
            for (i, rows) in Self.componentRows.enumerated() {
                guard proceed() else { return false }
                _ = step(start, rows)
                verifier.observer = clock
                clock.start()
                _ = step(start, rows)
                verifier.observer = nil
                for place in StepClock.Place.allCases {
                    for component in StepComponent.allCases {
                        componentTimes[i][place.rawValue][component.rawValue]
                            .append(clock.nanoseconds(component, in: place))
                    }
                }
            }
            return true
        }
    }

    // MARK: Results

    /// nil before anything was timed.
    func curve(_ readRoof: Double?) -> BenchReport.StepCurve? {
        guard times.allSatisfy({ !$0.isEmpty }) else { return nil }
        let plainBytes = mean(touched[0])
        let points = times.indices.map { i in
            let relative = median(relatives[i])
            let relativeBytes = mean(touched[i]) / plainBytes
            return BenchReport.StepCurve.Point(
                rows: i + 1, time: median(times[i]), relative: relative, bytes: mean(touched[i]),
                relativeBytes: relativeBytes, overBytes: relative / relativeBytes)
        }
        let speed = plainBytes / points[0].time * 1e9
        return BenchReport.StepCurve(
            context: context, points: points, tokensPerSecond: 1e9 / points[0].time, bytesPerSecond: speed,
            readShare: readRoof.map { speed / $0 })
    }

    /// Steps by rows − 1, as the parts that a whole model has other numbers of; nil before anything was timed, or where
    /// that was not wanted.
    var placed: [PlacedStep]? {
        guard placeTimes.allSatisfy({ !$0[0].isEmpty }) else { return nil }
        return placeTimes.indices.map { i in
            PlacedStep(
                outside: median(placeTimes[i][StepClock.Place.outside.rawValue]),
                dense: perLayer(placeTimes[i], .dense), moe: perLayer(placeTimes[i], .moe), distinct: mean(distinct[i]))
        }
    }

    private func perLayer(_ times: [[Double]], _ place: StepClock.Place) -> Double {
        let c = model.configuration
        let dense = min(c.denseLayerCount, c.layerCount)
        return median(times[place.rawValue]) / Double(max(1, place == .dense ? dense : c.layerCount - dense))
    }

    /// Empty before anything was timed.
    var rounds: [BenchReport.Round] {
        draftTimes.indices.filter { !draftTimes[$0].isEmpty }.map { i in
            let relative = median(roundRelatives[i])
            return BenchReport.Round(
                context: context, drafts: i + 1, draftTime: median(draftTimes[i]), verifyTime: median(verifyTimes[i]),
                relative: relative, breakEven: BenchReport.Round.breakEven(drafts: i + 1, cost: relative),
                lastDraftTime: median(lastDraftTimes[i]))
        }
    }

    /// Empty before anything was timed; parts that took no time are left out.
    var components: [BenchReport.Component] {
        let c = model.configuration
        let dense = min(c.denseLayerCount, c.layerCount)
        let layers = [StepClock.Place.outside: 1, .dense: dense, .moe: c.layerCount - dense]
        var result: [BenchReport.Component] = []
        for (i, rows) in Self.componentRows.enumerated() {
            for place in StepClock.Place.allCases {
                for component in StepComponent.allCases {
                    let samples = componentTimes[i][place.rawValue][component.rawValue]
                    guard !samples.isEmpty, median(samples) > 0 else { continue }
                    result.append(
                        BenchReport.Component(
                            context: context, rows: rows, place: "\(place)", name: "\(component)",
                            time: median(samples), perLayer: median(samples) / Double(max(1, layers[place]!))))
                }
            }
        }
        return result
    }
}

extension BenchReport.Round {
    /// The acceptance α with 1 + α + … + α^drafts = cost; nil when even α = 1 is not enough.
    package static func breakEven(drafts: Int, cost: Double) -> Double? {
        guard cost <= Double(drafts + 1) else { return nil }
        var (low, high) = (0.0, 1.0)
        for _ in 0..<50 {
            let middle = (low + high) / 2
            let tokens = (0...drafts).reduce((sum: 0.0, power: 1.0)) { sums, _ in
                (sums.sum + sums.power, sums.power * middle)
            }.sum
            if tokens < cost { low = middle } else { high = middle }
        }
        return cost <= 1 ? 0 : high
    }
}
