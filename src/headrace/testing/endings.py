"""The check that belongs at the end of a test: endings sum to starts, and nothing is live.

It asks the server's `/metrics`, so it holds for a server in another process as well.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from headrace.client.aio import AsyncClient
from headrace.wire.stream_types import unknown_types

PAUSE = 0.01
"""Seconds between two looks."""


async def assert_all_ended(client: AsyncClient, within: float = 5.0) -> None:
    """Asserts that every stream that began has ended, once.

    A client that leaves is ahead of the server's stop, so it waits for that.

    Args:
        client: of the server.
        within: seconds of real time until it has to be true. The time of a `VirtualLoop` passes in the meantime, by
            hundredths of a second.

    Raises:
        AssertionError: it is not; says of which endpoints.
    """
    until = time.monotonic() + within
    while left := unended(await _exposition(client)):
        if time.monotonic() >= until:
            raise AssertionError(f"not all streams have ended: {'; '.join(left)}")
        await asyncio.sleep(PAUSE)


def unended(exposition: str) -> list[str]:
    """What is wrong with the streams of a server, one sentence per endpoint; nothing when all have ended once.

    Args:
        exposition: what its `/metrics` answers.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name in _COUNTED:
                counts[sample.labels["endpoint"]][sample.name] += int(sample.value)
    return [
        f"{endpoint}: {started} started, {ended} ended, {live} live"
        for endpoint, count in sorted(counts.items())
        for started, ended, live in [[count[name] for name in _COUNTED]]
        if started != ended or live
    ]


_COUNTED = ("headrace_streams_started_total", "headrace_streams_total", "headrace_streams_live")


async def _exposition(client: AsyncClient) -> str:
    answer = await client.with_options(method="GET", types=unknown_types()).call("/metrics")
    if not isinstance(answer, str):
        raise AssertionError(f"what answers at /metrics is no headrace server: it sent {type(answer).__name__}")
    return answer
