import ForetokenLaboratory
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import ForetokenWeights
import Glibc

extension Place {
    /// Workers whose scratch is counted where the file does not describe CPUs: of a host of two large sockets.
    private static let usualWorkers = 128

    /// Shows what dividing the model over hosts would give.
    /// - Throws: `UsageError` where there is no such file, `InputError` for one that cannot be used or where nothing fits, and
    ///   as `Checkpoint` does.
    func divide(over path: String) throws {
        let file = try HostsFile(json: InputFile.bytes(path, for: .hosts), source: path)
        let opened = try PlacedCheckpoint(model)
        let hosted = try opened.hosted(model.cacheType, workers: file.mostWorkers ?? Self.usualWorkers)
        let overlap = try OverlapChoice(opened.checkpoint.configuration).overlaps(nil).first
        let planner = HostPlanner(
            hosted, hosts: file.hosts, link: file.link, overlap: overlap,
            acceptance: acceptance ?? DraftForecast.acceptance[0])
        let study = HostStudy(
            .init(
                model: opened.checkpoint.label, isShape: opened.isShape, weights: opened.format.rawValue,
                layers: hosted.layers.count, modules: hosted.modules.count,
                weightBytes: hosted.weightBytes + hosted.otherBytes, cacheBytes: hosted.cacheBytes,
                scratchBytes: hosted.scratchBytes, context: opened.context, overlap: overlap?.source),
            planner, source: path, remarks: file.remarks)
        try StandardOutput.write(
            json
                ? JSONOutput.line(study, snakeCase: true)
                : StandardOutput.page { HostTables(study, $0).text })
        if study.plan.choice == nil { throw InputError("\(study.headline): \(study.reason)") }
    }
}
