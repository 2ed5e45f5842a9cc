import ForetokenTemplate
import Testing

/// What a template gives, as one text.
private func text(_ source: String, _ variables: TemplateDictionary = TemplateDictionary()) throws -> String {
    try Template(source).render(variables).map(\.text).joined()
}

/// The kind of error that a template ends with.
private func failure(_ source: String, _ variables: TemplateDictionary = TemplateDictionary()) -> TemplateError.Kind? {
    do throws(TemplateError) {
        _ = try Template(source).render(variables)
        return nil
    } catch {
        return error.kind
    }
}

/// Text of the input.
private func input(_ text: String) -> TemplateValue { .string(TemplateText(text, isInput: true)) }

@Suite struct TemplateTests {
    /// Sources with what jinja2 3.1.6 makes of them, set up as transformers does.
    @Test(arguments: [
        ("a\n{% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"),
        ("a {{- 1 -}} b", "a1b"),
        ("  {%+ if true %}x{% endif %}", "  x"),
        ("{# c #}\nx{% raw %}{{ y }}{% endraw %}", "x{{ y }}"),
        ("{% for i in [1, 2, 3] %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "1,2,3"),
        ("{% for i in range(5) if i is odd %}{{ i }}/{{ loop.length }} {% else %}none{% endfor %}", "1/2 3/2 "),
        (
            "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "013"
        ),
        ("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"),
        ("{% set ns = namespace(x=1) %}{% for i in [1] %}{% set ns.x = 2 %}{% endfor %}{{ ns.x }}", "2"),
        ("{% macro m(a, b='d') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}", "<1d><12>"),
        ("{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}x{% endcall %}", "(x)"),
        ("{% filter upper %}abc{% endfilter %}", "ABC"),
        ("{{ [1, 'a', none, 1.0, true, \"it's\"] }}", "[1, 'a', None, 1.0, True, \"it's\"]"),
        ("{{ 7 // -2 }} {{ 7 % -2 }} {{ 2 ** 10 }} {{ 7 / 2 }} {{ 1e16 }}", "-4 -1 1024 3.5 1e+16"),
        ("{{ 'abcdef'[::-2] }} {{ 'abc'[-1] }} {{ 'abc'[1:] }}", "fdb c bc"),
        ("{{ 'a</think>b</think>c'.split('</think>')[-1] }}", "c"),
        ("{{ {'a': [1, {'b': 'é\"'}]} | tojson }}", "{\"a\": [1, {\"b\": \"é\\\"\"}]}"),
        ("{{ {'b': 1, 'a': []} | tojson(indent=2, sort_keys=true) }}", "{\n  \"a\": [],\n  \"b\": 1\n}"),
        ("{{ 'a\\nb' | indent(2) }}", "a\n  b"),
        ("{{ x is defined }}{{ x | default('d') }}{{ x }}", "Falsed"),
        ("{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | join('-') }}", "1-2"),
        ("{{ none | rejectattr('a') | list }}", "[]"),
        ("{% if false %}{{ 1 | from_json }}{% endif %}x", "x"),
        ("{{ '%s is %d' | format('a', 3) }}{{ '{}{x}'.format(1, x=2) }}", "a is 312"),
    ]) func rendersAsJinja2(source: String, expected: String) throws {
        #expect(try text(source) == expected)
    }

    @Test(arguments: [
        ("{{ 'a' * 10 ** 12 }}", TemplateError.Kind.limit), ("{{ range(10 ** 9) }}", .runtime),
        ("{{ 'ab'.ljust(-9223372036854775807) ~ ('a' * 9223372036854775807) }}", .limit),
        ("{% set s = 'a' * 1000000 %}{{ [s] * 20000 }}", .limit), ("{{ ('a' * 60000000) | list | length }}", .limit),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", .limit),
        (
            "{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% set ns.x = namespace(y=ns.x) %}{% endfor %}",
            .limit
        ),
        ("{% set ns = namespace(x={}) %}{% for i in range(9999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}", .limit),
        (
            "{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% for j in [ns.x] %}{% set ns.x = loop %}{% endfor %}{% endfor %}",
            .limit
        ),
        ("{{ 10 ** 40 }}", .limit),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", .limit),
        ("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}", .limit),
        ("{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", .limit),
        ("{% if x %}", .syntax), ("{{ 1 + }}", .syntax), ("{{ 'a }}", .syntax), ("{{ x.y }}", .runtime),
        ("{{ [].append(1) }}", .runtime), ("{{ 1 | urlize }}", .unsupported), ("{% include 'x' %}", .unsupported),
        ("{{ raise_exception('no') }}", .raised),
    ]) func refuses(source: String, kind: TemplateError.Kind) {
        #expect(failure(source) == kind)
    }

    @Test func deeplyNestedSourcesAreRefused() throws {
        for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", "")] {
            let nested = String(repeating: open, count: 50_000) + "1" + String(repeating: close, count: 50_000)
            #expect(failure("{{ \(nested) }}") == .limit)
        }
        // A chain is as deep as a single step.
        #expect(try text("{{ 1" + String(repeating: " + 1", count: 50_000) + " }}") == "50001")
        #expect(failure(String(repeating: "{% if 1 %}", count: 50_000)) == .limit)
    }

    /// Macros that hold one another, as long as a chain can be: they are freed without overflowing the stack.
    @Test func macrosAreTakenApart() throws {
        let source = """
            {% set ns = namespace(x=1) %}{% for i in range(50000) %}{% set before = ns.x %}{% macro m() %}{% endmacro %}\
            {% set ns.x = m %}{% endfor %}done
            """
        #expect(try text(source) == "done")
    }

    @Test func searchesTakeTimeThatGrowsWithTheText() throws {
        let source =
            "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 + 'b' %}{{ b in a }} {{ a.rfind(b) }} {{ 'xaab'.rfind('a') }}"
        #expect(try text(source) == "False -1 2")
        #expect(
            try text("{{ 'abababc'.find('ababc') }} {{ 'a,b,,c'.split(',') }} {{ 'aXbXc'.rsplit('X', 1) }}")
                == "2 ['a', 'b', '', 'c'] ['aXb', 'c']")
    }

    @Test func manyKeysTakeTimeThatGrowsWithThem() {
        var dictionary = TemplateDictionary()
        for key in 0..<200_000 { dictionary["\(key)"] = .integer(key) }
        dictionary["7"] = nil
        #expect(dictionary.members.count == 199_999 && dictionary["7"] == nil && dictionary["8"] == .integer(8))
    }

    @Test func errorsNameTheirLine() {
        let error = #expect(throws: TemplateError.self) {
            try Template("a\n\n{{ raise_exception('no system message') }}").render(TemplateDictionary())
        }
        #expect(error?.kind == .raised && error?.description == "line 3: no system message")
    }

    @Test func inputStaysInput() throws {
        let source =
            "<U>{{ m.content.strip() | replace('b', '<B>') }}{{ {'k': m.content} | tojson }}{{ m.content[::-1] }}"
        var (message, variables) = (TemplateDictionary(), TemplateDictionary())
        message["content"] = input(" a<U>b")
        variables["m"] = .dictionary(message)
        let pieces = try Template(source).render(variables)
        #expect(
            pieces == [
                TemplatePiece("<U>", isInput: false), TemplatePiece("a<U>", isInput: true),
                TemplatePiece("<B>{\"k\": \"", isInput: false), TemplatePiece(" a<U>b", isInput: true),
                TemplatePiece("\"}", isInput: false), TemplatePiece("b>U<a ", isInput: true),
            ])
    }
}
