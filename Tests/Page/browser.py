"""A browser with the chat page, and what tests do with it."""

from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

expect.set_options(timeout=10_000)
SAMPLE = (Path(__file__).parent / "sample.md").read_text()


class Browser:
    def __init__(self, chromium, pictures):
        self.chromium, self.pictures = chromium, pictures

    @contextmanager
    def page(self, url, width=1200, height=860, **options):
        """The page in a browser without a past. Whatever the page does wrong, or the policy forbids, fails the test."""
        context = self.chromium.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        forbidden = lambda message: "Content Security Policy" in message.text
        foreign = lambda request: not request.url.startswith((url, "blob:", "data:"))
        page.on("console", lambda message: forbidden(message) and faults.append(message.text))
        page.on("request", lambda request: foreign(request) and faults.append(request.url))
        page.goto(url)
        try:
            yield page
        except BaseException:
            print(*faults, sep="\n")
            page.screenshot(path=self.pictures / "failed.png")
            raise
        else:
            assert not faults, faults
        finally:
            context.close()

    def picture(self, page, name):
        page.wait_for_timeout(300)
        page.screenshot(path=self.pictures / f"{name}.png")


def send(page, text):
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def ended(page):
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


def ask(page, text):
    send(page, text)
    expect(page.locator("article.answer").last).to_be_visible()
    ended(page)
    return page.locator("article.answer").last


def shown(page):
    """What is shown of the last answer."""
    page.locator("article.answer").last.wait_for()
    return [page.locator("article.answer").last.locator(part).last.inner_html() for part in (".thought .text", ".text", ".strip", ".after")]


def click(page, name):
    page.get_by_role("button", name=name, exact=True).last.click()
