"""What the tests of streams share: a clock that jumps, an encoder easy to read, a peer that can stop reading."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from headrace.errors import InvalidItem
from headrace.streams.outlet import Outlet
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.testing.clock import run
from headrace.wire.events import End, Failure, Order

Jump = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="session")
def jump() -> Jump:
    """Runs a coroutine function on a loop whose clock jumps from timer to timer, so that waiting takes no time.

    Not for tests in which a worker thread is in time: against such a clock every thread is late.
    """
    return run


class PlainEncoder:
    """`a;b;[end 2]`; the item `bad` cannot be encoded."""

    heartbeat = b"~"
    in_band = True

    def header(self, value: Any) -> bytes:
        return f"<{value}>".encode()

    def item(self, value: Any) -> bytes:
        if value == "bad":
            raise InvalidItem("bad")
        return f"{value};".encode() if value else b""

    def footer(self, value: Any) -> bytes:
        return f"</{value}>".encode()

    def end(self, end: End) -> bytes:
        return f"[end {end.items}]".encode()

    def failure(self, failure: Failure) -> bytes:
        return f"[{failure.code} {failure.items_sent}]".encode()


class Peer:
    """A sink that keeps what it got. `block` makes its writes wait for `release`; `break_with` makes them fail.

    While nothing of that holds, it is written to in place where it is `direct`.
    """

    direct = False

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.finished = 0
        self.entered = asyncio.Event()  # a write has begun
        self._gate = asyncio.Event()
        self._gate.set()
        self._error: Exception | None = None

    @property
    def got(self) -> str:
        return b"".join(self.writes).decode()

    def block(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    def break_with(self, error: Exception) -> None:
        self._error = error

    def try_write(self, records: list[bytes]) -> bool:
        if not self.direct or self._error is not None or not self._gate.is_set():
            return False
        self.entered.set()
        self.writes.append(b"".join(records))
        return True

    async def write(self, records: list[bytes]) -> None:
        self.entered.set()
        await self._gate.wait()
        if self._error is not None:
            raise self._error
        self.writes.append(b"".join(records))

    async def finish(self, records: list[bytes]) -> None:
        await self.write(records)
        self.finished += 1


class DirectPeer(Peer):
    """One that is written to in place."""

    direct = True


@pytest.fixture(scope="session", params=[Peer, DirectPeer], ids=["asked", "direct"])
def new_peer(request: pytest.FixtureRequest) -> type[Peer]:
    kind: type[Peer] = request.param
    return kind


@pytest.fixture(scope="session")
def plain() -> type[PlainEncoder]:
    return PlainEncoder


@pytest.fixture(scope="session")
def new_stream() -> Callable[[Outlet], Stream]:
    def new(outlet: Outlet) -> Stream:
        return Stream("s_1", "Talk.say", Recorder(PlainEncoder(), Order()), outlet)

    return new
