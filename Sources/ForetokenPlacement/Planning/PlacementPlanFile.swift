import FoundationEssentials

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

    private struct Head: Decodable {
        var format: String?
        var version: Int?
    }

    private struct Layer: Codable {
        var layer: Int
        var experts: [Int]
    }

    private struct Body: Codable {
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
        let head = try json(Head.self, bytes, name)
        guard head.format == format else {
            throw PlacementError(
                "\(name): expected a placement plan (\"format\":\"\(format)\"), found \(head.format ?? "no format")")
        }
        guard head.version == version else {
            throw PlacementError(
                "\(name): expected version \(version) of placement plans, found "
                    + "\(head.version.map(String.init) ?? "none"); make the plan anew with foretoken place")
        }
        return try plan(try json(Body.self, bytes, name), name)
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

    private static func json<Value: Decodable>(
        _: Value.Type, _ bytes: [UInt8], _ name: String
    ) throws(PlacementError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw PlacementError("\(name) is not a placement plan: \(reason(error))")
        } catch {
            throw PlacementError("\(name) is not a placement plan: \(error)")
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        func at(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String {
            let path = (context.codingPath + (key.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "the top" : path
        }
        return switch error {
        case .keyNotFound(let key, let context): "\(at(context, key)) is missing"
        case .typeMismatch(let type, let context): "\(at(context)) is not \(type)"
        case .valueNotFound(let type, let context): "\(at(context)) is null, not \(type)"
        case .dataCorrupted(let context): "invalid JSON at \(at(context)): \(context.debugDescription)"
        @unknown default: "\(error)"
        }
    }
}
