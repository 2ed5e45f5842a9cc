import ForetokenJSON
import ForetokenTemplate

// Renders templates for a comparison with Jinja: reads lines {"template": …, "variables": {…}}, and writes for each a line with
// the `text` and the characters of it that are input (`marked`), or with the `error` and its `kind`. Texts of variables are
// input, but for those of the keys "role", "bos_token" and "eos_token".

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

func answer(_ line: String) -> String {
    do {
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
