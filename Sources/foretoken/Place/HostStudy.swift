import ForetokenPlacement
import ForetokenReport

/// What planning over hosts found: for tables and JSON.
struct HostStudy {
    /// What is divided.
    struct Subject: Encodable {
        /// What reports call the model.
        let model: String
        /// Whether only its dimensions are known.
        let isShape: Bool
        /// How the large matrices are kept.
        let weights: String
        /// Main layers and MTP modules.
        let layers: Int
        let modules: Int
        /// Bytes of all weights, the cache, and one host's scratch.
        let weightBytes: Int
        let cacheBytes: Int
        let scratchBytes: Int
        /// Tokens that the cache holds.
        let context: Int
        /// How rows share experts, in words.
        let overlap: String?
    }

    let subject: Subject
    let planner: HostPlanner
    let plan: HostPlan
    /// The file's name.
    let source: String
    /// What a reader must know about the hosts' figures.
    let remarks: [String]

    init(_ subject: Subject, _ planner: HostPlanner, source: String, remarks: [String]) {
        self.subject = subject
        self.planner = planner
        self.source = source
        self.remarks = remarks
        plan = planner.choose()
    }

    /// The answer in a line.
    var headline: String {
        guard let choice = plan.choice else { return "No division fits these hosts" }
        switch choice.division {
        case .oneHost where planner.hosts.count == 1: return "One host has room for the model"
        case .oneHost: return "Leave the model whole on \(choice.parts[0].name)"
        case .layers: return "Divide the layers over the hosts"
        case .rows: return "Cut the rows over the hosts"
        }
    }

    /// Why, in numbers.
    var reason: String {
        guard let choice = plan.choice else {
            return plan.forecasts.map { "\($0.division.title): \(shortage($0) ?? "")" }.joined(separator: "; ") + "."
        }
        var sentences = ["Predicted: \(rates(choice)); \(Format.percent(choice.exchangeShare)) of a step is exchange."]
        for other in plan.forecasts where other.division != choice.division {
            if let shortage = shortage(other) {
                sentences.append("\(other.division.title.capitalizedFirst) does not fit: \(shortage).")
            } else {
                let ratio = choice.bestTokensPerSecond / other.bestTokensPerSecond
                let isAlike = abs(ratio - 1) <= HostPlanner.tolerance
                sentences.append(
                    "\(other.division.title.capitalizedFirst): \(rates(other)), "
                        + (isAlike ? "as good but less simple." : "\(AxisFormat.times.text(1 / ratio)) as fast."))
            }
        }
        return sentences.joined(separator: " ")
    }

    /// What has no room, as "16.4 GB are missing on b"; nil where all has.
    func shortage(_ forecast: HostForecast) -> String? {
        guard !forecast.fits else { return nil }
        let short = forecast.parts.filter { $0.missingBytes > 0 }
        let most = short.prefix(3).map { "\(Format.bytes($0.missingBytes)) are missing on \($0.name)" }
        let rest = short.count > 3 ? ", and more on \(count(short.count - 3, "other"))" : ""
        return most.joined(separator: ", ") + rest
    }

    private func rates(_ forecast: HostForecast) -> String {
        let drafted = forecast.draftedTokensPerSecond.map { ", \(Format.short($0)) with a draft" } ?? ""
        return "\(Format.short(forecast.tokensPerSecond)) tok/s\(drafted)"
    }

    /// What a reader must know.
    var caveats: [String] {
        var caveats = [
            "times are of reading weights and of the link alone, with an empty context; bandwidths and link are the file's"
        ]
        if let overlap = subject.overlap { caveats.append("how a step's rows share experts: \(overlap)") }
        if subject.modules > 0 {
            caveats.append("drafts hold with chance \(Format.fixed(planner.acceptance, 2)) (--acceptance)")
        }
        if planner.hosts.count > 1 {
            caveats.append(
                "an exchange takes \(Format.short(planner.link.peerSeconds * 1e6)) µs longer for each host beyond the second"
            )
        }
        return caveats + remarks
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}

extension HostDivision {
    /// What tables call it.
    var title: String {
        switch self {
        case .oneHost: "one host"
        case .layers: "layers"
        case .rows: "rows"
        }
    }
}

extension HostStudy: Encodable {
    private enum CodingKeys: String, CodingKey {
        case model, hosts, link, acceptance, division, verdict, reason, caveats, forecasts
    }

    private struct Host: Encodable {
        let name: String
        let capacity: Int
        let readGbps: Double
        let promptTflops: Double?
    }

    private struct Link: Encodable {
        let alphaUs: Double
        let gbps: Double
        let peerUs: Double
    }

    /// Everything; `division` is the one to take, null where none fits.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(subject, forKey: .model)
        try container.encode(
            planner.hosts.map {
                Host(
                    name: $0.name, capacity: $0.capacity, readGbps: $0.readBandwidth / 1e9,
                    promptTflops: $0.multiplyAddsPerSecond.map { $0 * 2e-12 })
            }, forKey: .hosts)
        let link = planner.link
        try container.encode(
            Link(
                alphaUs: link.latencySeconds * 1e6, gbps: link.bytesPerSecond / 1e9, peerUs: link.peerSeconds * 1e6),
            forKey: .link)
        try container.encode(planner.acceptance, forKey: .acceptance)
        try container.encode(plan.choice?.division, forKey: .division)
        try container.encode(headline, forKey: .verdict)
        try container.encode(reason, forKey: .reason)
        try container.encode(caveats, forKey: .caveats)
        try container.encode(plan.forecasts, forKey: .forecasts)
    }
}
