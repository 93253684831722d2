"""The lifespan of a mounted ASGI application (ASGI, "Lifespan Protocol" 2.0): its server's side.

The application is called once for all of it, in a task of its own, since what it opens at the start must be closed in
the same task. One that knows no lifespan is served without.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from headrace.errors import SetupError

STEP = "asgi_app"
"""The step of a `SetupError`."""

LAST_WORDS = 1.0
"""Seconds that an application gets to return after it has told that it failed."""

logger = logging.getLogger("headrace.services")


class Lifespan:
    """From `start` to `stop`, once.

    Args:
        app: the application.
        name: of the service that it is mounted in, for messages.

    `state` is what the application leaves there for its requests.
    """

    def __init__(self, app: Any, name: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._name = name
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue(2)  # what it will be asked: startup and shutdown
        self._answer: asyncio.Future[dict[str, Any]] | None = None  # to what it was asked last
        self._task: asyncio.Task[BaseException | None] | None = None

    async def start(self) -> None:
        """Returns when the application has started.

        Raises:
            SetupError: it could not; what it raised is the cause.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            answer = await self._ask("startup")
            if answer is not None and answer["type"] == "lifespan.startup.failed":
                await asyncio.wait((self._task,), timeout=LAST_WORDS)
                raise self._failure(answer)
        except BaseException:
            await self._leave()
            raise

    async def stop(self) -> bool:
        """Returns when the application has stopped; what it raises is logged.

        Returns whether the waiting task was cancelled meanwhile: then the application was cancelled as well.
        """
        assert self._task is not None, "start comes first"
        if self._task.done():
            return False  # it knows no lifespan
        interrupted = False
        try:
            await self._ask("shutdown")
            await asyncio.wait((self._task,), timeout=LAST_WORDS)
        except asyncio.CancelledError:
            interrupted = True
        await self._leave()
        if (error := self._raised()) is not None:
            logger.error("the lifespan of the application in %s failed", self._name, exc_info=error)
        return interrupted

    async def _ask(self, what: str) -> dict[str, Any] | None:
        """What the application answers; None where it returns, or raises, instead."""
        assert self._task is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._asked.put_nowait({"type": f"lifespan.{what}"})
        await asyncio.wait((self._task, self._answer), return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _leave(self) -> None:
        assert self._task is not None
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=LAST_WORDS)

    async def _run(self) -> BaseException | None:
        """What the application raises, SystemExit too: it must not take the server along unheard."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._asked.get, self._tell)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return error
        return None

    async def _tell(self, message: dict[str, Any]) -> None:
        if not str(message["type"]).startswith("lifespan."):
            raise RuntimeError(f"the lifespan protocol has no {message['type']}")
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def _raised(self) -> BaseException | None:
        assert self._task is not None
        return self._task.result() if self._task.done() and not self._task.cancelled() else None

    def _failure(self, answer: dict[str, Any]) -> SetupError:
        raised = self._raised()
        why = str(answer.get("message", "")) if raised is None else f"{type(raised).__name__}: {raised}"
        error = SetupError(f"the application in {self._name} could not be started: {why}", STEP)
        error.__cause__ = raised
        return error
