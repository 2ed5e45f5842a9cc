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
        ("{{ -0.0 }} {{ [-0.0] | tojson }} {{ +(-0.0) }} {{ - -0.0 }} {{ -0 }}", "-0.0 [-0.0] -0.0 0.0 0"),
        ("{{ -4.0 % 2.0 }} {{ 4.0 % -2.0 }} {{ -0.0 // 1.0 }} {{ 0.0 // -1.0 }}", "0.0 -0.0 -0.0 -0.0"),
        ("{{ 5.5 // -2 }} {{ -5.5 // 2 }} {{ 1e300 // 1e-5 }} {{ -5.5 % 2 }}", "-3.0 -3.0 1e+305 0.5"),
        (
            "{{ 1e200 * 1e200 }} {{ 2 ** -1 }} {{ (-2) ** -2 }} {{ 10 ** -400 }} {{ (-2.0) ** 3 }}",
            "inf 0.5 0.25 0.0 -8.0"
        ),
        ("{{ '%.5d|%.5x|%8.5d|%-8.5d|%08.5d' % (-3, 255, 3, 3, 3) }}", "-00003|000ff|   00003|00003   |00000003"),
        ("{{ '%d' % 1e20 }} {{ '%d' % -1.5 }} {{ '%.0f' % 2.5 }} {{ '%.f' % 1.5 }}", "100000000000000000000 -1 2 2"),
        ("{{ ('%.1200f' % 5e-324)[1070:1080] }} {{ ('%.1200f' % 0.1) | length }}", "2656250000 1202"),
        ("{{ [1] | tojson(indent=100) | length }}{{ [1] | tojson(indent=true) }}", "105[\n 1\n]"),
        (
            "{{ 1e20 | int }} {{ '1e20' | int }} {{ '-018446744073709551616' | int }}",
            "100000000000000000000 100000000000000000000 -18446744073709551616"
        ),
        (
            "{{ '0x10' | int }} {{ '0x10' | float }} {{ '1_000' | int }} {{ '1__0' | int }} {{ '--5' | int }} {{ '٣' | int }}",
            "0 0.0 1000 0 0 3"
        ),
        (
            "{{ 'inf' | int }} {{ 'nan' | int(7) }} {{ 'infinity' | float }} {{ '5.' | float }} {{ ' +.5 ' | float }}",
            "0 7 inf 5.0 0.5"
        ),
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
        ("{{ 10 ** 40 }}", .limit), ("{{ 10.0 ** 400 }}", .runtime), ("{{ 10 ** 400.0 }}", .runtime),
        ("{{ (-8) ** 0.5 }}", .unsupported), ("{{ 0 ** -1 }}", .runtime), ("{{ (1e200 * 1e200) | int }}", .runtime),
        ("{{ '%1000000000d' % 1 }}", .limit), ("{{ '%.1000000000f' % 1 }}", .limit),
        ("{{ '%.1000000000d' % 1 }}", .limit), ("{{ '%99999999999999999999s' % 1 }}", .limit),
        ("{{ '%d' % (1e200 * 1e200) }}", .runtime), ("{{ [1] | tojson(indent=1000000000) }}", .limit),
        ("{{ strftime_now('%99999d') }}", .limit),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", .limit),
        ("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}", .limit),
        ("{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", .limit),
        ("{% if x %}", .syntax), ("{{ 1 + }}", .syntax), ("{{ 'a }}", .syntax), ("{{ x.y }}", .runtime),
        ("{{ [].append(1) }}", .runtime), ("{{ 1 | urlize }}", .unsupported), ("{% include 'x' %}", .unsupported),
        ("{{ raise_exception('no') }}", .raised),
    ]) func refuses(source: String, kind: TemplateError.Kind) {
        #expect(failure(source) == kind)
    }

    /// Whole numbers of the input beyond 64 bits: printed to the last digit, equal to what Python takes for equal, and refused
    /// where they would have to be reckoned with.
    @Test func hugeNumbersAreExactOrRefused() throws {
        var variables = TemplateDictionary()
        variables["n"] = .whole("18446744073709551615")
        variables["m"] = .whole("-9223372036854775809")
        variables["i"] = .whole("-9223372036854775808")
        #expect(variables["i"] == .integer(.min) && variables["m"] == .huge("-9223372036854775809"))
        for (source, expected) in [
            (
                "{{ n }} {{ [m, i] }} {{ {'n': n} | tojson }}",
                "18446744073709551615 [-9223372036854775809, -9223372036854775808] {\"n\": 18446744073709551615}"
            ),
            ("{{ n is integer }} {{ n is number }} {{ n is float }} {{ 'x' if n }}", "True True False x"),
            (
                "{{ '%d|%25d|%-25d|%025d' % (n, n, n, m) }}|{{ '%s' % n }}|{{ n ~ 'x' }}",
                "18446744073709551615|     18446744073709551615|18446744073709551615     |-000009223372036854775809|"
                    + "18446744073709551615|18446744073709551615x"
            ),
            (
                "{{ m | abs }} {{ n | int }} {{ n | round }} {{ n | float }}",
                "9223372036854775809 18446744073709551615 18446744073709551615 1.8446744073709552e+19"
            ),
            (
                "{{ n == n }} {{ n == m }} {{ n == 1 }} {{ n == 18446744073709551616.0 }} {{ n in [1, n] }}",
                "True False False False True"
            ),
            ("{{ '18446744073709551616' | int == 18446744073709551616.0 }} {{ {n: 1}[n] }}", "True 1"),
        ] { #expect(try text(source, variables) == expected) }
        for source in [
            "n + 1", "1.5 * n", "-n", "n > 1", "[n, 1] | sort", "n is odd", "n | sum", "'%x' % n", "'a' * n",
        ] {
            #expect([.limit, .runtime].contains(failure("{{ \(source) }}", variables)), "\(source)")
        }
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
