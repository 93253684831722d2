"""A service and what it depends on, started in this process and called without HTTP: for unit tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from headrace.config import Settings
from headrace.metrics import Metrics
from headrace.services.decorators import Bound
from headrace.services.runtime import Runtime
from headrace.testing.fakes import Replacements, replaced

S = TypeVar("S")


@asynccontextmanager
async def connect(
    target: type[S] | Bound[S], settings: Settings | None = None, *, replace: Replacements | None = None
) -> AsyncIterator[S]:
    """Starts a service with everything it depends on, and gives what another service would have of it: its handle.

        async with connect(Poet) as poet:
            lines = [line async for line in poet.write("rain")]

    Calls are checked, run and ended as in production, with the endpoint's timeouts. What the service's code raises
    arrives as `InternalError`, with the user's own error as its cause, and a `StreamError` as itself. The end of
    the block stops the calls that are left, and then the services.

    Args:
        target: a service, or one bound to its constructor's arguments.
        settings: None takes the defaults.
        replace: services in the places of those that it depends on: `{Other: FakeOther}`.

    Raises:
        DefinitionError: with every mistake of the services.
        SetupError: one could not be started; its cause is why.
        ValueError: `replace` names a service that it does not depend on.
    """
    clock = asyncio.get_running_loop().time
    async with Runtime(replaced(target, replace), settings or Settings(), Metrics(), clock) as runtime:
        yield cast(S, runtime.handle(runtime.definition.bound))
