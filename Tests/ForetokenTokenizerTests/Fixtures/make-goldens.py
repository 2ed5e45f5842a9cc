#!/usr/bin/env python3
"""Makes the golden files beside it. Needs `tokenizers` and `Jinja2==3.1.6` from PyPI.

    make-goldens.py DEMO_FOLDER     a folder with the demo's tokenizer.json and tokenizer_config.json
"""

import json
import pathlib
import sys

import jinja2
import tokenizers

FIXTURES = pathlib.Path(__file__).parent

TEXTS = [
    # prose
    "", " ", "Hello!", " Hello", "  Hello", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "It's what they'd've said; isn't it? \"Quite,\" she said (twice).", "Naïve café, façade, Œuvre, straße, ÅNGSTRÖM",
    "Съешь же ещё этих мягких французских булок", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία", "شرف المدرسة ١٢٣٤٥",
    "हिन्दी में लिखा हुआ पाठ", "ภาษาไทยไม่มีช่องว่าง", "한국어 문장입니다.",
    # code
    "func f(_ x: Int) -> Int {\n    return x + 1\n}\n", "let table = [UInt8](repeating: 0, count: 1 << 16)",
    "for (int i=0;i<n;++i) a[i]+=b[i]*c[i];", "#include <stdio.h>\nint main(void) { return 0; }",
    "\tif err != nil {\n\t\treturn err\n\t}\n", "x_1=$HOME/.cache; `echo \"$x\"` && [[ -f ~/.rc ]] || true",
    "// MARK: - Views\n\n\n    /// Doc.\n    public var body: some View { EmptyView() }",
    "{\"key\": [1, 2.5, -3e10, null, true]}", "import Foundation", "guard let self else { return }",
    # digits
    "1", "12", "123", "1234", "1234567", "0xFF 0b1010 1_000_000", "3.14159265358979", "v1.2.3-rc4", "a  1",
    "Ⅷ ½ ² ① １２３ ٣٤٥", "Hello  123",
    # CJK
    "你好，世界！", "日本語のテキスト、カタカナとひらがな。", "中文English混排123数字", "龥龦㐀𠀀", "ーゟヿ゠",
    # emoji, combining marks, what is not quite a letter
    "😀👍🏽", "👨‍👩‍👧‍👦 🇩🇪🇫🇷", "e\u0301 vs é", "a\u0300\u0301\u0302b", "\u0301start", "x \u0301y", "ﬁ ﬂ ∑∂∫ ≤≥ €£¥", "™®© ‘’“”…",
    # white space
    "   ", "\n", "\n\n\n", "a\n\n\nb", "\r\n", "line\r\nline\r\n\r\nend", "tab\tseparated\t\tvalues", "trail   \n  lead",
    "\u000bvt\u0085nel", "nb\u00a0sp\u3000ideo\u2003em\u2028ls", "mongolian\u180evowel \u180e separator", "\ufeffbom",
    "zero\u200bwidth\u200djoiner", "nul\u0000byte\u007f", "\u00ad soft",
    # added tokens
    "<｜begin▁of▁sentence｜>Hi<｜end▁of▁sentence｜>", "<｜User｜>2+2?<｜Assistant｜>4", "a<｜User｜", "<<｜User｜>>", "<|EOT|>x",
    "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>", "<｜User｜><｜User｜> <｜Assistant｜>", "<｜tool▁calls▁begin｜>x", "</think>",
    # boundaries
    "a" * 50, "ab" * 40, " " * 100 + "x", "=" * 70, "\U0010ffff\ue000\ufdd0", "ÿþĀāŃń", "Ġ Ċ ĉ",
]

CONVERSATIONS = [
    [("user", "Hi")],
    [("system", "You are helpful."), ("user", "Hi")],
    [("system", "You are helpful."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "2+2?")],
    [("system", "One."), ("system", "Two.\n"), ("user", "  spaced  ")],
    [("user", "a"), ("system", "Late."), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
    [("user", ""), ("assistant", ""), ("user", "\n")],
    [("user", "one"), ("user", "two")],
    [("assistant", "first"), ("user", "你好\r\n👍🏽")],
    [("user", "func f() {\n    1\n}\n"), ("assistant", "Line\n\nLine\n"), ("user", "é e\u0301 123456")],
]


def write(name, rows):
    body = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (FIXTURES / name).write_text("[\n" + body + "\n]\n")


def main(folder):
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    write("demo-tokenizer-golden.json", [[text, encode(text)] for text in TEXTS])

    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(config["chat_template"])
    rows = []
    for conversation in CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        text = template.render(
            messages=messages, bos_token=config["bos_token"]["content"], add_generation_prompt=True)
        rows.append({"messages": messages, "text": text, "ids": encode(text)})
    write("v3-chat-golden.json", rows)


main(pathlib.Path(sys.argv[1]))
