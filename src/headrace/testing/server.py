"""A server and its client in one process, without a socket: what HTTP adds to a service, tested at its speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from headrace.client.aio import AsyncClient
from headrace.client.asgi import AsgiTransport
from headrace.config import Settings
from headrace.server.app import Application
from headrace.services.decorators import Bound
from headrace.testing.fakes import Replacements, replaced


@asynccontextmanager
async def serving(
    target: type | Bound[Any],
    settings: Settings | None = None,
    *,
    replace: Replacements | None = None,
    through: Callable[[httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport] | None = None,
) -> AsyncIterator[AsyncClient]:
    """Serves a service, and gives a client of it. The end of the block stops both.

        async with serving(Poet) as client:
            assert await client.call("write", topic="rain") == "rain 0\\n"
            await assert_all_ended(client)

    The application is the one that `headrace run` serves, and the client the one of `headrace.client`. What only a
    connection has is missing: its bounds, and the eviction of readers that do not read.

    Args:
        target: a service, or one bound to its constructor's arguments.
        settings: None takes the defaults. With keys, the client says its own:
            `client.with_options(headers={"x-api-key": "..."})`.
        replace: services in the places of those that it depends on: `{Other: FakeOther}`.
        through: wraps the way between the two: `lambda way: FlakyTransport(way, refuse=2)`.

    Raises:
        DefinitionError: with every mistake of the services.
        SetupError: one could not be started.
        ValueError: `replace` names a service that it does not depend on.
    """
    application = Application(replaced(target, replace), settings, asyncio.get_running_loop().time)
    way: httpx2.AsyncBaseTransport = AsgiTransport(application)
    async with AsyncClient(transport=way if through is None else through(way)) as client:
        yield client
