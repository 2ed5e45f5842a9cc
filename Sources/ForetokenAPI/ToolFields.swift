import ForetokenJSON

/// What a chat request says of tools.
struct ToolFields {
    /// Which tools the model is to call.
    enum Choice: Equatable { case none, auto, required, named(String) }

    private static let mostTools = 1024

    /// Descriptions of the tools that the model is told of.
    let tools: [JSONValue]
    /// Whether it may call several at once.
    let isParallel: Bool

    init(_ fields: RequestFields) throws(APIError) {
        for key in ["functions", "function_call"] {
            try fields.refuse(
                key, unless: { $0 == .array([]) || $0.string == "none" }, "it has been replaced: use `tools`")
        }
        let given = try fields.read("tools", Self.list) ?? []
        let choice = try fields.read("tool_choice", Self.choice) ?? .auto
        isParallel = try fields.flag("parallel_tool_calls") ?? true
        tools = choice == .none ? [] : given
        try Self.check(choice, given)
    }

    /// Refuses a choice of tools that cannot be kept to.
    private static func check(_ choice: Choice, _ tools: [JSONValue]) throws(APIError) {
        let name: String
        switch choice {
        case .none, .auto: return
        case .required: name = "a tool"
        case .named(let wanted):
            guard tools.contains(where: { $0.object?["function"]?.object?["name"]?.string == wanted }) else {
                throw .value("tool_choice", "there is no tool \"\(wanted.prefix(100))\" in `tools`")
            }
            name = "this tool"
        }
        if tools.isEmpty { throw .value("tool_choice", "`tool_choice` needs `tools`") }
        throw .unsupported(
            "tool_choice", "the model cannot be forced to call \(name) yet; \"auto\" leaves it to the model")
    }

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
