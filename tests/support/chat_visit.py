"""A visit of the example `chat_page` in a real browser: what its user does and sees there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page

WITHIN = 15.0


@dataclass
class ChatVisit:
    """A visit of the page at an address.

    Attributes:
        problems: whatever the browser complained about, and every request that left for another host.
    """

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._leave(request.url))

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(text)

    def _leave(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.problems.append(f"a request left for {url}")

    # -- what its user does

    def open(self) -> None:
        self.page.goto(self.url)
        self.until(lambda: self.page.locator("#model option").count() > 0 or self.status != "")

    @property
    def question(self) -> Locator:
        return self.page.get_by_label("Your message")

    def ask(self, text: str) -> None:
        self.question.fill(text)
        self.question.press("Enter")

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    # -- what its user sees

    @property
    def status(self) -> str:
        return self.page.get_by_role("status").inner_text()

    def sees(self, button: str) -> bool:
        return self.page.get_by_role("button", name=button, exact=True).is_visible()

    def said(self, part: str = "text") -> str:
        """A part of the last answer; "" where there is none."""
        found = self.page.locator(f".turn.assistant:last-child .{part}")
        return found.text_content() or "" if found.count() else ""

    @property
    def figures(self) -> str:
        return self.said("figures")

    @property
    def error(self) -> str:
        return self.said("error")

    # -- waiting

    def until(self, holds: Callable[[], bool], within: float = WITHIN) -> float:
        """Looks until something holds; the seconds it took. The browser's events are handled meanwhile."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > within:
                seen = f"status {self.status!r}, said {self.said()!r}, error {self.error!r}, problems {self.problems}"
                raise AssertionError(f"not within {within} s; {seen}")
            self.page.wait_for_timeout(10)
        return time.monotonic() - began

    def until_it_ended(self) -> None:
        self.until(lambda: self.sees("Send"))

    def answer_to(self, text: str) -> str:
        """Asks, and returns the answer when it has ended."""
        self.ask(text)
        self.until_it_ended()
        return self.said()
