import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenText
import ForetokenWeights

/// Scores one text with a model in each of its resident formats, one after the other in memory.
struct FormatTrial {
    private static let mostTokens = 4096
    private static let context = 1024
    private let open: OpenModel

    init(_ open: OpenModel) { self.open = open }

    /// - Parameter text: the beginning is scored.
    /// - Throws: `Interrupted` when interrupted: half a comparison is none.
    func run(_ text: [Int32]) throws -> [BenchReport.FormatLoss] {
        let tokens = Array(text.prefix(Self.mostTokens))
        let context = min(Self.context, open.contextLimit, tokens.count)
        var losses: [BenchReport.FormatLoss] = []
        for format in ResidentFormat.allCases {
            let model = try open.load(context: context, format: format)
            let bar = ProgressBar(
                "scoring \(format.rawValue)", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
            let score = try open.makeScorer(model, context: context).score(tokens) { done, total in
                bar.update(Double(done) / Double(total)) { "\(Format.short(Double(done) / $0)) tok/s" }
                return !Interrupts.requested
            }
            bar.clear()
            guard score.isComplete else { throw Interrupted() }
            losses.append(
                BenchReport.FormatLoss(
                    format: format.rawValue, weightBytes: model.weights.byteCount, bytesPerStep: model.bytesPerStep,
                    perplexity: score.perplexity,
                    relative: score.perplexity / (losses.first?.perplexity ?? score.perplexity),
                    tokens: tokens.count - 1))
        }
        return losses
    }
}
