import ForetokenText

/// Some parts of an answer as OpenAI's streams tell them at once.
struct AnswerDelta {
    private struct Call {
        let index: Int
        /// nil where the call has begun earlier.
        var name: String?
        /// The model's own; nil where its format has none.
        var id: String?
        var arguments = ""
    }

    private var reasoning: String?
    private var content: String?
    private var calls: [Call] = []

    /// - Parameter count: how many calls have begun before; those that begin here are added.
    init(_ parts: [AnswerPart], calls count: inout Int) {
        for part in parts {
            switch part {
            case .reasoning(let text): reasoning = (reasoning ?? "") + text
            case .content(let text): content = (content ?? "") + text
            case .call(let name, let id):
                calls.append(Call(index: count, name: name, id: id))
                count += 1
            case .arguments(let text):
                if calls.isEmpty { calls.append(Call(index: count - 1)) }
                calls[calls.count - 1].arguments += text
            case .callEnd: break
            }
        }
    }

    /// - Parameter id: gives a call of this number its id, where the model gave it none.
    func write(into delta: inout JSONWriter, id: (Int) -> String) {
        if let reasoning { delta.member("reasoning_content", reasoning) }
        if content != nil || reasoning == nil && calls.isEmpty { delta.member("content", content ?? "") }
        guard !calls.isEmpty else { return }
        delta.list("tool_calls") { list in
            for call in calls {
                list.object { entry in
                    entry.member("index", call.index)
                    if call.name != nil {
                        entry.member("id", call.id ?? id(call.index))
                        entry.member("type", "function")
                    }
                    entry.object("function") { function in
                        if let name = call.name { function.member("name", name) }
                        function.member("arguments", call.arguments)
                    }
                }
            }
        }
    }
}

extension ParsedAnswer {
    /// The answer as OpenAI's message.
    func write(into message: inout JSONWriter, id: (Int) -> String) {
        message.member("role", "assistant")
        // Who only calls tools says nothing.
        message.member("content", content.isEmpty && !calls.isEmpty ? nil : content)
        message.nullMember("refusal")
        if reasoningTokens > 0 { message.member("reasoning_content", reasoning) }
        guard !calls.isEmpty else { return }
        message.list("tool_calls") { list in
            for (index, call) in calls.enumerated() {
                list.object { entry in
                    entry.member("id", call.id ?? id(index))
                    entry.member("type", "function")
                    entry.object("function") { function in
                        function.member("name", call.name)
                        function.member("arguments", call.arguments)
                    }
                }
            }
        }
    }
}
