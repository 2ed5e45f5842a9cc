import ForetokenGrammar
import ForetokenJSON
import ForetokenText

/// What a chat request says of tools.
struct ToolFields {
    /// Which tools the model is to call.
    enum Choice: Equatable { case none, auto, required, named(String) }

    private static let mostTools = 1024

    /// Descriptions of the tools that the model is told of.
    let tools: [JSONValue]
    let choice: Choice
    /// Whether it may call several at once.
    let isParallel: Bool

    init(_ fields: RequestFields) throws(APIError) {
        for key in ["functions", "function_call"] {
            try fields.refuse(
                key, unless: { $0 == .array([]) || $0.string == "none" }, "it has been replaced: use `tools`")
        }
        let given = try fields.read("tools", Self.list) ?? []
        choice = try fields.read("tool_choice", Self.choice) ?? .auto
        isParallel = try fields.flag("parallel_tool_calls") ?? true
        tools = choice == .none ? [] : given
        try check()
    }

    /// Refuses a choice of tools that are not there.
    private func check() throws(APIError) {
        switch choice {
        case .none, .auto: return
        case .required: if tools.isEmpty { throw .value("tool_choice", "`tool_choice` needs `tools`") }
        case .named(let name):
            guard tools.contains(where: { Self.name(of: $0) == name }) else {
                throw .value("tool_choice", "there is no tool \"\(name.prefix(100))\" in `tools`")
            }
        }
    }

    private static func name(of tool: JSONValue) -> String? { tool.object?["function"]?.object?["name"]?.string }

    // MARK: Calls

    /// Whether the answer must be calls.
    var mustCall: Bool { choice == .required || isNamed }

    /// Whether it must be a call of one tool. As with OpenAI, the call counts as what was asked for then, not as a wish of the
    /// model's: the answer's finish reason is "stop".
    var isNamed: Bool { if case .named = choice { true } else { false } }

    /// Whether the first call is the only one.
    var isSingle: Bool { !isParallel || isNamed }

    /// Whether calls must have a form, as far as tools go.
    var haveForm: Bool { mustCall || tools.contains { $0.object?["function"]?.object?["strict"] == .bool(true) } }

    /// A tool that may be called, and its place in `tools`.
    typealias Callable = (place: Int, tool: AnswerForm.Tool)

    /// The tools that may be called, with the schemas that their arguments must fit: always those of calls that must be made,
    /// and of functions that are strict. Where the schema of another function cannot be kept to, its arguments are any JSON
    /// object; see `loosened`.
    func callable() throws(APIError) -> [Callable] {
        var callable: [Callable] = []
        var names: Set<[UInt8]> = []
        for (place, tool) in tools.enumerated() {
            guard let function = tool.object?["function"]?.object, let name = function["name"]?.string else { continue }
            if case .named(let wanted) = choice, wanted != name { continue }
            guard names.insert(Array(name.utf8)).inserted else {
                throw .value("tools", "`tools[\(place)]` has a name that another one has: \"\(name.prefix(100))\"")
            }
            let isStrict = function["strict"] == .bool(true)
            let parameters = isStrict || mustCall ? Self.parameters(function) : nil
            callable.append((place, AnswerForm.Tool(name: name, parameters: parameters, isStrict: isStrict)))
        }
        return callable
    }

    /// The same tools, but those that are not strict and whose schema no grammar can be made of get any JSON object for
    /// arguments: as with OpenAI, a schema is only held to by all means where the function is strict.
    func loosened(_ callable: [Callable]) -> [Callable] {
        callable.map { place, tool in
            let function = tools[place].object?["function"]?.object
            guard let function, let schema = tool.parameters, function["strict"] != .bool(true),
                (try? Grammar(schema: schema, isStrict: false)) == nil
            else { return (place, tool) }
            let name = function["name"]?.string ?? ""
            return (place, AnswerForm.Tool(name: name, parameters: Self.anyObject, isStrict: false))
        }
    }

    private static let anyObject: JSONValue = {
        var schema = JSONObject()
        schema["type"] = .string("object")
        return .object(schema)
    }()

    /// The schema of a function's arguments, which are an object where it does not say. Without one there are none.
    private static func parameters(_ function: JSONObject) -> JSONValue {
        guard case .object(var schema)? = function["parameters"] else { return noParameters }
        let kinds = ["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"]
        if !kinds.contains(where: { schema[$0] != nil }) { schema["type"] = .string("object") }
        return .object(schema)
    }

    private static let noParameters: JSONValue = {
        var schema = JSONObject()
        schema["type"] = .string("object")
        schema["additionalProperties"] = .bool(false)
        return .object(schema)
    }()

    // MARK: Reading

    private static func list(_ field: JSONField) throws -> [JSONValue] {
        let tools = try field.list()
        guard tools.count <= mostTools else {
            throw APIError.value("tools", "`tools` has \(tools.count) tools; at most \(mostTools) are possible")
        }
        return try tools.map { tool in
            let fields = try tool.fields()
            let type = try fields["type"].string()
            guard type == "function" else {
                throw APIError.unsupported(
                    "tools", "`\(tool.path)` has the type \"\(type.prefix(60))\"; only functions can be called")
            }
            let function = try fields["function"].fields()
            let name = try function["name"].string()
            guard (1...256).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
                throw APIError.value(
                    "tools", "`\(tool.path).function.name` must have 1...256 bytes without white space")
            }
            _ = try function["description"].given?.string()
            _ = try function["parameters"].given?.fields()
            _ = try function["strict"].given?.flag()
            return tool.value ?? .null
        }
    }

    private static func choice(_ field: JSONField) throws -> Choice {
        if let word = field.value?.string {
            switch word {
            case "none": return .none
            case "auto": return .auto
            case "required": return .required
            default:
                throw APIError.value("tool_choice", "`tool_choice` must be none, auto, required or a function's name")
            }
        }
        let fields = try field.fields()
        guard try fields["type"].string() == "function" else {
            throw APIError.unsupported("tool_choice", "only a choice of type \"function\" is known")
        }
        return .named(try fields["function"].fields()["name"].string())
    }
}
