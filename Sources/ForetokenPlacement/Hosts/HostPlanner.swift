/// What planning over hosts found.
public struct HostPlan: Sendable, Equatable {
    /// One host, then layers and rows over all where there are several.
    public let forecasts: [HostForecast]
    /// Index of the one to take; nil where none fits.
    public let chosen: Int?

    /// The one to take; nil where none fits.
    public var choice: HostForecast? { chosen.map { forecasts[$0] } }
}

/// Decides how a model is divided over hosts, by what every way is predicted to give.
public struct HostPlanner: Sendable {
    /// The model.
    public let model: HostedModel
    /// The hosts; the first leads.
    public var hosts: [HostMachine]
    /// What lies between them.
    public let link: HostLink
    /// By rows − 1: distinct experts that a layer reads, a mean.
    public let distinct: [Double]
    /// How often a draft holds.
    public let acceptance: Double

    /// What is this near to the best is as good, and the simpler division is taken.
    public static let tolerance = 0.01

    /// A planner.
    /// - Parameters:
    ///   - overlap: how rows share experts; nil for a model without, or where every row has its own.
    ///   - acceptance: how often a draft holds, 0…1.
    /// - Precondition: there is a host.
    public init(
        _ model: HostedModel, hosts: [HostMachine], link: HostLink, overlap: ExpertOverlap?, acceptance: Double
    ) {
        precondition(!hosts.isEmpty, "some host has the model")
        self.model = model
        self.hosts = hosts
        self.link = link
        distinct =
            overlap?.distinct ?? (1...ExpertOverlap.widest).map { Double($0 * model.expertsPerToken) }
        self.acceptance = acceptance
    }

    /// Forecasts every division and takes the one with the most tokens a second, drafting where that helps, among those that
    /// fit; of equally good ones the first of `HostDivision`.
    public func choose() -> HostPlan {
        var forecasts = [forecast(.oneHost)]
        if hosts.count > 1 { forecasts += [forecast(.layers), forecast(.rows)] }
        return HostPlan(forecasts: forecasts, chosen: Self.best(of: forecasts))
    }

    /// Index of the one with the most tokens a second among those that fit, of equally good ones the first; nil where none does.
    public static func best(of forecasts: [HostForecast]) -> Int? {
        guard let best = forecasts.filter(\.fits).map(\.bestTokensPerSecond).max() else { return nil }
        return forecasts.firstIndex { $0.fits && $0.bestTokensPerSecond >= best * (1 - tolerance) }
    }

    /// What one division is predicted to give; of single hosts the fastest that fits, or the one that misses least.
    public func forecast(_ division: HostDivision) -> HostForecast {
        switch division {
        case .oneHost:
            let all = hosts.indices.map(alone)
            let fitting = all.filter(\.fits).max { $0.bestTokensPerSecond < $1.bestTokensPerSecond }
            return fitting ?? all.min { $0.missingBytes < $1.missingBytes } ?? all[0]
        case .layers:
            let cut = LayerDivision(model, hosts, link)
            return HostForecast(
                .layers, parts: cut.parts, steps: steps(cut.step), draft: cut.draft, acceptance: acceptance,
                promptTokensPerSecond: cut.promptTokensPerSecond)
        case .rows:
            let cut = RowDivision(model, hosts, link)
            return HostForecast(
                .rows, parts: cut.parts, steps: steps(cut.step), draft: cut.draft, acceptance: acceptance,
                promptTokensPerSecond: cut.promptTokensPerSecond)
        }
    }

    private func alone(_ host: Int) -> HostForecast {
        let cut = RowDivision(model, [hosts[host]], link)
        var parts = cut.parts
        parts[0].host = host
        return HostForecast(
            .oneHost, parts: parts, steps: steps(cut.step), draft: cut.draft, acceptance: acceptance,
            promptTokensPerSecond: cut.promptTokensPerSecond)
    }

    private func steps(_ step: (_ rows: Int, _ distinct: Double) -> StepTime) -> [StepTime] {
        distinct.enumerated().map { step($0.offset + 1, $0.element) }
    }
}
