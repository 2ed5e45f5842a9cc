import ForetokenJSON

/// Reads config.json key by key and notes every problem instead of stopping at the first.
///
/// After a problem the largest allowed value takes the place of the bad one, so that keys bounded by it raise no problem of
/// their own; the result is thrown away as a whole.
struct ConfigurationReader {
    private var members: JSONObject
    private var file: String
    private(set) var problems: [CheckpointError] = []

    init(_ members: JSONObject, file: String) {
        self.members = members
        self.file = file
    }

    // MARK: Values

    /// The value under any of the spellings, as long as those that are present agree.
    mutating func value(_ keys: [String]) -> JSONValue? {
        let present = keys.compactMap { key in members[key].map { (key: key, value: $0) } }
        if let first = present.first, let other = present.first(where: { $0.value != first.value }) {
            refuse(
                "`\(first.key)` and `\(other.key)` mean the same but differ", expected: first.value.shortDescription,
                found: other.value.shortDescription)
        }
        return present.first?.value
    }

    /// A whole number. A missing key is a problem unless there is a `default`; so is null unless `null` replaces it.
    mutating func integer(
        _ keys: String..., in range: ClosedRange<Int>, default missing: Int? = nil, null: Int? = nil
    ) -> Int {
        let value = value(keys)
        if let whole = value?.integer, range ~= whole { return whole }
        switch value {
        case nil where missing != nil: return missing!
        case .null where (null ?? missing) != nil: return (null ?? missing)!
        case let other: return mismatch(keys[0], "a whole number in \(range)", other, instead: range.upperBound)
        }
    }

    /// A whole number, or null. The key must be there: what a missing key means differs between programs.
    mutating func optionalInteger(_ key: String, in range: ClosedRange<Int>) -> Int? {
        if case .null = members[key] { return nil }
        return integer(key, in: range)
    }

    mutating func flag(_ key: String, default missing: Bool? = nil) -> Bool {
        switch value([key]) {
        case nil where missing != nil, .null where missing != nil: return missing!
        case .bool(let value): return value
        case let other: return mismatch(key, "true or false", other, instead: false)
        }
    }

    mutating func number(_ key: String, where isAllowed: (Double) -> Bool) -> Double {
        number(key, of: members[key], default: nil, where: isAllowed)
    }

    private mutating func number(
        _ key: String, of value: JSONValue?, default missing: Double?, where isAllowed: (Double) -> Bool
    ) -> Double {
        switch value {
        case nil where missing != nil, .null where missing != nil: return missing!
        // Everything is computed in Float in the end; a value that Float turns into 0 or infinity is as bad as those.
        case .number(let found)
        where isAllowed(found.double) && (Float(found.double).isNormal || found.double == 0 && isAllowed(0)):
            return found.double
        case let other: return mismatch(key, "a number in its usual range", other, instead: 1)
        }
    }

    /// A token id, a list of them, or nothing.
    mutating func tokens(_ key: String, below limit: Int) -> [Int32] {
        let list: [JSONValue] =
            switch members[key] {
            case nil, .null: []
            case .array(let values): values
            case let single?: [single]
            }
        return list.compactMap { element in
            if let id = element.integer, id >= 0, id < limit { return Int32(id) }
            return mismatch(key, "token ids in 0..<\(limit)", element, instead: nil)
        }
    }

    /// Powers of two by name, or none at all; what is missing is 1.
    mutating func growth(_ key: String) -> GrowthFactors {
        guard let value = members[key], value != .null else { return .one }
        if let members = value.object?.members,
            let factors = GrowthFactors(named: members.map { ($0.key, $0.value.integer ?? 0) })
        {
            return factors
        }
        let names = GrowthFactors.names.map(\.name).joined(separator: ", ")
        let limit = GrowthFactors.maximum
        return mismatch(key, "some of \(names), each a power of two up to \(limit)", value, instead: .one)
    }

    mutating func mismatch<Value>(
        _ key: String, _ expected: String, _ found: JSONValue?, instead: Value
    ) -> Value {
        refuse("`\(key)` is \(found == nil ? "missing" : "wrong")", expected: expected, found: found?.shortDescription)
        return instead
    }

    mutating func refuse(
        _ what: String, expected: String? = nil, found: String? = nil, hint: String? = nil
    ) {
        problems.append(CheckpointError("\(file): \(what)", expected: expected, found: found, hint: hint))
    }

    // MARK: Family

    /// The family, and the keys of its text model in place of the file's where they lie in an object of their own.
    ///
    /// nil, with a problem noted, for models that this program does not run: a relative's missing and strange keys would
    /// only bury the reason.
    mutating func family() -> ModelFamily? {
        let type = members["model_type"]?.string ?? ""
        guard let family = ModelFamily.of(modelType: type) else {
            refuseModelType(type)
            return nil
        }
        checkArchitecture(family.architectures)
        if let key = family.nestedKey { enter(key, of: family) }
        return problems.isEmpty ? family : nil
    }

    private mutating func refuseModelType(_ type: String) {
        let types = ModelFamily.all.flatMap(\.modelTypes)
        let supported = types.dropLast().joined(separator: ", ") + " or \(types.last!)"
        if let reason = ModelFamily.refusals[type] {
            refuse("model_type \(type) is not supported: \(reason)", expected: supported)
        } else {
            let found = members["model_type"]?.shortDescription ?? "no model_type"
            refuse(
                "this is not a model of the DeepSeek-V3 family", expected: "model_type \(supported)", found: found)
        }
    }

    /// Goes on with the members of the object under `key`; how weights are quantised may also be said outside of it.
    private mutating func enter(_ key: String, of family: ModelFamily) {
        guard case .object(let inner)? = members[key] else {
            return mismatch(key, "an object with the text model's keys", members[key], instead: ())
        }
        let type = inner["model_type"]
        guard family.nestedTypes.contains(where: { type == .string($0) }) else {
            return refuse(
                "`\(key).model_type` is not supported", expected: family.nestedTypes.joined(separator: " or "),
                found: type?.shortDescription ?? "nothing")
        }
        let outer = members
        members = inner
        file += ": \(key)"
        checkArchitecture(family.nestedTypes.flatMap { ModelFamily.of(modelType: $0)?.architectures ?? [] })
        let quantization = "quantization_config"
        guard let value = outer[quantization], value != .null else { return }
        if let own = members[quantization], own != .null {
            if own != value { refuse("`\(quantization)` is given inside and outside, with different values") }
        } else {
            members[quantization] = value
        }
    }

    /// The key of a list with an entry for each layer.
    static let layerKinds = "mlp_layer_types"

    /// How many layers at the start are dense: `first_k_dense_replace`, or what `mlp_layer_types` lists (Hugging Face 5).
    mutating func denseLayers(of layerCount: Int) -> Int {
        let (key, listKey) = ("first_k_dense_replace", Self.layerKinds)
        guard let list = members[listKey], list != .null else { return integer(key, in: 0...layerCount) }
        var types: [String?] = []
        if case .array(let values) = list { types = values.map(\.string) }
        // After a problem the number of layers may be none that the file gives.
        guard types.count == layerCount || !problems.isEmpty, types.allSatisfy({ $0 == "dense" || $0 == "sparse" })
        else {
            return mismatch(listKey, "\(layerCount) times \"dense\" or \"sparse\"", list, instead: layerCount)
        }
        let dense = types.prefix { $0 == "dense" }.count
        if let late = types.lastIndex(of: "dense"), late >= dense {
            refuse(
                "`\(listKey)` is not supported", expected: "dense layers only at the start",
                found: "\"sparse\" for layer \(dense), \"dense\" for layer \(late)")
        }
        guard let stated = members[key], stated != .null else { return dense }
        let count = integer(key, in: 0...layerCount)
        if count != dense {
            refuse("`\(key)` and `\(listKey)` differ", expected: "\(count) dense layers", found: "\(dense)")
        }
        return count
    }

    // MARK: Rotary embedding

    /// Reads `rope_theta` and `rope_scaling`, or `rope_parameters`, which holds both.
    mutating func rope() -> RopeConfiguration {
        let scaling = ropeObject("rope_scaling")
        let parameters = ropeObject("rope_parameters")
        if let scaling, let parameters {
            for (key, value) in scaling.sorted(by: { $0.key < $1.key }) where parameters[key] != value {
                refuse(
                    "`rope_scaling` and `rope_parameters` differ in `\(key)`", expected: value.shortDescription,
                    found: parameters[key]?.shortDescription ?? "nothing")
            }
        }
        let object = parameters ?? scaling ?? [:]
        if let inner = object["rope_theta"], let outer = members["rope_theta"], inner != outer {
            refuse("`rope_theta` is given twice with different values")
        }
        let theta = number("rope_theta", of: object["rope_theta"] ?? members["rope_theta"], default: nil) { $0 > 1 }
        return RopeConfiguration(theta: theta, yarn: yarn(object))
    }

    private mutating func ropeObject(_ key: String) -> [String: JSONValue]? {
        switch members[key] {
        case nil, .null: return nil
        case .object(let object): return ropeMembers(object, of: key)
        case let other: return mismatch(key, "an object or null", other, instead: nil)
        }
    }

    /// The members by key; `type`, the older name, becomes `rope_type`.
    private mutating func ropeMembers(_ object: JSONObject, of key: String) -> [String: JSONValue] {
        var members = Dictionary(object.members.map { ($0.key, $0.value) }) { first, _ in first }
        if let old = members.removeValue(forKey: "type") {
            if let new = members["rope_type"], new != old {
                refuse(
                    "`type` and `rope_type` of `\(key)` mean the same but differ", expected: old.shortDescription,
                    found: new.shortDescription)
            }
            members["rope_type"] = old
        }
        return members
    }

    private mutating func yarn(_ object: [String: JSONValue]) -> RopeConfiguration.Yarn? {
        switch object["rope_type"] {
        case nil where !object.keys.contains("factor"), .string("default"): return nil
        case .string("yarn"): break
        case let other:
            return mismatch("rope_scaling.type", "\"yarn\" or no scaling", other, instead: nil)
        }
        if let truncate = object["truncate"], truncate != .bool(true) {
            refuse("`truncate` in the rope parameters is not supported", found: truncate.shortDescription)
        }
        var length = 1
        let lengthKey = "original_max_position_embeddings"
        if let value = object[lengthKey]?.integer, 1...Int(Int32.max) ~= value {
            length = value
        } else {
            length = mismatch("rope_scaling.\(lengthKey)", "a positive whole number", object[lengthKey], instead: 1)
        }
        func value(_ key: String, _ missing: Double?, _ isAllowed: (Double) -> Bool) -> Double {
            number("rope_scaling.\(key)", of: object[key], default: missing, where: isAllowed)
        }
        let yarn = RopeConfiguration.Yarn(
            factor: value("factor", nil) { $0 >= 1 }, originalPositions: length,
            betaFast: value("beta_fast", 32) { $0 > 0 }, betaSlow: value("beta_slow", 1) { $0 > 0 },
            mscale: value("mscale", 1) { $0 >= 0 }, mscaleAllDim: value("mscale_all_dim", 0) { $0 >= 0 })
        if let given = object["attention_factor"], given != .null {
            let own = yarn.magnitude(yarn.mscale) / yarn.magnitude(yarn.mscaleAllDim)
            let stated = value("attention_factor", nil) { $0 > 0 }
            if abs(stated - own) > 1e-6 {
                refuse("`attention_factor` contradicts `mscale`", expected: "\(own)", found: "\(stated)")
            }
        }
        return yarn
    }

    // MARK: Rules between keys

    /// Checks what no single key can tell; call when every key has been read.
    mutating func check(_ configuration: ModelConfiguration) {
        let experts = configuration.routedExpertCount
        let groups = configuration.expertGroupCount
        let groupSize = experts / groups
        if experts % groups != 0 {
            refuse("`n_routed_experts` \(experts) is not a multiple of `n_group` \(groups)")
        } else if groupSize < configuration.family.routerRule.smallestGroup {
            refuse("groups of one expert", expected: "at least 2, as a group is ranked by its two best experts")
        } else if configuration.expertsPerToken > configuration.keptGroupCount * groupSize {
            refuse(
                "`num_experts_per_tok` \(configuration.expertsPerToken) exceeds what `topk_group` groups hold",
                expected: "at most \(configuration.keptGroupCount * groupSize)")
        }
        if configuration.ropeDimension % 2 != 0 {
            refuse("`qk_rope_head_dim` \(configuration.ropeDimension) is odd", expected: "an even number")
        }
        let widest = [
            configuration.headCount * configuration.queryDimension,
            configuration.headCount * (configuration.nopeDimension + configuration.valueDimension),
            configuration.latentRank + configuration.ropeDimension, 2 * configuration.hiddenSize,
            configuration.sharedExpertCount * configuration.expertIntermediateSize,
        ].max()!
        if widest > Int(Int32.max) {
            refuse("a matrix would have \(widest) rows or columns", expected: "at most \(Int32.max)")
        }
        checkRouter(configuration)
        require("hidden_act", .string("silu"), nil)
        require("attention_bias", .bool(false), "attention biases are not implemented")
        require("mlp_bias", .bool(false), "biases of MLPs are not implemented")
        if let frequency = members["moe_layer_freq"], frequency != .null, frequency.integer != 1 {
            refuse("`moe_layer_freq` is not supported", expected: "1", found: frequency.shortDescription)
        }
        require("rope_interleave", .bool(true), "the family's weights are stored for interleaved pairs")
        checkRotatedPart()
    }

    /// Keys about routing that the family's rule has no choice in.
    private mutating func checkRouter(_ configuration: ModelConfiguration) {
        let family = configuration.family
        let rule = family.routerRule
        let owner = rule == .sigmoid ? ModelFamily.deepSeekV2 : .deepSeekV3
        require("scoring_func", [rule.scoringFunction], "such routing belongs to \(owner.name)")
        require("topk_method", rule.methods, "other methods do not belong to \(family.name)")
        if rule == .softmax, configuration.normalizesExpertWeights {
            refuse(
                "`norm_topk_prob` is not supported", expected: "false", found: "true",
                hint: "no published \(family.name) divides weights by their sum, and programs differ in what follows")
        }
        if members["topk_method"] == .string("greedy"), configuration.expertGroupCount > 1 {
            refuse(
                "`topk_method` \"greedy\" knows no groups", expected: "`n_group` 1",
                found: "\(configuration.expertGroupCount)")
        }
        if rule == .softmax, configuration.expertGroupCount > 1, members["topk_method"] ?? .null == .null {
            refuse("`topk_method` is missing", expected: "\"group_limited_greedy\", since there are groups")
        }
    }

    /// `partial_rotary_factor` is of the rotated part, which has a key of its own.
    private mutating func checkRotatedPart() {
        let key = "partial_rotary_factor"
        for value in [members[key], members["rope_parameters"]?.object?[key]] {
            guard let value, value != .null, value.integer != 1 else { continue }
            refuse(
                "`\(key)` is not supported", expected: "1", found: value.shortDescription,
                hint: "`qk_rope_head_dim` alone says how much of a head is rotated")
        }
    }

    private mutating func require(_ key: String, _ allowed: [String], _ reason: String) {
        guard let value = members[key], value != .null, !allowed.contains(where: { value == .string($0) }) else {
            return
        }
        refuse(
            "`\(key)` is not supported", expected: allowed.map { "\"\($0)\"" }.joined(separator: " or "),
            found: value.shortDescription, hint: reason)
    }

    /// An absent key has the only value that is supported.
    private mutating func require(_ key: String, _ only: JSONValue, _ reason: String?) {
        guard let value = members[key], value != .null, value != only else { return }
        refuse(
            "`\(key)` is not supported", expected: only.shortDescription, found: value.shortDescription, hint: reason)
    }

    private mutating func checkArchitecture(_ known: [String]) {
        guard case .array(let names)? = members["architectures"], !names.isEmpty else { return }
        if !names.contains(where: { name in known.contains { name == .string($0) } }) {
            refuse(
                "`architectures` is not supported", expected: known[0],
                found: names.map(\.shortDescription).joined(separator: ", "))
        }
    }

    /// How weights are quantised; nil where `quantization_config` does not say so.
    mutating func quantization() -> QuantizationScheme? {
        let key = "quantization_config"
        guard let value = members[key], value != .null else { return nil }
        guard case .object(let object) = value else { return mismatch(key, "an object", value, instead: nil) }
        var reader = QuantizationReader(object, file: file)
        let scheme = reader.scheme()
        problems += reader.problems
        return scheme
    }
}
