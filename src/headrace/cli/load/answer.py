"""One answer under measurement: when its items came, and how it ended.

Times are taken once per read of the network, where the bytes arrive: items that came together came at the same time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.cli.load.distribution import Distribution
from headrace.cli.load.reading import Reader
from headrace.cli.load.request import Request
from headrace.client.failures import MAX_REFUSAL, refusal
from headrace.client.steps import Head
from headrace.errors import HeadraceError, StreamError, StreamTruncated, WireError

TRUNCATED = "truncated"
UNCONNECTED = "not connected"
MALFORMED = "malformed"
UNANSWERED = "not answered"


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an answer does not count. `kind` is what failures are counted by."""

    kind: str
    message: str


class Answer:
    """The answer to one request, sent now.

    Args:
        request: that it answers.
        started: the time of the clock that all others are told in, in seconds.

    Attributes:
        items: came so far.
        first: when the first one did.
        ended: when the response did; None before.
        gaps: between the items.
        head: of the response; None before.
        failed: None as long as all is well.
        server_first_item: the seconds that the server took for the first item, where it tells them.
        reader: None before the head, and of a refusal.
    """

    def __init__(self, request: Request, started: float) -> None:
        self.started = started
        self.items = 0
        self.first: float | None = None
        self.ended: float | None = None
        self.gaps = Distribution()
        self.failed: Failed | None = None
        self.server_first_item: float | None = None
        self.head: Head | None = None
        self.reader: Reader | None = None
        self._request = request
        self._last = started
        self._refusal = b""

    @property
    def tokens(self) -> int:
        """As the server told them; else the items."""
        told = self.reader.output_tokens if self.reader is not None else None
        return self.items if told is None else told

    def begin(self, head: Head) -> None:
        """The head has come."""
        self.head = head
        if not 200 <= head.status < 300:
            return
        coding = head.headers.get("content-encoding", "identity").lower()
        try:
            if coding != "identity":
                raise WireError(f"the answer is compressed with {coding[:40]}, which was not asked for")
            self.reader = self._request.reader(head.headers)
        except WireError as error:
            self.fail(error)
        if found := _FIRST_ITEM.search(head.headers.get("server-timing", "")):
            self.server_first_item = float(found[1]) / 1000

    def body(self, data: bytes, now: float) -> None:
        """Bytes of the body have come."""
        if self.reader is None:
            self._refusal = (self._refusal + data)[:MAX_REFUSAL]
            return
        try:
            self._count(self.reader.feed(data), now)
        except HeadraceError as error:
            self.fail(error)

    def end(self, complete: bool, now: float) -> None:
        """The response has ended, cleanly or not."""
        self.ended = now
        if self.failed is not None:
            return
        if self.head is None:
            self.failed = Failed(UNANSWERED, "the connection was closed before it was answered")
        elif self.reader is None:
            error = refusal(self.head, self._refusal, self._request.url)
            self.failed = Failed(f"status {self.head.status}", error.message)
        else:
            try:
                self._count(self.reader.finish(complete), now)
            except HeadraceError as error:
                self.fail(error)

    def _count(self, items: int, now: float) -> None:
        if not items:
            return
        if self.first is None:
            self.first = now
            self.gaps.add_zeros(items - 1)
        else:
            self.gaps.add(now - self._last)
            self.gaps.add_zeros(items - 1)
        self._last = now
        self.items += items

    def fail(self, error: HeadraceError) -> None:
        """It does not count, and is not read any further."""
        match error:
            case StreamTruncated():
                self.failed = Failed(TRUNCATED, str(error))
            case StreamError():
                self.failed = Failed(f"error {error.code}", error.message)
            case _:
                self.failed = Failed(MALFORMED, str(error))


_FIRST_ITEM = re.compile(r"(?:\A|,)\s*first_item\s*;\s*dur=(\d{1,9}(?:\.\d{1,9})?)(?=\s*(?:[;,]|\Z))")
