"""Tests of the chat page in a browser: page_test.py [URL of a real server] [--pictures FOLDER] [--only NAME]."""

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

import markdown_test
from browser import SAMPLE, Browser, ask, click, ended, send, shown
from mock_server import Server, traced


def test_conversation(browser):
    server = Server()
    with browser.page(server.url) as page:
        expect(page.locator("#model")).to_have_text("mock-v3 · 4,096 tokens of context")
        answer = ask(page, "think " + SAMPLE)
        expect(answer.locator("summary")).to_have_text(re.compile("^Thought for "))
        texts = {"strong": "mixture of experts", "td >> nth=2": "5.1", "h4": "How much is saved", "li li >> nth=1": "down."}
        for tag, text in texts.items():
            expect(answer.locator(tag).first).to_have_text(text)
        expect(answer.locator("pre")).to_contain_text("    bandwidth / bytes // tokens")
        expect(answer.locator("a").first).to_have_attribute("rel", "noopener noreferrer")
        expect(answer.locator(".figures")).to_have_text(
            re.compile(r"tokens.*23.4 tok/s.*first after.*16 cached.*tokens a round.*accepted.*by depth"))
        expect(answer.locator(".badge")).to_have_text(f"same bits · seed {server.requests[0]['seed']}")
        expect(page.get_by_label("Message", exact=True)).to_be_focused()
        browser.picture(page, "light")
        page.emulate_media(color_scheme="dark")
        browser.picture(page, "dark")
        click(page, "Show tokens and who drafted them")
        assert answer.locator(".fate.mtp").count() > 5 and answer.locator("del").count() > 3
        assert "".join(answer.locator(".text .fate").all_text_contents()).endswith(SAMPLE.rstrip())
        browser.picture(page, "tokens-dark")
        page.emulate_media(color_scheme="light")
        browser.picture(page, "tokens-light")
        ask(page, "echo A second turn.")
        assert [m["role"] for m in server.requests[1]["messages"]] == ["user", "assistant", "user"]
        assert "reasoning_content" not in str(server.requests[1])


def test_welcome(browser):
    with browser.page(Server().url) as page:
        expect(page.get_by_role("heading", level=2, name="mock-v3")).to_be_visible()
        expect(page.locator("#none")).to_be_visible()
        expect(page.get_by_role("button", name="Export all")).to_be_disabled()
        browser.picture(page, "welcome")
    server = Server(model={"foretoken": {"embedded": True}})
    with browser.page(server.url) as page:
        expect(page.locator(".welcome")).to_contain_text("nothing but Swift")
        browser.picture(page, "welcome-embedded")
        click(page, "Write a test for a queue.")
        expect(page.locator("article.user .said")).to_have_text("Write a test for a queue.")
        ended(page)
        expect(page.locator("article.answer")).to_be_visible()
        assert server.requests[0]["messages"] == [{"role": "user", "content": "Write a test for a queue."}]
        expect(page.locator("#none")).to_be_hidden()
        expect(page.get_by_role("button", name="Export all")).to_be_enabled()


def test_fates(browser):
    """What is told of tokens and rejected drafts is what the server said, live and after the page is opened again."""
    server = Server()
    with browser.page(server.url) as page:
        click(page, "Show tokens and who drafted them")
        expect(page.locator("#legend")).to_contain_text("draft head")
        answer = ask(page, "echo " + SAMPLE)
        rounds = list(traced(SAMPLE.rstrip(), server.requests[0]["seed"]))
        rejected = [one["rejected"][0] for one in rounds if "rejected" in one]
        pieces = [piece for one in rounds for piece in one["pieces"]]

        def count(list, source):
            return sum(one["source"] == source for one in list)

        for _ in ("live", "opened again"):
            assert answer.locator("del").all_text_contents() == [
                "rejected: " + (one["text"].strip() or "↵") for one in rejected]
            assert answer.locator(".text .fate").all_text_contents() == [piece["text"] for piece in pieces]
            legend = [f"the model's own {count(pieces, 'own')}"] + [
                f"{name} {count(pieces, source)} held, {count(rejected, source)} rejected"
                for source, name in (("mtp", "draft head"), ("lookup", "look-up"), ("prediction", "prediction"))]
            assert page.locator("#legend > span").all_inner_texts()[:4] == legend
            assert answer.locator(".strip i").count() == len(rounds)
            assert answer.locator(".strip .rejected").count() == len(rejected)
            for node, one in zip(answer.locator("del").all(), rejected):
                title = node.get_attribute("title")
                assert title.startswith(json.dumps(one["text"]) + f": draft {one['draft']} of its round, by "), title
                following = node.locator("xpath=following-sibling::span[1]").get_attribute("title")
                assert following.endswith(f"was {json.dumps(one['text'])}") and following.startswith("the model's own token"), following
            page.reload()
            page.locator("#chats .open").click()
        page.evaluate("getSelection().selectAllChildren(document.querySelector('article.answer .text.tokens'))")
        assert "rejected" not in page.evaluate("getSelection().toString()")
        page.evaluate("getSelection().empty()")
        browser.picture(page, "fates")


def test_waiting_and_stop(browser):
    server = Server()
    with browser.page(server.url) as page:
        send(page, "slow " + "word " * 200)
        expect(page.locator(".wait")).to_have_text("Waiting: 2 before you")
        expect(page.locator("#spoken")).to_contain_text("Waiting: 2 before you.")
        bar = page.get_by_role("progressbar", name="Reading the prompt")
        expect(page.locator(".wait")).to_have_text(re.compile("^Reading the prompt: (256|768|1,280) of 1,300 tokens, 256 cached"))
        assert bar.evaluate("bar => bar.value") in (256, 768, 1280) and bar.evaluate("bar => bar.max") == 1300
        browser.picture(page, "prompt")
        expect(page.locator("article.answer .text").last).to_contain_text("word word")
        assert page.locator("article.answer").get_attribute("aria-busy") == "true"
        page.keyboard.press("Escape")
        expect(page.locator(".note")).to_have_text("Stopped.")
        assert server.stopped.wait(5), "the server was not left"
        assert 1 < page.locator("article.answer .text").last.inner_text().count("word") < 150
        send(page, "slow again")
        page.get_by_role("button", name="Stop").click()
        ended(page)
        expect(page.locator(".note").last).to_have_text("Stopped.")


def test_two_at_once(browser):
    server = Server()
    with browser.page(server.url) as page:
        send(page, "slow " + "one " * 12)
        page.keyboard.press("Control+Shift+O")
        expect(page.get_by_role("heading", level=1)).to_have_text("New conversation")
        expect(ask(page, "echo two").locator(".text").last).to_have_text("two")
        page.locator("#chats button.open").last.click()
        ended(page)
        assert page.locator("article.answer .text").last.inner_text().split() == ["one"] * 12


def test_regenerate_and_repeat(browser):
    server = Server()
    with browser.page(server.url) as page:
        answer = ask(page, "echo " + SAMPLE)
        click(page, "Regenerate")
        ended(page)
        click(page, "Repeat")
        expect(answer.locator(".badge")).to_contain_text("✓ the same again")
        first, second, third = server.requests
        assert first["seed"] != second["seed"] == third["seed"] and "prediction" not in second
        assert third["prediction"]["content"] == SAMPLE.rstrip()
        assert len(third["messages"]) == 1
        ask(page, "random")
        click(page, "Repeat")
        expect(page.locator(".badge").last).to_contain_text("not the same as before")


def test_settings(browser):
    server = Server()
    with browser.page(server.url) as page:
        click(page, "Settings")
        values = {"System prompt": "Be brief.", "Temperature": "0.25", "Most tokens of an answer": "1", "Seed": str(2**63 - 1)}
        for name, value in values.items():
            page.get_by_label(name).fill(value)
        page.get_by_label("Thinking").select_option("off")
        browser.picture(page, "settings")
        click(page, "Done")
        answer = ask(page, "echo " + "x " * 40)
        expect(answer.locator(".note")).to_contain_text("Cut")
        expect(answer.locator(".badge")).to_have_text("same bits · seed 9223372036854775807")
        click(page, re.compile("^Colours"))
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
        page.reload()
        ask(page, "echo again")
        for request in server.requests:
            assert request["messages"][0] == {"role": "system", "content": "Be brief."}
            assert request["seed"] == 2**63 - 1 and request["temperature"] == 0.25 and request["max_tokens"] == 1
            assert request["thinking"] == {"type": "disabled"} and "top_p" not in request


def test_edit(browser):
    server = Server()
    with browser.page(server.url) as page:
        for text in ("echo one", "echo two", "echo three"):
            ask(page, text)
        page.keyboard.press("ArrowUp")
        expect(page.get_by_label("Edit your message")).to_have_value("echo three")
        page.keyboard.press("Escape")
        expect(page.get_by_label("Message", exact=True)).to_be_focused()
        page.locator("article.user").nth(1).hover()
        page.locator("article.user").nth(1).get_by_role("button", name="Edit").click()
        page.keyboard.press("Control+A")
        page.keyboard.type("echo other")
        page.keyboard.press("Enter")
        expect(page.locator("article.answer .text").last).to_have_text("other")
        ended(page)
        expect(page.locator("article")).to_have_count(4)
        assert [m["content"] for m in server.requests[-1]["messages"]] == ["echo one", "one", "echo other"]
        click(page, "Undo")
        expect(page.locator("article")).to_have_count(6)
        page.reload()
        expect(page.locator("#chats li")).to_have_count(1)
        page.locator("#chats .open").click()
        expect(page.locator("article.user .said").last).to_have_text("echo three")


def test_edit_while_answered(browser):
    server = Server()
    with browser.page(server.url) as page:
        send(page, "slow " + "old " * 50)
        expect(page.locator("article.answer .text").last).to_contain_text("old")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Control+A")
        page.keyboard.type("slow new text, " + "a few words " * 3)
        page.keyboard.press("Enter")
        expect(page.locator("article.answer .text").last).to_contain_text("new text")
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        ended(page)
        expect(page.locator("article")).to_have_count(2)
        assert "old" not in page.locator("#log").inner_text() and server.stopped.is_set()


def test_reload(browser):
    server = Server()
    with browser.page(server.url) as page:
        ask(page, "think " + SAMPLE)
        before = shown(page)
        page.reload()
        page.locator("#chats .open").click()
        assert shown(page) == before
        send(page, "slow " + "word " * 100)
        expect(page.locator("article.answer .text").last).to_contain_text("word")
        page.reload()
        page.locator("#chats .open").click()
        expect(page.locator(".note").last).to_have_text("Stopped.")
        expect(page.locator("article.answer .text").last).to_contain_text("word")
        click(page, "Delete this conversation")
        expect(page.locator("#chats li")).to_have_count(0)
        click(page, "Undo")
        expect(page.locator("article")).to_have_count(4)


def test_faults(browser):
    server = Server()
    with browser.page(server.url) as page:
        for text, words in {
            "busy": "64 are waiting. Try again in 3 seconds.",
            "refuse": "`top_p` must be in 0...1",
            "break " + "word " * 40: "the engine stumbled",
            "cut " + "word " * 40: "The connection ended before the answer did.",
        }.items():
            answer = ask(page, text)
            expect(answer.locator(".note")).to_have_text(words)
            expect(answer.get_by_role("button", name="Try again")).to_be_visible()
            assert ("word" in answer.locator(".text").last.inner_text()) == ("word" in text)
        browser.picture(page, "faults")
        page.route("**/v1/chat/completions", lambda route: route.abort())
        expect(ask(page, "echo x").locator(".note")).to_have_text("The server cannot be reached.")
        page.unroute("**/v1/chat/completions")
        click(page, "Try again")
        expect(page.locator("article.answer .text").last).to_have_text("x")


def test_plain_server(browser):
    with browser.page(Server().url) as page:
        click(page, "Show tokens and who drafted them")
        answer = ask(page, "plain Just **text**.")
        expect(answer.locator("strong")).to_have_text("text")
        expect(answer.locator(".figures")).to_contain_text("tokens")
        assert "bits" not in answer.inner_text()


def test_key(browser):
    with browser.page(Server(key="right").url) as page:
        for text in ("wrong", "right"):
            page.get_by_label("Key", exact=True).fill(text)
            browser.picture(page, "key")
            click(page, "Use this key")
        expect(page.locator("#model")).to_contain_text("mock-v3")
        ask(page, "echo x")
        page.evaluate("key = 'expired'")
        send(page, "echo y")
        page.get_by_label("Key", exact=True).fill("right")
        click(page, "Use this key")
        expect(page.locator("article.answer .text").last).to_have_text("y")
        expect(page.locator("article")).to_have_count(4)
        assert page.evaluate("Object.values(localStorage).join().includes('right')") is False


def test_loading(browser):
    with browser.page(Server(loading_seconds=2.5).url) as page:
        expect(page.locator("#loading")).to_contain_text("The model is being read")
        expect(page.locator("#loading")).to_contain_text("%")
        browser.picture(page, "loading")
        expect(page.locator("#loading")).to_be_hidden()
        expect(page.locator("#model")).to_contain_text("mock-v3")


def test_export_and_import(browser):
    server = Server()
    with browser.page(server.url) as page, tempfile.TemporaryDirectory() as folder:
        ask(page, "echo " + SAMPLE)
        before = shown(page)
        with page.expect_download() as download:
            click(page, "Export all")
        path = Path(folder) / "chats.json"
        download.value.save_as(path)
        with browser.page(server.url) as other:
            other.locator("#file").set_input_files(path)
            other.locator("#chats .open").click()
            assert shown(other) == before
            nonsense = [{"messages": [{"role": "assistant", "content": "x", **bad}]} for bad in (
                {"fates": 1, "asked": [], "figures": "x"},
                {"fates": {"content": [None, [1], ["a", {}, "b"], ["a", "mtp", 1, {}], ["a", "evil", {}, True]]}},
                {"figures": {"tokens": {}, "drafted": [{}, "x"], "drafts": 3}},
                {"asked": {"seed": "1}evil"}},
                {"thought": 3, "error": {}, "end": "failed"},
            )]
            for value in ({"conversations": nonsense + [None, 3, {"messages": [1, {"role": "tool"}]}]}, [], None):
                path.write_text(json.dumps(value))
                other.locator("#file").set_input_files(path)
                expect(other.locator("#toast")).to_have_text("5 conversations imported" if value else "That file holds no conversations.")
            click(other, "Show tokens and who drafted them")
            for i in range(other.locator("#chats .open").count()):
                other.locator("#chats .open").nth(i).click()
                expect(other.locator("article.answer")).to_be_visible()


def test_full_storage(browser):
    with browser.page(Server().url) as page:
        page.evaluate("""for (let n = 2 ** 20; n > 64; n /= 2)
            try { for (;;) localStorage['x' + Math.random()] = 'y'.repeat(n) } catch {}""")
        expect(ask(page, "echo " + SAMPLE).locator("strong")).to_have_count(1)
        expect(page.locator("#toast")).to_contain_text("keeps no more")
        with page.expect_download():
            click(page, "Export")
        expect(ask(page, "echo more").locator(".text").last).to_have_text("more")


def test_keyboard_and_speech(browser):
    with browser.page(Server().url, reduced_motion="reduce") as page:
        prompt = page.get_by_label("Message", exact=True)
        prompt.fill("echo x")
        prompt.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
        page.keyboard.press("Shift+Enter")
        expect(prompt).to_have_value("echo x\n")
        expect(page.locator("article")).to_have_count(0)
        ask(page, "slow One sentence is spoken. " + "Then comes another that is longer. " * 3)
        spoken = page.locator("#spoken p").all_inner_texts()
        assert 2 < len(spoken) < 9 and spoken[-1] == "End of the answer.", spoken
        assert all(re.search(r"[.]\s*$", text) for text in spoken), spoken
        page.locator("#chats .open").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#chats .open")).to_be_focused()
        click(page, "Regenerate")
        expect(page.get_by_role("button", name="Stop")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".note")).to_have_text("Stopped.")
        for _ in range(60):  # every control can be reached, is named and shows that it has the focus
            page.keyboard.press("Tab")
            tag, name, outline = page.evaluate("""() => { const it = document.activeElement;
                return [it.tagName, it.ariaLabel || it.textContent.trim(), getComputedStyle(it).outlineStyle] }""")
            assert name and (outline != "none" or tag in ("TEXTAREA", "BODY")), (tag, name)


def test_scrolling(browser):
    with browser.page(Server().url, height=500) as page:
        send(page, "echo " + "\n\n".join(f"Paragraph {i}." for i in range(100)))
        expect(page.locator("article.answer")).to_contain_text("Paragraph 20.")
        log = page.locator("#log")
        assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 3
        log.hover()
        page.mouse.wheel(0, -900)
        page.wait_for_timeout(200)
        at = log.evaluate("log => log.scrollTop")
        ended(page)
        assert log.evaluate("log => log.scrollTop") == at, "the reader was carried off"
        click(page, "Latest")
        expect(page.get_by_role("button", name="Latest")).to_be_hidden()


def test_contrast(browser):
    """All text that can be read stands out from what is behind it, 4.5 to 1, in light and dark."""
    with browser.page(Server().url, reduced_motion="reduce") as page:
        ask(page, "think " + SAMPLE)
        ask(page, "break " + "word " * 20)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for shows_tokens in (False, True):
                weak = page.evaluate("""() => {
                    const area = new OffscreenCanvas(1, 1).getContext("2d");
                    const painted = colors => { // one over the other, as red, green, blue of 0...1
                        area.clearRect(0, 0, 1, 1);
                        for (const color of colors) { area.fillStyle = color; area.fillRect(0, 0, 1, 1); }
                        return [...area.getImageData(0, 0, 1, 1).data].slice(0, 3).map(value => value / 255);
                    };
                    const light = color => color.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), weak = [];
                    for (let text; (text = texts.nextNode());) {
                        const element = text.parentElement;
                        if (!text.data.trim() || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
                        if (element.closest(".unseen, :disabled, script")) continue;
                        const behind = [];
                        for (let it = element; it; it = it.parentElement) behind.unshift(getComputedStyle(it).backgroundColor);
                        const back = light(painted(behind)), ink = light(painted([...behind, getComputedStyle(element).color]));
                        const contrast = (Math.max(back, ink) + 0.05) / (Math.min(back, ink) + 0.05);
                        if (contrast < 4.5) weak.push([contrast.toFixed(2), element.className, text.data.slice(0, 40)]);
                    }
                    return weak;
                }""")
                assert not weak, (scheme, shows_tokens, weak)
                click(page, "Show tokens and who drafted them")


def test_narrow(browser):
    with browser.page(Server().url, width=320, height=640) as page:
        expect(page.get_by_role("heading", level=2, name="mock-v3")).to_be_in_viewport(ratio=1)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        browser.picture(page, "narrow-welcome")
        ask(page, "think " + SAMPLE + "\n" + "x" * 300)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        browser.picture(page, "narrow")
        page.locator("#log").evaluate("log => log.scrollTop = 700")
        browser.picture(page, "narrow-middle")
        click(page, "Show tokens and who drafted them")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        browser.picture(page, "narrow-tokens")
        click(page, "Conversations")
        expect(page.locator("#chats li")).to_have_count(1)
        browser.picture(page, "narrow-menu")
        page.keyboard.press("Escape")
        expect(page.locator("#chats")).to_be_hidden()
        click(page, "Settings")
        browser.picture(page, "narrow-settings")


def test_real_server(browser, url):
    with browser.page(url) as page:
        expect(page.locator("#loading")).to_be_hidden(timeout=300_000)
        click(page, "Settings")
        page.get_by_label("Most tokens of an answer").fill("60")
        click(page, "Done")
        expect.set_options(timeout=300_000)
        answer = ask(page, "Say something of the sea.")
        assert answer.locator(".text").last.inner_text().strip() or answer.locator(".thought").is_visible()
        expect(answer.locator(".figures")).to_contain_text("tok/s")
        expect(answer.locator(".badge")).to_contain_text("same bits")
        browser.picture(page, "real")
        click(page, "Show tokens and who drafted them")
        assert answer.locator(".fate").count() > 5
        expect(page.locator("#legend")).to_contain_text(re.compile(r"the model's own \d+.*(\d+ held, \d+ rejected|nothing was drafted)"))
        browser.picture(page, "real-tokens")
        click(page, "Repeat")
        expect(answer.locator(".badge")).to_contain_text("✓ the same again")
        send(page, "And of the mountains?")
        expect(page.locator("article.answer").last.locator(".fate").nth(3)).to_be_attached()
        page.keyboard.press("Escape")
        ended(page)
        page.reload()
        page.locator("#chats .open").click()
        expect(page.locator("article")).to_have_count(4)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()) / "foretoken-page")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    if options.url:
        url = options.url.rstrip("/") + "/"
        tests = {"real server": lambda browser: test_real_server(browser, url)}
    else:
        every = {**globals(), **vars(markdown_test)}
        named = [(name, test) for name, test in every.items() if name.startswith("test_") and name != "test_real_server"]
        tests = {name[5:].replace("_", " "): test for name, test in named if options.only in name}
    failed = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        browser = Browser(chromium, options.pictures)
        for name, test in tests.items():
            started = time.monotonic()
            try:
                test(browser)
                print(f"passed: {name} ({time.monotonic() - started:.1f} s)")
            except Exception:
                failed.append(name)
                print(f"FAILED: {name}\n{traceback.format_exc()}")
        chromium.close()
    print(f"{len(tests) - len(failed)} of {len(tests)} tests of the chat page passed; pictures are in {options.pictures}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
