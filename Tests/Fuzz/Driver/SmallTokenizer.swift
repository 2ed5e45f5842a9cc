import ForetokenTokenizer

/// Sound tokenizers of a few kilobytes.
enum SmallTokenizer {
    static let conversation = [
        ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hello"), ChatMessage(.assistant, "<think>a</think>Hi"),
        ChatMessage(.user, "abc <｜User｜> 123"),
    ]

    static let sample = "abc ab  bc\n\n12345 don't <｜User｜>é中文\u{1F600} e\u{301} \t<x>¿Qué? 한국어 x²½\r\n"

    private static let splits = [
        #"\\p{N}{1,3}"#, #"[一-龥぀-ゟ゠-ヿ]+"#,
        ##"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"##,
    ]

    private static var vocabulary: String {
        var next: UInt32 = 0x100
        let bytes = (0..<256).map { byte -> String in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || byte >= 0xAE { return String(Unicode.Scalar(UInt8(byte))) }
            defer { next += 1 }
            return Unicode.Scalar(next).map { String($0) } ?? ""
        }
        return (bytes + ["ab", "abc", "bc"]).enumerated().map { id, token in
            let escaped = token == "\\" || token == "\"" ? "\\" + token : token
            return "\"\(escaped)\": \(id)"
        }.joined(separator: ",")
    }

    private static func file(split: [String], merges: String) -> String {
        let special = [
            "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>",
        ]
        let added = special.enumerated().map { "{\"id\": \(300 + $0), \"content\": \"\($1)\", \"special\": \($0 < 2)}" }
        let steps = split.map {
            "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\($0)\"}, \"behavior\": \"Isolated\", \"invert\": false}"
        }
        let last = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}"
        return """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [\(added.joined(separator: ", "))],
             "normalizer": {"type": "Sequence", "normalizers": []},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [\((steps + [last]).joined(separator: ", "))]},
             "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
             "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {\(vocabulary)}, "merges": \(merges)}}
            """
    }

    /// In the shape of the published files.
    static let json = file(split: splits, merges: #"["b c", "a b", "ab c"]"#)

    /// That, and with merges in the other spelling and a simple split.
    static let variants = [json, file(split: [#"\\s+"#], merges: #"[["a", "b"], ["b", "c"], ["ab", "c"]]"#)]

    /// tokenizer_config.json with templates and without.
    static let configurations = [
        """
        {"add_bos_token": true, "add_eos_token": false, "bos_token": {"__type": "AddedToken", "content": \
        "<｜begin▁of▁sentence｜>", "lstrip": false}, "eos_token": "<｜end▁of▁sentence｜>", "model_max_length": 131072, \
        "tokenizer_class": "LlamaTokenizerFast"}
        """,
        """
        {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>", "chat_template": \
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}<｜User｜>{{ m['content'] }}{% endif %}{% endfor %}<｜Assistant｜>"}
        """,
    ]

    /// A tiktoken.model of all bytes and of "ab", "abc" and "bc".
    static let ranks: String = {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bytes = (0..<256).map { "\(letters[$0 >> 2])\(letters[($0 & 3) << 4])==" }
        return (bytes + ["YWI=", "YWJj", "YmM="]).enumerated().map { "\($1) \($0)\n" }.joined()
    }()

    /// tokenizer_config.json beside it.
    static let ranksConfiguration = """
        {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]", "added_tokens_decoder": {
        "259": {"content": "[BOS]", "special": true}, "260": {"content": "[EOS]", "special": true, "lstrip": false},
        "263": {"content": "<x>", "special": false}}}
        """

    /// The description of a tool.
    static let tool = """
        {"type": "function", "function": {"name": "f", "description": "\\u00e9\\n<｜User｜>", "parameters": {"a": [1, 2.5, null]}}}
        """

    /// Chat templates of our own writing.
    static let templates = [
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}<｜User｜>{{ m['content'] }}{% endif %}{% endfor %}",
        """
        {%- set ns = namespace(first=true, system='') -%}
        {%- for message in messages -%}
          {%- if message.role == 'system' -%}{%- set ns.system = ns.system + message.content -%}{%- endif -%}
        {%- endfor -%}
        {{ bos_token }}{{ ns.system | trim }}
        {%- for message in messages if message.role != 'system' -%}
          {%- if message.role == 'user' -%}<｜User｜>{{ message.content }}
          {%- elif message.role == 'assistant' and message.content is defined -%}
            {%- set content = message.content.split('</think>')[-1] -%}<｜Assistant｜>{{ content | string }}{{ eos_token }}
          {%- else -%}{{ raise_exception('unknown role') }}{%- endif -%}
        {%- endfor -%}
        {% macro tool(t) %}{{ t | tojson(indent=2) }}{% endmacro %}
        {%- if tools -%}{% for t in tools[:3] %}{{ tool(t) }}{% endfor %}{%- endif -%}
        {%- if add_generation_prompt -%}<｜Assistant｜>{{ '<think>\\n' if thinking else '</think>' }}{%- endif -%}
        """,
    ]
}
