import ForetokenJSON
import ForetokenTemplate

extension TemplateValue {
    /// Text of the checkpoint or of this program, in which a token's name is that token.
    static func own(_ text: String) -> TemplateValue { .string(TemplateText(text, isInput: false)) }

    /// Text of a stranger.
    static func input(_ text: String) -> TemplateValue { .string(TemplateText(text, isInput: true)) }

    /// A stranger's JSON.
    static func input(_ value: JSONValue) -> TemplateValue {
        switch value {
        case .null: .none
        case .bool(let value): .bool(value)
        case .number(let number):
            number.wholeDigits.map { .whole($0) } ?? .number(number.double)
        case .string(let value): .input(value)
        case .array(let values): .list(values.map { .input($0) })
        case .object(let object):
            .dictionary(
                object.members.reduce(into: TemplateDictionary()) {
                    $0[TemplateText($1.key, isInput: true)] = .input($1.value)
                })
        }
    }
}

extension ChatMessage {
    /// The message as templates know it.
    /// - Parameter argumentsAsObjects: whether the arguments of calls are objects or the JSON text of objects.
    func variables(argumentsAsObjects: Bool) -> TemplateDictionary {
        var variables = TemplateDictionary()
        variables["role"] = .own(role.rawValue)
        variables["content"] = content.map { .input($0) } ?? TemplateValue.none
        if let reasoning { variables["reasoning_content"] = .input(reasoning) }
        if let name { variables["name"] = .input(name) }
        if let toolCallID { variables["tool_call_id"] = .input(toolCallID) }
        if !toolCalls.isEmpty {
            variables["tool_calls"] = .list(toolCalls.map { Self.call($0, argumentsAsObjects: argumentsAsObjects) })
        }
        return variables
    }

    private static func call(_ call: JSONValue, argumentsAsObjects: Bool) -> TemplateValue {
        guard case .object(let object) = call else { return .input(call) }
        var variables = TemplateDictionary()
        for member in object.members {
            let key = TemplateText(member.key, isInput: true)
            switch (member.key, member.value) {
            case ("function", let function):
                variables[key] = Self.call(function, argumentsAsObjects: argumentsAsObjects)
            case ("arguments", .string(let text)) where argumentsAsObjects:
                // Text that is no JSON stays what it is.
                variables[key] = .input((try? JSONValue(Array(text.utf8))) ?? .string(text))
            case ("arguments", .object(let arguments)) where !argumentsAsObjects:
                variables[key] = .input(JSONValue.object(arguments).text)
            default: variables[key] = .input(member.value)
            }
        }
        return .dictionary(variables)
    }
}
