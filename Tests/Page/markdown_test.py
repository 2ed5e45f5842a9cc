"""Tests of how the chat page shows text as Markdown; page_test.py runs them."""

import re

from browser import SAMPLE, ask
from hostile import ATTACKS, SLOW
from mock_server import Server

# What a rendered text may consist of.
TAGS = "a blockquote br button code div em h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul".split()
ATTRIBUTES = "aria-label class dir href rel role start tabindex target title type".split()


def test_hostile_markdown(browser):
    with browser.page(Server().url) as page:
        page.evaluate("window.pwned = () => { window.isPwned = true }; null")
        for attack in ATTACKS:
            answer = ask(page, "echo " + attack)
            answer.locator(".text").last.hover()
            for link in answer.locator(".text a").all():
                assert re.match("https?://", link.get_attribute("href")), attack
            found = answer.locator(".text").last.evaluate(
                "root => [...root.querySelectorAll('*')].map(e => [e.localName, e.getAttributeNames()])")
            for tag, attributes in found:
                assert tag in TAGS and set(attributes) <= set(ATTRIBUTES), (attack, tag, attributes)
        assert page.evaluate("window.isPwned") is None
        browser.picture(page, "hostile")


def test_markdown_in_pieces(browser):
    """However a text is cut into pieces, it becomes what it becomes as a whole."""
    with browser.page(Server().url) as page:
        difference = page.evaluate("""texts => {
            let state = 1; // Lehmer's generator: the same pieces each time
            const below = n => (state = state * 48271 % 2147483647) % n;
            const parts = texts.join("\\n\\n").split(/(?<=\\s)|(?=[*`|>\\[#])/), marks =
                ["\\n", "\\n\\n", "  ", "- ", "1. ", "> ", "```\\n", "**", "`", "|", "---\\n"];
            for (let round = 0; round < 1500; round++) {
                let text = "";
                for (let i = 0; i < 25; i++) text += below(3) ? parts[below(parts.length)] : marks[below(marks.length)];
                const whole = new TextView(), pieces = new TextView();
                whole.update(text, [], true);
                for (let at = 0; at < text.length; at += 1 + below(6)) pieces.update(text.slice(0, at), [], false);
                pieces.update(text, [], true);
                if (whole.root.innerHTML !== pieces.root.innerHTML) return [text, whole.root.innerHTML, pieces.root.innerHTML];
            }
        }""", [SAMPLE, *ATTACKS])
        assert difference is None, "\n---\n".join(difference)


def test_markdown_is_fast(browser):
    with browser.page(Server().url) as page:
        for name, text in SLOW.items():
            for is_done in ("true", "false"):
                ms = page.evaluate(f"""text => {{
                    const start = performance.now();
                    new TextView().update(text, [], {is_done});
                    return performance.now() - start }}""", text)
                assert ms < 2000, f"{name} takes {ms:.0f} ms"
