import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.client.aio import AsyncClient
from headrace.client.asgi import AsgiTransport
from headrace.config import Settings
from headrace.metrics import Metrics
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service
from headrace.testing.endings import assert_all_ended, unended
from headrace.wire.stream_types import stream_types


@service
class Clock:
    def __init__(self, ticking: asyncio.Event) -> None:
        self.ticking = ticking

    @endpoint
    async def tick(self) -> AsyncIterator[int]:
        self.ticking.set()
        for number in range(3):
            yield number

    @endpoint
    async def wait(self) -> AsyncIterator[int]:
        yield 1
        self.ticking.set()
        await asyncio.Event().wait()


def application(*, settings: Settings | None = None) -> Application:
    return Application(Clock.bind(asyncio.Event()), settings)  # type: ignore[attr-defined]


def exposition(started: int, ended: dict[str, int], live: int = 0) -> str:
    metrics = Metrics()
    metrics.started.labels("Clock.tick").inc(started)
    for end, count in ended.items():
        metrics.ended.labels("Clock.tick", end).inc(count)
    metrics.live.labels("Clock.tick").inc(live)
    return metrics.exposition().decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (Metrics().exposition().decode(), []),
        (exposition(3, {"ok": 1, "error": 1, "client_gone": 1}), []),
        (exposition(2, {"ok": 1}, live=1), ["Clock.tick: 2 started, 1 ended, 1 live"]),
        (exposition(2, {"ok": 1}), ["Clock.tick: 2 started, 1 ended, 0 live"]),
        (exposition(1, {"ok": 1, "error": 1}), ["Clock.tick: 1 started, 2 ended, 0 live"]),
        (exposition(1, {"ok": 1}, live=1), ["Clock.tick: 1 started, 1 ended, 1 live"]),
    ],
    ids=["nothing ran", "all ended", "one is live", "an ending is missing", "one ended twice", "it ended and lives"],
)
def test_what_is_wrong_is_said_by_endpoint(text: str, found: list[str]) -> None:
    assert unended(text) == found


def test_one_endpoint_does_not_make_up_for_another() -> None:
    metrics = Metrics()
    metrics.started.labels("Clock.tick").inc()
    metrics.ended.labels("Clock.wait", "ok").inc()
    assert unended(metrics.exposition().decode()) == [
        "Clock.tick: 1 started, 0 ended, 0 live",
        "Clock.wait: 0 started, 1 ended, 0 live",
    ]


async def test_complete_streams_have_ended() -> None:
    async with AsyncClient(app=application()) as client:
        assert await client.call("tick") == [0, 1, 2]
        await assert_all_ended(client)


async def test_a_client_with_types_of_its_own_asks_as_well() -> None:
    async with AsyncClient(app=application()) as client:
        numbers = client.with_options(types=stream_types(int))
        async with numbers.stream("tick") as stream:
            assert await stream.collect() == [0, 1, 2]
        await assert_all_ended(numbers)


async def test_a_server_of_another_kind_is_told() -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png")]})
        await send({"type": "http.response.body", "body": b"x"})

    async with AsyncClient(transport=AsgiTransport(other)) as client:
        with pytest.raises(AssertionError, match="no headrace server: it sent bytes"):
            await assert_all_ended(client)


async def test_a_stream_that_runs_has_not() -> None:
    async with AsyncClient(app=application()) as client, client.stream("wait") as stream:
        assert await anext(stream) == 1
        with pytest.raises(AssertionError, match=r"Clock\.wait: 1 started, 0 ended, 1 live"):
            await assert_all_ended(client, within=0.05)


async def test_a_stream_that_was_left_has_ended() -> None:
    async with AsyncClient(app=application()) as client:
        async with client.stream("wait") as stream:
            assert await anext(stream) == 1
        await assert_all_ended(client)


async def test_it_waits_for_streams_that_are_about_to_end() -> None:
    app = application()
    async with AsyncClient(app=app) as client, client.stream("wait") as stream:
        assert await anext(stream) == 1
        (running,) = app.runtime.live.values()
        asyncio.get_running_loop().call_later(0.05, running.cancel)
        await assert_all_ended(client)


async def test_a_server_with_keys_is_asked_with_the_clients_own() -> None:
    way = AsgiTransport(application(settings=Settings(api_key=("secret",))))
    async with AsyncClient(transport=way, api_key="secret") as client:
        assert await client.call("tick") == [0, 1, 2]
        await assert_all_ended(client)
