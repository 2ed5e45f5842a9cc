import ForetokenPlacement
import ForetokenReport

/// `place --report`: what planning found, as a page for people.
package struct PlacePage {
    let study: PlacementStudy

    /// A page about a study.
    package init(_ study: PlacementStudy) { self.study = study }

    /// The page as HTML; see `ReportPage`.
    package var html: String { page.rendered() }

    /// Everything, in the order of the questions a reader has.
    private var page: ReportPage {
        let (subject, windows) = (study.subject, study.report.windows)
        let used = windows.training + windows.heldOut
        let subtitle = [
            study.machine.name, count(study.report.nodes.count, "node"), "bandwidths \(study.sourceName)",
            "\(subject.weights) weights", "\(count(used, "window")) of routing",
        ]
        var page = ReportPage(
            title: "Where should the experts of \(subject.model) lie?", subtitle: subtitle.joined(separator: " · "),
            banner: banner,
            footer: "Made by `foretoken place`. All times are predictions. A placement changes the speed only: "
                + "every plan gives the same tokens.")
        page.notices = study.doubts
        page.tiles = tiles
        page.sections = [policies, memory, layers, routing, domains, method]
        return page
    }

    private var banner: ReportPage.Banner {
        let verdict = PlacementVerdict(study)
        let tone: ReportPage.Banner.Tone =
            switch verdict.answer {
            case .statistics, .simple: .good
            case .thin, .nothingToPlace: .open
            case .nothingFits: .bad
            }
        return .init(tone, headline: verdict.headline, flag: nil, reason: verdict.reason)
    }

    private var tiles: [ReportPage.Tile] {
        guard let (result, score) = study.taken else { return [] }
        var tiles = [
            ReportPage.Tile(
                "Step, predicted", study.unit.text(score.stepSeconds),
                detail:
                    "experts \(study.unit.text(score.expertSeconds)), all else \(study.unit.text(study.fixedSeconds))"),
            ReportPage.Tile(
                "Tokens per second, predicted", Format.short(score.tokensPerSecond),
                detail: "\(Format.fixed(study.report.windows.tokensPerStep, 2)) tokens a step"),
            ReportPage.Tile(
                "Over the perfect bound", AxisFormat.times.text(score.ratioToBound),
                detail: "experts' time; 1.00× is all nodes reading at once"),
        ]
        if let factor = study.expertSpeedup(score), result.policy != .capacitySliced {
            tiles.append(
                .init(
                    "Against capacity-sliced", AxisFormat.times.text(factor),
                    detail: "experts and barriers; the baseline"))
        }
        if let gain = study.report.statisticsGain {
            tiles.append(
                .init(
                    "Worth of statistics", AxisFormat.times.text(gain),
                    detail: "best plan with them against best without"))
        }
        if let fullest = study.fullest(score) {
            tiles.append(
                .init(
                    "Fullest node", Format.percent(fullest.share),
                    detail: "node \(fullest.id): \(Format.bytes(fullest.bytes))"))
        }
        return tiles
    }
}
