"""The share of each caller: how many streams it may have at a time, and how many it may start.

A caller is an API key, or a client address where the server asks for no key. The rate is a token bucket: it holds
`burst` tokens, every start takes one, and `rate` of them come back per second. Who is refused loses nothing by asking.

Time is an argument, so that every rule here holds without a clock. What is remembered is bounded: a caller that was
quiet for as long as a whole bucket takes to fill is forgotten, since a new bucket would be as full as its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator

from headrace.errors import RateLimited

CALLERS = 100_000
"""Buckets that are remembered at most; the one that was used least recently goes first."""


class Shares:
    """What each caller uses of its share. Belongs to one event loop.

    Args:
        concurrency: streams of one caller at a time, running and waiting; 0 is no limit.
        rate: starts per second of one caller on average; 0 is no limit.
        burst: starts at once of a caller that was quiet before.
    """

    def __init__(self, concurrency: int, rate: float, burst: int) -> None:
        self._concurrency = concurrency
        self._rate = rate
        self._burst = burst
        self._streams: Counter[str] = Counter()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when; the oldest first

    @property
    def bounded(self) -> bool:
        """Whether there is a limit; otherwise nobody needs to hold anything."""
        return bool(self._concurrency or self._rate)

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._streams.keys() | self._buckets.keys())

    @contextlib.contextmanager
    def hold(self, caller: str, now: float) -> Iterator[None]:
        """Counts one stream of the caller, from its start to its end.

        Args:
            now: seconds of a clock that never goes back.

        Raises:
            RateLimited: the caller's share is used up. The others' is not touched.
        """
        if self._concurrency and self._streams[caller] >= self._concurrency:
            raise RateLimited(
                f"this caller has {self._concurrency} streams already, and that is its share; try again when one ended"
            )
        if self._rate:
            self._take(caller, now)
        if not self._concurrency:
            yield
            return
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]

    def _take(self, caller: str, now: float) -> None:
        self._forget(now)
        tokens, at = self._buckets.get(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1:
            seconds = max(1, math.ceil((1 - tokens) / self._rate))
            raise RateLimited(
                f"this caller may start {self._rate:g} requests a second, {self._burst} at once; "
                f"try again in {seconds} s",
                seconds,
            )
        self._buckets[caller] = (tokens - 1, now)
        self._buckets.move_to_end(caller)

    def _forget(self, now: float) -> None:
        fills_within = self._burst / self._rate
        while self._buckets:
            _, at = next(iter(self._buckets.values()))
            if now - at < fills_within and len(self._buckets) <= CALLERS:
                return
            self._buckets.popitem(last=False)


def caller_at(address: str) -> str:
    """The caller behind a client address: itself, or its /64 network for IPv6, which one host has as a whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
