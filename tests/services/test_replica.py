from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from composed import composed

from headrace.config import Settings
from headrace.errors import SetupError
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.definition import define
from headrace.services.dependencies import Handle, depends
from headrace.services.replica import LocalReplica


@service
class Leaf:
    @endpoint
    async def read(self) -> int:
        return 1


def replica(target: type | Bound[Any]) -> LocalReplica:
    return LocalReplica(define(target), sync_threads=2)


def handle(bound: Bound[Any]) -> str:
    """What stands for a service in these tests."""
    return f"handle of {bound.service.__name__}"


async def test_what_it_depends_on_is_there_when_the_constructor_runs() -> None:
    seen: list[Any] = []

    @service
    class Above:
        leaf: Handle[Leaf] = depends(Leaf)

        def __init__(self, word: str, other: Handle[Leaf] = depends(Leaf)) -> None:
            seen.extend([self.leaf, other, word])

        @endpoint
        async def read(self) -> int:
            return 2

    running = replica(Bound(Above, ("rain",)))
    assert running.instance is None
    await running.start(handle)
    assert seen == ["handle of Leaf", "handle of Leaf", "rain"]
    assert type(running.instance) is Above


async def test_a_frozen_dataclass_gets_its_dependencies() -> None:
    @service
    @dataclass(frozen=True)
    class Above:
        leaf: Handle[Leaf] = depends(Leaf)

        @endpoint
        async def read(self) -> AsyncIterator[int]:
            yield await self.leaf.read()

    running = replica(Above)
    await running.start(handle)
    assert running.instance.leaf == "handle of Leaf"


async def test_a_service_with_a_new_of_its_own_is_constructed_once() -> None:
    made: list[str] = []

    @service
    class Above:
        leaf: Handle[Leaf] = depends(Leaf)

        def __new__(cls, word: str) -> "Above":
            made.append(f"new {word}")
            return object.__new__(cls)

        def __init__(self, word: str) -> None:
            made.append(f"init {word}")

        @endpoint
        async def read(self) -> int:
            return 2

    await replica(Bound(Above, ("rain",))).start(handle)
    assert made == ["new rain", "init rain"]


async def test_a_constructor_that_fails_before_it_is_there_says_which() -> None:
    @service
    class Broken:
        leaf: Handle[Leaf] = depends(Leaf)

        def __init__(self) -> None:
            raise ValueError("no weights")

        @endpoint
        async def read(self) -> int:
            return 2

    running = replica(Broken)
    with pytest.raises(SetupError, match="Broken could not be started: ValueError: no weights") as caught:
        await running.start(handle)
    assert (caught.value.step, running.instance) == ("__init__", None)


async def test_threads_that_are_stuck_are_counted() -> None:
    assert replica(Leaf).threads_stuck == 0


async def test_waiting_sync_services_do_not_starve_each_other() -> None:
    """Each level takes the only worker thread of its replica and waits for the level below."""

    @service
    class Bottom:
        @endpoint
        def read(self) -> int:
            return 1

    @service
    class Middle:
        bottom: Handle[Bottom] = depends(Bottom)

        @endpoint
        def read(self) -> int:
            return self.bottom.read() + 1

    @service
    class Above:
        middle: Handle[Middle] = depends(Middle)

        @endpoint
        def read(self) -> int:
            return self.middle.read() + 1

    async with composed(Above, Settings(sync_threads=1)) as running:
        assert await running.handle.read() == 3  # type: ignore[misc]


# -- health


class Unwell(Leaf):
    def __init__(self, said: Any) -> None:
        self._said = said

    @property
    def healthy(self) -> Any:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


class Telling(Leaf):
    def __init__(self, known: Any) -> None:
        self._known = known

    @property
    def example_arguments(self) -> Any:
        if isinstance(self._known, Exception):
            raise self._known
        return self._known


async def test_a_service_tells_arguments_that_work_once_it_has_started() -> None:
    running = replica(service(Telling).bind({"model": "tiny"}))
    assert running.example_arguments == {}
    await running.start(handle)
    assert running.example_arguments == {"model": "tiny"}


async def test_a_service_need_not_tell_any() -> None:
    running = replica(Leaf)
    await running.start(handle)
    assert running.example_arguments == {}


@pytest.mark.parametrize("known", [OSError("gone"), 3])
async def test_arguments_that_cannot_be_read_are_logged(known: Any, caplog: pytest.LogCaptureFixture) -> None:
    running = replica(service(Telling).bind(known))
    await running.start(handle)
    assert running.example_arguments == {}
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info is not None) == ("Telling.example_arguments failed", True)


@pytest.mark.parametrize(
    ("said", "healthy"), [(True, True), (False, False), (None, False), (0, False), (OSError("gone"), False)]
)
async def test_a_service_says_itself_whether_it_is_healthy(said: Any, healthy: bool) -> None:
    running = replica(service(Unwell).bind(said))
    await running.start(handle)
    assert running.healthy is healthy


async def test_a_service_that_says_nothing_is_healthy() -> None:
    running = replica(Leaf)
    await running.start(handle)
    assert running.healthy


async def test_a_method_called_healthy_says_nothing() -> None:
    @service
    class Asked:
        @endpoint
        async def healthy(self) -> bool:
            return False

    running = replica(Asked)
    await running.start(handle)
    assert running.healthy


async def test_a_health_that_cannot_be_read_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    running = replica(service(Unwell).bind(OSError("gone")))
    await running.start(handle)
    assert not running.healthy
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info is not None) == ("Unwell.healthy failed", True)
