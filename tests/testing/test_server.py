import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from headrace.client.asgi import AsgiTransport
from headrace.client.timeouts import Timeout
from headrace.config import Settings
from headrace.errors import DeadlineExceeded, Overloaded, RateLimited, SetupError, Unauthorized
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.testing.clock import run
from headrace.testing.endings import assert_all_ended
from headrace.testing.server import serving
from headrace.testing.wrapping import WrappingTransport, changed


@service
class Poet:
    def __init__(self, ends: list[str] | None = None) -> None:
        self.ends = [] if ends is None else ends

    async def on_start(self) -> None:
        self.ends.append("started")

    async def on_stop(self) -> None:
        self.ends.append("stopped")

    @endpoint
    async def write(self, topic: str, lines: int = 2, pause: float = 0) -> AsyncIterator[str]:
        try:
            for number in range(lines):
                await asyncio.sleep(pause)
                yield f"{topic} {number}"
        finally:
            self.ends.append("closed")


@service
class Reader:
    poet: Handle[Poet] = depends(Poet)

    @endpoint
    async def read(self) -> AsyncIterator[str]:
        async for line in self.poet.write("rain"):
            yield line.upper()


async def test_the_client_streams_from_the_service() -> None:
    async with serving(Poet) as client:
        async with client.stream("write", topic="rain") as stream:
            assert await stream.collect() == ["rain 0", "rain 1"]
        await assert_all_ended(client)


async def test_a_bound_service_is_started_and_stopped_with_the_block() -> None:
    ends: list[str] = []
    async with serving(Poet.bind(ends)) as client:  # type: ignore[attr-defined]
        assert ends == ["started"]
        await client.call("write", topic="rain")
    assert ends == ["started", "closed", "stopped"]


async def test_leaving_a_stream_stops_its_code() -> None:
    ends: list[str] = []
    async with serving(Poet.bind(ends)) as client:  # type: ignore[attr-defined]
        async with client.stream("write", topic="rain", lines=1_000_000) as stream:
            assert await anext(stream) == "rain 0"
        await assert_all_ended(client)
        assert ends == ["started", "closed"]


async def test_the_settings_are_those_given() -> None:
    async with serving(Poet, Settings(max_concurrency=1, max_queue=0)) as client:
        async with client.stream("write", topic="rain", lines=1_000_000):
            with pytest.raises(Overloaded):
                await client.with_options(retries=0).call("write", topic="rain")
        await assert_all_ended(client)


async def test_a_server_with_keys_wants_one() -> None:
    async with serving(Poet, Settings(api_key=("secret",))) as client:
        with pytest.raises(Unauthorized):
            await client.call("write", topic="rain")
        known = client.with_options(headers={"x-api-key": "secret"})
        assert await known.call("write", topic="rain") == "rain 0rain 1"


async def test_a_dependency_is_replaced() -> None:
    @service
    class Silent:
        @endpoint
        async def write(self, topic: str) -> AsyncIterator[str]:
            yield "shh"

    async with serving(Reader, replace={Poet: Silent}) as client:
        assert await client.call("read") == "SHH"


async def test_a_service_that_cannot_start_is_told() -> None:
    @service
    class Broken:
        def __init__(self) -> None:
            raise OSError("no model")

        @endpoint
        async def write(self) -> str:
            return ""

    with pytest.raises(SetupError, match="no model"):
        async with serving(Broken):
            pass


async def test_the_way_between_the_two_is_wrapped() -> None:
    ways: list[httpx2.AsyncBaseTransport] = []

    def through(way: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        ways.append(way)
        return way

    async with serving(Poet, through=through) as client:
        await client.call("write", topic="rain")
    assert [type(way) for way in ways] == [AsgiTransport]


def test_on_a_virtual_loop_waiting_takes_no_time() -> None:
    async def main() -> float:
        async with serving(Poet) as client:
            await client.call("write", topic="rain", pause=25)
            return asyncio.get_running_loop().time()

    assert run(main) == 50


def test_a_deadline_goes_by_the_virtual_clock() -> None:
    async def main() -> float:
        async with serving(Poet) as client:
            with pytest.raises(DeadlineExceeded):
                await client.with_options(headers={"headrace-timeout": "30"}).call("write", topic="rain", pause=25)
            return asyncio.get_running_loop().time()

    assert run(main) == pytest.approx(30, abs=0.01)


class Recorder(WrappingTransport):
    """Notes when something of a body came."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        super().__init__(inner)
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return changed(await super().handle_async_request(request), self.note)

    async def note(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for data in body:
            self.times.append(round(asyncio.get_running_loop().time(), 1))
            yield data


def test_heartbeats_go_by_the_virtual_clock() -> None:
    recorders: list[Recorder] = []

    def through(way: httpx2.AsyncBaseTransport) -> Recorder:
        recorders.append(Recorder(way))
        return recorders[0]

    async def main() -> list[str]:
        async with serving(Poet, Settings(heartbeat=10), through=through) as client:
            patient = client.with_options(format="ndjson", timeout=Timeout(first_item=None))
            async with patient.stream("write", topic="rain", lines=1, pause=35) as stream:
                return await stream.collect()

    assert run(main) == ["rain 0"]
    assert recorders[0].times[:4] == [10, 20, 30, 35]


def test_rates_go_by_the_virtual_clock() -> None:
    async def main() -> str:
        settings = Settings(key_rate=0.1, key_burst=1)
        async with serving(Poet, settings) as client:
            once = client.with_options(retries=0)
            first = await once.call("write", topic="one", lines=1)
            with pytest.raises(RateLimited):
                await once.call("write", topic="two", lines=1)
            await asyncio.sleep(10)
            return f"{first}, {await once.call('write', topic='three', lines=1)}"

    assert run(main) == "one 0, three 0"
