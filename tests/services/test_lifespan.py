import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from headrace.errors import SetupError
from headrace.services.lifespan import Lifespan

WITHIN = 5.0


class Told:
    """A Starlette application that tells what happens to it."""

    def __init__(self, fails: str = "", with_what: BaseException | None = None) -> None:
        self.events: list[str] = []
        self.tasks: set[Any] = set()
        self._fails = fails
        self._with = with_what or OSError("no database")
        self.app = Starlette(lifespan=self.lifespan)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[dict[str, int]]:
        self._happen("up")
        yield {"connections": 3}
        self._happen("down")

    def _happen(self, event: str) -> None:
        self.tasks.add(asyncio.current_task())
        self.events.append(event)
        if event == self._fails:
            raise self._with


async def test_an_application_starts_leaves_its_state_and_stops_in_one_task() -> None:
    told = Told()
    lifespan = Lifespan(told.app, "Poet")
    await lifespan.start()
    assert (told.events, lifespan.state) == (["up"], {"connections": 3})
    assert await lifespan.stop() is False
    assert told.events == ["up", "down"]
    assert len(told.tasks) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("error", [OSError("no database"), SystemExit(3)])
async def test_a_start_that_fails_is_a_setup_error_with_its_cause(error: BaseException) -> None:
    with pytest.raises(SetupError, match="the application in Poet could not be started") as caught:
        await Lifespan(Told("up", error).app, "Poet").start()
    assert caught.value.__cause__ is error
    assert caught.value.step == "asgi_app"


async def test_a_failure_that_is_only_told_is_one_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})
        await receive()  # goes on waiting

    with pytest.raises(SetupError, match="could not be started: no model"):
        await Lifespan(app, "Poet").start()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_application_that_raises_a_moment_after_it_has_told_is_heard() -> None:
    error = OSError("no database")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "see below"})
        for _ in range(3):
            await asyncio.sleep(0)
        raise error

    with pytest.raises(SetupError, match="no database") as caught:
        await Lifespan(app, "Poet").start()
    assert caught.value.__cause__ is error


async def raises(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"


async def returns(scope: Any, receive: Any, send: Any) -> None:
    return


async def answers_http(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize("app", [raises, returns, answers_http])
async def test_an_application_that_knows_no_lifespan_is_served_without(app: Any) -> None:
    lifespan = Lifespan(app, "Poet")
    await lifespan.start()
    assert await lifespan.stop() is False


async def test_a_stop_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    lifespan = Lifespan(Told("down").app, "Poet")
    await lifespan.start()
    with caplog.at_level(logging.ERROR):
        assert await lifespan.stop() is False
    assert "the lifespan of the application in Poet failed" in caplog.text
    assert "OSError: no database" in caplog.text


async def test_a_start_that_is_cancelled_cancels_the_application() -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    start = asyncio.create_task(Lifespan(app, "Poet").start())
    await entered.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert left.is_set()


async def test_a_stop_that_is_cancelled_cancels_the_application_and_says_so() -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    lifespan = Lifespan(app, "Poet")
    await lifespan.start()
    stop = asyncio.create_task(lifespan.stop())
    await entered.wait()
    stop.cancel()
    async with asyncio.timeout(WITHIN):
        assert await stop is True
    assert left.is_set()
