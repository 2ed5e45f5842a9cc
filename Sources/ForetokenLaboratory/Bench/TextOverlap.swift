import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

#if canImport(Glibc)
    import Glibc
#endif

/// Which experts the rows of a text choose while it is read, and what several rows in turn therefore read.
package final class TextOverlap {
    private let model: Model
    private let choices: ExpertChoices
    private var rows = 0

    /// Looks on from now on.
    package init(_ model: Model) {
        self.model = model
        choices = ExpertChoices(layers: model.configuration.layerCount, experts: model.configuration.routedExpertCount)
    }

    /// Runs `body` and looks at the rows that it reads of one text.
    /// - Parameter end: rows of the text afterwards, if `body` returns true.
    func watch(upTo end: Int, _ body: () -> Bool) -> Bool {
        model.verifier.observer = choices
        defer { model.verifier.observer = nil }
        guard body() else { return false }
        rows = end
        return true
    }

    /// Reads a text.
    /// - Throws: `HardwareError` without memory for its cache.
    package func read(_ tokens: [Int32], proceed: () -> Bool) throws -> Bool {
        let sequence = try model.makeSequence(context: tokens.count)
        sequence.append(tokens)
        var reader = PromptReader(model, drafting: false)
        return watch(upTo: tokens.count) { reader.read(sequence, to: tokens.count, proceed: proceed) }
    }

    /// By rows of a window, over all places of the text; empty for models without experts, and before a window was read.
    package var windows: [BenchReport.Overlap] {
        let layers = choices.layers
        guard rows >= Step.windowRows, !layers.isEmpty else { return [] }
        let bytes = model.expertBytes
        var distinct = [Double](repeating: 0, count: Step.windowRows)
        var touched = distinct
        let starts = 0...rows - Step.windowRows
        for layer in layers {
            for start in starts {
                for (i, count) in choices.distinct(layer: layer, start: start, rows: Step.windowRows).enumerated() {
                    distinct[i] += Double(count) / Double(layers.count * starts.count)
                    touched[i] += Double(count * bytes[layer]) / Double(starts.count)
                }
            }
        }
        let experts = Double(model.configuration.routedExpertCount)
        let dense = Double(model.denseBytesPerStep)
        return distinct.indices.map { i in
            BenchReport.Overlap(
                rows: i + 1, experts: distinct[i], relative: distinct[i] / distinct[0],
                byChance: experts * (1 - pow(1 - distinct[0] / experts, Double(i + 1))),
                relativeBytes: (dense + touched[i]) / (dense + touched[0]))
        }
    }
}
