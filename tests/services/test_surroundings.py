"""What batched functions know of the service whose endpoints call them."""

import asyncio
from collections.abc import AsyncIterator

from headrace.batching import batch, current_batch
from headrace.batching.surroundings import SURROUNDINGS
from headrace.metrics import Metrics
from headrace.services.context import context
from headrace.services.decorators import endpoint, service
from headrace.services.surroundings import surroundings
from headrace.testing import serving


@service
class Poet:
    def __init__(self) -> None:
        self.started_in = SURROUNDINGS.get()

    async def on_start(self) -> None:
        assert len(await self.ids("warm-up")) == 1

    @batch(max_batch_size=2)
    async def ids(self, topics: list[str]) -> list[tuple[str, ...]]:
        return [current_batch().ids] * len(topics)

    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        yield ("same" if (await self.ids(topic))[0] == context.request_id else "other") + " request"

    @endpoint
    def recite(self, topic: str) -> str:
        ids: tuple[str, ...] = self.ids(topic)  # type: ignore[assignment]  # the answer itself, on a worker thread
        return "same" if ids[0] == context.request_id else "other"


async def test_outside_of_a_request_there_is_no_caller() -> None:
    metrics = Metrics()
    found = surroundings(metrics)
    assert (found.loop, found.metrics, found.caller()) == (asyncio.get_running_loop(), metrics, None)


async def test_a_batch_knows_the_requests_of_its_members() -> None:
    async with serving(Poet) as client:
        assert await client.call("write", topic="rain") == "same request"


async def test_a_worker_thread_calls_like_an_answer_of_its_own() -> None:
    async with serving(Poet) as client:
        assert await client.call("recite", topic="rain") == "same"
