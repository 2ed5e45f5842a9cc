import ForetokenLaboratory
import ForetokenModel
import ForetokenReport

extension Divergence {
    /// Where it began, as a small table.
    func text(on terminal: Terminal) -> String {
        var table = Table([.init(""), .init("")])
        table.add("  way", "\(way): \(run)")
        if let text { table.add("  text", "\(text) of those served together") }
        table.add("  prompt", "\(prompt), \(sampling)")
        table.add("  position", "\(position)" + (places.map { "; \($0)" } ?? ""))
        switch kind {
        case .values:
            let isToken = expectedSite?.operation == .embedding
            table.add(
                "  place",
                (expectedSite?.label ?? "") + (isToken ? ": another token was run here than the text holds" : ""))
            if let element {
                table.add(
                    "  element", "\(element.index) of \(element.width); \(element.differing) differ in this row")
                table.add("  expected", "\(element.expected.bits)  \(element.expected)")
                table.add("  found", "\(element.found.bits)  \(element.found)")
            } else {
                table.add(
                    "  element", "unknown: a second run took another course, or did not show the difference again")
            }
        case .order:
            table.add("  expected", expectedSite?.label ?? "the end of the row")
            table.add("  found", foundSite?.label ?? "the end of the row")
        case .token:
            table.add("  place", "sampling or acceptance: all values before the token are the same")
        case .draft:
            table.add("  place", "draft \((draft?.made ?? 0) + 1) behind this position, as the MTP module proposed it")
            if let draft {
                table.add("  expected", draft.expected.label)
                table.add("  found", draft.found.label)
            }
        }
        if let token {
            table.add(
                "  tokens",
                "differ from position \(token.position): expected \(token.expected.map(String.init) ?? "the end"), "
                    + "found \(token.found.map(String.init) ?? "the end")")
        } else {
            table.add("  tokens", "the same")
        }
        return terminal.styled("First divergence", .bold) + "\n" + table.rendered(on: terminal)
    }

    private var places: String? {
        guard let expectedPlace, let foundPlace else { return nil }
        return
            "row \(foundPlace.index) of a step of \(foundPlace.count), in the reference row \(expectedPlace.index) of "
            + "\(expectedPlace.count)"
    }
}

extension StepSite {
    fileprivate var label: String {
        (layer.map { "layer \($0), " } ?? "") + operation.rawValue + (expert.map { ", expert \($0)" } ?? "")
    }
}

extension DraftProposal {
    fileprivate var label: String { "token \(token), ahead of the next by \(lead.bits)  \(lead)" }
}

extension Float {
    /// The raw bits: 0x3F800000.
    fileprivate var bits: String {
        let digits = String(bitPattern, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// A divergence in JSON; every key is always there.
struct DivergenceFigures: Encodable {
    private let divergence: Divergence

    init(_ divergence: Divergence) { self.divergence = divergence }

    private enum CodingKeys: CodingKey {
        case kind, way, run, prompt, sampling, position, layer, operation, expert, found_layer, found_operation,
            found_expert
        case row, rows, expected_row, expected_rows, element, width, differing, expected_bits, found_bits
        case expected_value, found_value, token_position, expected_token, found_token
        case text, draft, expected_draft, found_draft, expected_lead, found_lead
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let d = divergence
        try container.encode(d.kind.rawValue, forKey: .kind)
        try container.encode(d.way, forKey: .way)
        try container.encode(d.run, forKey: .run)
        try container.encode(d.prompt, forKey: .prompt)
        try container.encode(d.sampling, forKey: .sampling)
        try container.encode(d.position, forKey: .position)
        try container.encode(d.expectedSite?.layer, forKey: .layer)
        try container.encode(d.expectedSite?.operation.rawValue, forKey: .operation)
        try container.encode(d.expectedSite?.expert, forKey: .expert)
        try container.encode(d.foundSite?.layer, forKey: .found_layer)
        try container.encode(d.foundSite?.operation.rawValue, forKey: .found_operation)
        try container.encode(d.foundSite?.expert, forKey: .found_expert)
        try container.encode(d.foundPlace?.index, forKey: .row)
        try container.encode(d.foundPlace?.count, forKey: .rows)
        try container.encode(d.expectedPlace?.index, forKey: .expected_row)
        try container.encode(d.expectedPlace?.count, forKey: .expected_rows)
        try container.encode(d.element?.index, forKey: .element)
        try container.encode(d.element?.width, forKey: .width)
        try container.encode(d.element?.differing, forKey: .differing)
        try container.encode(d.element?.expected.bits, forKey: .expected_bits)
        try container.encode(d.element?.found.bits, forKey: .found_bits)
        // Infinities and NaN are no JSON numbers.
        try container.encode(d.element.map { "\($0.expected)" }, forKey: .expected_value)
        try container.encode(d.element.map { "\($0.found)" }, forKey: .found_value)
        try container.encode(d.token?.position, forKey: .token_position)
        try container.encode(d.token?.expected, forKey: .expected_token)
        try container.encode(d.token?.found, forKey: .found_token)
        try container.encode(d.text, forKey: .text)
        try container.encode(d.draft?.made, forKey: .draft)
        try container.encode(d.draft?.expected.token, forKey: .expected_draft)
        try container.encode(d.draft?.found.token, forKey: .found_draft)
        try container.encode(d.draft?.expected.lead.bits, forKey: .expected_lead)
        try container.encode(d.draft?.found.lead.bits, forKey: .found_lead)
    }
}
