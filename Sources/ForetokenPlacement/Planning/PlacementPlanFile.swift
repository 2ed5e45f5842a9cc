import FoundationEssentials
import ForetokenJSON

/// A plan as a file: JSON, every distinct placement once, layers as lists of indices into those.
///
/// ```
/// {"format":"foretoken-placement","version":1,"policy":"replicas=12.5","model":"…","machine":"…","nodes":[0,1],
///  "placements":[[[[0,1]]],[[[0,1]],[[1,1]]]],"layers":[{"layer":3,"experts":[0,1,0,…]}]}
/// ```
/// A placement is a list of copies, a copy a list of parts, a part a node's index in `nodes` and a share. Layers ascend;
/// those that are left out are cut evenly over all nodes with workers.
public enum PlacementPlanFile {
    /// The version that is written, and the only one that is read.
    public static let version = 1
    /// Larger files are refused unread: 4096 layers of 256 experts take about 5 MB.
    public static let sizeLimit = 64 << 20

    private static let format = "foretoken-placement"

    private struct Layer: Encodable {
        var layer: Int
        var experts: [Int]
    }

    private struct Body: Encodable {
        var format: String
        var version: Int
        var policy: String
        var model: String
        var machine: String
        var nodes: [Int]
        var placements: [[[[Int]]]]
        var layers: [Layer]
    }

    /// The file of a plan.
    public static func encode(_ plan: PlacementPlan) throws -> [UInt8] {
        var indices: [ExpertPlacement: Int] = [:]
        var placements: [[[[Int]]]] = []
        let layers = plan.layers.sorted { $0.key < $1.key }.map { number, experts in
            Layer(
                layer: number,
                experts: experts.map { placement in
                    if let known = indices[placement] { return known }
                    indices[placement] = placements.count
                    placements.append(placement.copies.map { $0.map { [$0.node, $0.share] } })
                    return placements.count - 1
                })
        }
        let body = Body(
            format: format, version: version, policy: plan.policy, model: plan.model, machine: plan.machine,
            nodes: plan.nodes, placements: placements, layers: layers)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(body)) + [UInt8(ascii: "\n")]
    }

    /// Reads a plan, which may then be validated for a model and a machine.
    /// - Parameter name: of the file, for errors.
    /// - Throws: `PlacementError` saying what is wrong where.
    public static func decode(_ bytes: [UInt8], name: String) throws(PlacementError) -> PlacementPlan {
        guard bytes.count <= sizeLimit else {
            throw PlacementError(
                "\(name): expected a placement plan of at most \(sizeLimit) bytes, found \(bytes.count)")
        }
        let body: Body
        do throws(JSONError) {
            let fields = try JSONField(JSONValue(bytes)).fields()
            if let found = mismatch(fields["format"], .string(format)) {
                throw JSONError("expected a placement plan (\"format\":\"\(format)\"), found \(found)")
            }
            // Another version's keys mean something else.
            if fields["version"].value?.integer != version {
                throw JSONError(
                    "expected version \(version) of placement plans, found "
                        + "\(fields["version"].value?.shortDescription ?? "none"); make the plan anew with foretoken place"
                )
            }
            body = try readBody(fields)
        } catch {
            throw PlacementError("\(name) is not a placement plan that can be used: \(error)")
        }
        return try plan(body, name)
    }

    /// What a plan has in a key's place; nil where it has what is expected.
    private static func mismatch(_ field: JSONField, _ expected: JSONValue) -> String? {
        field.value == expected ? nil : field.value?.shortDescription ?? "no \(field.path)"
    }

    private static func readBody(_ fields: JSONFields) throws(JSONError) -> Body {
        var placements: [[[[Int]]]] = []
        for placement in try fields["placements"].list() {
            var copies: [[[Int]]] = []
            for copy in try placement.list() {
                var parts: [[Int]] = []
                for part in try copy.list() { parts.append(try part.integers()) }
                copies.append(parts)
            }
            placements.append(copies)
        }
        var layers: [Layer] = []
        for layer in try fields["layers"].list() {
            let members = try layer.fields()
            layers.append(Layer(layer: try members["layer"].integer(), experts: try members["experts"].integers()))
        }
        return Body(
            format: format, version: version, policy: try fields["policy"].string(),
            model: try fields["model"].string(), machine: try fields["machine"].string(),
            nodes: try fields["nodes"].integers(), placements: placements, layers: layers)
    }

    private static func plan(_ body: Body, _ name: String) throws(PlacementError) -> PlacementPlan {
        func expect(_ holds: Bool, _ what: String) throws(PlacementError) {
            guard holds else { throw PlacementError("\(name): expected \(what)") }
        }
        let nodes = body.nodes
        try expect(
            (1...FigureLimits.nodes).contains(nodes.count), "1…\(FigureLimits.nodes) nodes, found \(nodes.count)")
        try expect(
            nodes[0] >= 0 && zip(nodes, nodes.dropFirst()).allSatisfy(<), "nodes in ascending order, found \(nodes)")
        try expect(body.policy.utf8.count <= 256, "a policy of at most 256 bytes")
        var placements: [ExpertPlacement] = []
        for (index, copies) in body.placements.enumerated() {
            for part in copies.joined() {
                try expect(part.count == 2, "[node, share] in placement \(index), found \(part)")
            }
            let placement = ExpertPlacement(copies: copies.map { $0.map { .init(node: $0[0], share: $0[1]) } })
            try placement.check(nodes: nodes.count, at: "\(name): placement \(index)")
            placements.append(placement)
        }
        try expect(body.layers.count <= FigureLimits.layers, "at most \(FigureLimits.layers) layers")
        let numbers = body.layers.map(\.layer)
        try expect(
            numbers.first ?? 0 >= 0 && zip(numbers, numbers.dropFirst()).allSatisfy(<),
            "layers in ascending order, found \(numbers)")
        let experts = body.layers.first?.experts.count ?? 0
        var plan = PlacementPlan(
            policy: body.policy, model: body.model, machine: body.machine, nodes: nodes, layers: [:])
        for layer in body.layers {
            try expect(
                layer.experts.count == experts && (1...FigureLimits.experts).contains(experts),
                "the same number of experts in each layer, 1…\(FigureLimits.experts); found \(layer.experts.count) in "
                    + "layer \(layer.layer)")
            if let unknown = layer.experts.first(where: { !placements.indices.contains($0) }) {
                throw PlacementError(
                    "\(name): layer \(layer.layer) uses placement \(unknown), but there are \(placements.count)")
            }
            plan.layers[layer.layer] = layer.experts.map { placements[$0] }
        }
        return plan
    }
}
