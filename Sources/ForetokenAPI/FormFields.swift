import ForetokenGrammar
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// What a request says of how answers must look.
///
/// `response_format` holds for what is generated: the content of a chat's answer, behind the thoughts of a model that thinks, or
/// all of a completion. Where tools may be called, calls may come in the content's place; where they must be, it says nothing.
/// A stop string, a token of `stop_token_ids` that is text, or the limit of tokens may still end an answer too early.
struct FormFields {
    /// So many tokens come before any that ends the answer, and before stop strings are looked for.
    let minimumTokens: Int
    private let format: Format

    private enum Format {
        case text, jsonObject
        /// A schema, and the field that it is in.
        case schema(JSONValue, isStrict: Bool, field: String)
    }

    init(_ fields: RequestFields, _ settings: AnswerSettings) throws(APIError) {
        minimumTokens = try fields.integer("min_tokens", in: 0 ... .max) ?? 0
        if minimumTokens > settings.maximumTokens {
            throw .value(
                "min_tokens",
                "`min_tokens` is \(minimumTokens), more than the \(settings.maximumTokens) of `max_tokens`")
        }
        format = try fields.read("response_format", Self.format) ?? .text
    }

    private static func format(_ field: JSONField) throws -> Format {
        let fields = try field.fields()
        switch try fields["type"].string() {
        case "text": return .text
        case "json_object":
            // As llama-server has it.
            guard let schema = fields["schema"].given else { return .jsonObject }
            return .schema(try self.schema(schema), isStrict: false, field: schema.path)
        case "json_schema":
            let wanted = try fields["json_schema"].fields()
            _ = try wanted["name"].given?.string()
            let isStrict = try wanted["strict"].given?.flag() ?? false
            return .schema(try schema(wanted["schema"]), isStrict: isStrict, field: wanted["schema"].path)
        case let other:
            throw APIError.unsupported(
                "response_format",
                "`response_format.type` cannot be \"\(other.prefix(60))\", only text, json_object and json_schema")
        }
    }

    private static func schema(_ field: JSONField) throws -> JSONValue {
        _ = try field.fields()
        return field.value ?? .null
    }

    /// The mask of each answer; nil where anything may come.
    /// - Parameters:
    ///   - settings: with the tokens that end an answer whatever it is made of.
    ///   - marks: how answers are told apart; nil where all is content.
    ///   - tools: nil where there are none.
    func mask(
        _ served: ServedModel, _ settings: AnswerSettings, _ marks: AnswerGrammar?, _ tools: ToolFields?
    ) throws(APIError) -> AnswerMask? {
        let content = try content(served)
        var callable: [ToolFields.Callable] = []
        // Calls that nobody wants a form of are left alone.
        if let tools, let calls = marks?.calls, content != nil || tools.haveForm {
            guard calls.canBeForced else { throw Self.unformed(calls, tools) }
            callable = try tools.callable()
        }
        guard content != nil || !callable.isEmpty || minimumTokens > 0 else { return nil }
        func form() throws -> AnswerForm {
            try AnswerForm(
                served.grammars, marks: marks, content: content, tools: callable.map(\.tool),
                mustCall: tools?.mustCall == true, endTokens: settings.endTokens, minimumTokens: minimumTokens)
        }
        do {
            do {
                return AnswerMask(try form())
            } catch let error as GrammarError {
                guard let tools else { throw error }
                callable = tools.loosened(callable)
                return AnswerMask(try form())
            }
        } catch let error as GrammarError {
            let schemas = callable.filter { $0.tool.parameters != nil }
            let place = error.schema.map { "[\(schemas[$0].place)].function" } ?? ""
            throw APIError(
                400, code: "invalid_function_parameters", param: "tools",
                "`tools\(place).parameters` cannot be what a call's arguments are held to: \(error)")
        } catch {
            throw APIError(error, param: "tools")
        }
    }

    /// What is to be said where calls cannot be made to have a form.
    private static func unformed(_ calls: CallFormat, _ tools: ToolFields) -> APIError {
        let (field, wish) =
            tools.mustCall
            ? ("tool_choice", "a call cannot be asked for")
            : tools.haveForm
                ? ("tools", "functions cannot be strict") : ("response_format", "tools cannot be offered beside it")
        return .unsupported(
            field,
            "`\(field)`: \(wish) with this model, which writes calls as \(calls.name) does; only auto and none are possible"
        )
    }

    /// The token that ends an answer of one call.
    static func singleEnd(_ calls: CallFormat) throws(APIError) -> Int32 {
        guard let end = calls.callEnd else {
            throw .unsupported(
                "parallel_tool_calls",
                "`parallel_tool_calls`: calls cannot be kept to one with this model, which writes calls as "
                    + "\(calls.name) does and marks no end of each")
        }
        return end
    }

    private func content(_ served: ServedModel) throws(APIError) -> TokenGrammar? {
        var name = "response_format"
        do {
            switch format {
            case .text: return nil
            case .jsonObject: return try served.grammars.jsonObject()
            case .schema(let schema, let isStrict, let field):
                name = field
                return try served.grammars.grammar([(schema, isStrict)])
            }
        } catch let error as GrammarError {
            throw APIError(
                400, code: "invalid_json_schema", param: "response_format",
                "`\(name)` cannot be what the answer is held to: \(error)")
        } catch {
            throw APIError(error, param: "response_format")
        }
    }
}
