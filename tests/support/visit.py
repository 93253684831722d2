"""One page in a real browser, and what its user does and sees there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page
from served import Served

WITHIN = 15.0
INSECURE = "speak.test"  # a name that is not localhost, without https: for a browser no secure context


@dataclass
class Visit:
    """A visit of the page that a server of the example `speak` has at `/`.

    Attributes:
        problems: whatever the browser complained about, and every request that left for another host.
    """

    page: Page
    served: Served
    host: str = "127.0.0.1"
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._leave(request.url))
        self.page.on("websocket", lambda socket: self._leave(socket.url))

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(text)

    def _leave(self, url: str) -> None:
        if urlsplit(url).hostname != self.host:
            self.problems.append(f"a request left for {url}")

    # -- what its user does

    def open(self) -> None:
        """Opens the page, and waits until it says how its connection is."""
        self.page.goto(f"http://{self.host}:{self.served.port}/")
        self.until(lambda: self.shown("#connection") not in ("Not connected", "Connecting"))

    def write(self, text: str) -> None:
        self.page.get_by_label("Text to say").fill(text)

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()

    def say(self, text: str) -> None:
        self.write(text)
        self.click("Speak")

    # -- what its user sees

    def shown(self, selector: str) -> str:
        return self.page.locator(selector).inner_text().strip()

    @property
    def status(self) -> str:
        return self.page.get_by_role("status").and_(self.page.locator("#status")).inner_text()

    @property
    def error(self) -> str:
        """The error; "" where none is visible."""
        alert = self.page.get_by_role("alert")
        return alert.inner_text() if alert.is_visible() else ""

    def figure(self, id: str) -> int:
        """The number of a meter; 0 where there is none yet."""
        text = self.shown(f"#{id}")
        return int(text) if text.lstrip("-").isdigit() else 0

    @property
    def rms(self) -> float:
        """Of all that was played of the last text, as the player counted."""
        return float(self.page.locator("#played").get_attribute("data-rms") or 0)

    def drawn(self) -> int:
        """How many pixels of the waveform have the colour of sound."""
        count: int = self.page.evaluate(
            """() => {
                const canvas = document.getElementById("wave");
                const { width, height } = canvas;
                const pen = new OffscreenCanvas(width, height + 1).getContext("2d", { willReadFrequently: true });
                pen.drawImage(canvas, 0, 0);
                pen.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent");
                pen.fillRect(0, height, 1, 1); // to compare with
                const [red, green, blue] = pen.getImageData(0, height, 1, 1).data;
                const { data } = pen.getImageData(0, 0, width, height);
                let count = 0;
                for (let place = 0; place < data.length; place += 4) {
                    count += data[place] === red && data[place + 1] === green && data[place + 2] === blue;
                }
                return count;
            }"""
        )
        return count

    # -- what the server knows

    def state(self) -> dict[str, Any]:
        """See `watched.State`."""
        return self.served.state()

    # -- waiting

    def until(self, holds: Callable[[], bool], within: float = WITHIN) -> float:
        """Looks until something holds; the seconds it took. The browser's events are handled meanwhile."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > within:
                seen = f"status {self.status!r}, error {self.error!r}, problems {self.problems}"
                raise AssertionError(f"not within {within} s; {seen}")
            self.page.wait_for_timeout(10)
        return time.monotonic() - began

    def until_all_was_said(self) -> None:
        self.until(lambda: self.status == "All was said")
