"""A service knows its continuous batches: whether they make steps, and that nothing of them stays when it stops."""

from collections.abc import AsyncIterator, Iterator

import pytest
from asgi import ask
from composed import composed

from headrace.batching import Slots, continuous_batch
from headrace.errors import Overloaded, WorkerLost
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service


class Model:
    @continuous_batch(linger_s=1000)
    async def decode(self, slots: Slots[str, str]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                if slot.request == "break":
                    raise ValueError("broken")
                slot.send(f"{slot.request} in {slot.id}")
                slot.finish()
            yield


@service
class Chat:
    def __init__(self) -> None:
        self.model = Model()

    @endpoint
    async def write(self, prompt: str) -> AsyncIterator[str]:
        async for text in self.model.decode(prompt):
            yield text

    @endpoint
    def write_in_a_thread(self, prompt: str) -> Iterator[str]:
        yield from self.model.decode(prompt)  # type: ignore[misc]


async def test_a_generator_that_lingers_is_closed_when_the_service_stops() -> None:
    async with composed(Chat) as running:  # which sees that no task is left
        (text,) = [item async for item in running.handle.write("rain")]
        assert text.startswith("rain in ")
        assert running.counted("headrace_step_seconds_count", 'function="Model.decode"') == 1


async def test_a_slot_has_the_id_of_the_request() -> None:
    async with composed(Chat) as running:
        (text,) = [item async for item in running.handle.write("rain")]
        assert len(text.removeprefix("rain in ")) == 16


async def test_a_sync_endpoint_reads_on_its_thread() -> None:
    async with composed(Chat) as running:
        (text,) = [item async for item in running.handle.write_in_a_thread("rain")]
        assert text.startswith("rain in ")


async def test_a_batch_that_fails_over_and_over_makes_the_service_not_healthy() -> None:
    async with composed(Chat) as running:
        for _ in range(6):
            assert running.runtime.healthy
            with pytest.raises(WorkerLost):
                await anext(running.handle.write("break"))
        assert not running.runtime.healthy
        with pytest.raises(Overloaded):
            await anext(running.handle.write("rain"))


async def test_a_service_that_is_not_healthy_is_not_ready() -> None:
    application = Application(Chat)
    async with application.runtime as runtime:
        assert (await ask(application, "GET", "/readyz")).status == 200
        handle = runtime.handle(runtime.definition.bound)
        for _ in range(6):
            with pytest.raises(WorkerLost):
                await anext(handle.write("break"))
        ready = await ask(application, "GET", "/readyz")
        assert (ready.status, ready.document["code"]) == (503, "overloaded")
        assert ready.document["detail"] == "a continuous batch of the service fails over and over, or is stuck"
