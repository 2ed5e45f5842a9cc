import ForetokenJSON
import ForetokenTemplate
import ForetokenTokenizer

// Renders templates for a comparison with Jinja: reads lines {"template": …, "variables": {…}}, and writes for each a line with
// the `text` and the characters of it that are input (`marked`), or with the `error` and its `kind`. Texts of variables are
// input, but for those of the keys "role", "bos_token" and "eos_token".
//
// Lines {"chat": …, "tokenizer": …, "settings": …, "messages": […], "tools": […], "thinking": …}, of a template and the contents of
// a tokenizer.json and a tokenizer_config.json, get the `ids` of the prompt, its `text`, the ids of all that is `added` in the
// tokenizer, the ids that end turns (`ends`) and the `calls` that the template writes. The last tokenizer is kept.

func value(_ json: JSONValue, isInput: Bool = true) -> TemplateValue {
    switch json {
    case .null: .none
    case .bool(let value): .bool(value)
    case .number(let number): number.wholeDigits.map { .whole($0) } ?? .number(number.double)
    case .string(let text): .string(TemplateText(text, isInput: isInput))
    case .array(let items): .list(items.map { value($0) })
    case .object(let object): .dictionary(dictionary(object))
    }
}

func dictionary(_ object: JSONObject) -> TemplateDictionary {
    var result = TemplateDictionary()
    for member in object.members {
        let isOwn = ["role", "bos_token", "eos_token"].contains(member.key)
        result[TemplateText(member.key, isInput: true)] = value(member.value, isInput: !isOwn)
    }
    return result
}

func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\" + String(scalar)
        case _ where scalar.value < 0x20:
            result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

func list(_ value: JSONValue?) -> [JSONValue] { if case .array(let items)? = value { items } else { [] } }

func message(_ value: JSONValue) -> ChatMessage? {
    guard let object = value.object, let role = object["role"]?.string.flatMap(ChatMessage.Role.init) else {
        return nil
    }
    var message = ChatMessage(role, object["content"]?.string)
    message.reasoning = object["reasoning_content"]?.string
    message.toolCalls = list(object["tool_calls"])
    message.toolCallID = object["tool_call_id"]?.string
    message.name = object["name"]?.string
    return message
}

nonisolated(unsafe) var known: (json: String, tokenizer: Tokenizer)?

func chat(_ source: String, _ object: JSONObject) throws -> String {
    let json = object["tokenizer"]?.string ?? ""
    if known?.json != json {
        let settings = object["settings"]?.string.map { Array($0.utf8) }
        known = (json, try Tokenizer(tokenizerJSON: Array(json.utf8), configJSON: settings))
    }
    guard let tokenizer = known?.tokenizer else { return "{}" }
    let format = try ChatFormat(ChatTemplates(source), tokenizer)
    let thinking: Bool? = if case .bool(let value)? = object["thinking"] { value } else { nil }
    let prompt = ChatPrompt(
        list(object["messages"]).compactMap(message), tools: list(object["tools"]), thinking: thinking)
    let ids = try format.encode(prompt, tokenizer)
    let text = String(decoding: tokenizer.decode(ids, skippingSpecial: false), as: UTF8.self)
    let added = (0..<Int32(tokenizer.vocabularyCount)).filter { tokenizer.isAdded($0) }
    return "{\"ids\": \(ids), \"text\": \(quoted(text)), \"added\": \(added), \"ends\": \(format.turnEnds), "
        + "\"calls\": \(quoted(format.calls?.name ?? ""))}"
}

func answer(_ line: String) -> String {
    do {
        if let object = try JSONValue(Array(line.utf8)).object, let source = object["chat"]?.string {
            return try chat(source, object)
        }
        guard let object = try JSONValue(Array(line.utf8)).object, let source = object["template"]?.string,
            let variables = object["variables"]?.object
        else { return "{\"error\": \"bad line\", \"kind\": \"line\"}" }
        do {
            let pieces = try Template(source).render(dictionary(variables), now: 1_750_000_000)
            let marked = pieces.filter(\.isInput).map(\.text).joined()
            return "{\"text\": \(quoted(pieces.map(\.text).joined())), \"marked\": \(quoted(marked))}"
        } catch {
            return "{\"error\": \(quoted(error.description)), \"kind\": \"\(error.kind)\"}"
        }
    } catch {
        return "{\"error\": \(quoted("\(error)")), \"kind\": \"line\"}"
    }
}

while let line = readLine() { print(answer(line)) }
