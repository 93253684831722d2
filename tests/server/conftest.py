"""The service that the tests of the server serve: one endpoint per way in which an exchange can go."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgi import assert_nothing_left

from headrace.config import Settings
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service


@service
class Desk:
    """Answers in every way."""

    def __init__(self) -> None:
        self.running = 0
        self.calls = 0
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    @endpoint(methods=("GET", "POST"))
    async def count(self, to: int = 3) -> AsyncIterator[str]:
        """Numbers."""
        for n in range(to):
            yield f"{n} "

    @endpoint
    async def wait(self, first: int = 0) -> AsyncIterator[str]:
        self.calls += 1
        self.running += 1
        self.entered.set()
        try:
            for n in range(first):
                yield f"{n} "
            await self.go_on.wait()
            yield "late"
        finally:
            self.running -= 1

    @endpoint
    async def fail(self, error: str, after: int = 0) -> AsyncIterator[str]:
        for n in range(after):
            yield f"{n} "
        raise _ERRORS[error]

    @endpoint
    async def add(self, a: int, b: int) -> int:
        return a + b

    @endpoint(methods=("PUT",))
    async def put(self, name: str) -> str:
        return name

    @endpoint
    async def length(self, data: bytes) -> int:
        return len(data)

    @endpoint
    async def named(self, data: bytes, name: str, times: int) -> str:
        return name * times + str(len(data))

    @endpoint
    async def echo(self, chunks: AsyncIterator[bytes], prefix: str = "") -> AsyncIterator[bytes]:
        self.running += 1
        try:
            yield prefix.encode()
            async for chunk in chunks:
                yield chunk
        finally:
            self.running -= 1

    @endpoint
    async def sum(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        total = 0
        async for number in numbers:
            yield (total := total + number)

    @endpoint
    def sync(self, to: int) -> Iterator[str]:
        for n in range(to):
            yield f"{n} "


_ERRORS: dict[str, Exception] = {}


@pytest.fixture
def errors() -> Iterator[dict[str, Exception]]:
    """What `fail` raises, by name."""
    _ERRORS.update(secret=RuntimeError("the secret is 4711"))
    yield _ERRORS
    _ERRORS.clear()


NewApp = Callable[..., Application]


@pytest.fixture
def new_app() -> NewApp:
    """An application of a service, started by its first request; settings by name."""

    def new(target: Any = Desk, **settings: Any) -> Application:
        return Application(target, Settings(**settings))

    return new


@pytest.fixture
async def app(new_app: NewApp) -> AsyncIterator[Application]:
    """The desk, started. Nothing of any exchange is left when the test is over."""
    application = new_app()
    async with application.runtime:
        yield application
        await assert_nothing_left(application)


@pytest.fixture
def desk(app: Application) -> Any:
    """The running service of `app`."""
    return app.runtime.instance
