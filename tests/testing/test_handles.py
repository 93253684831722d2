import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from headrace.config import Settings
from headrace.errors import DefinitionError, InternalError, ItemTimeout, SetupError, StreamError
from headrace.services.context import context
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.testing.clock import run
from headrace.testing.handles import connect
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header


class TooWet(StreamError):
    """It rains too much."""

    code = "too_wet"


@service
class Poet:
    def __init__(self, ends: list[str] | None = None) -> None:
        self.ends = [] if ends is None else ends

    async def on_start(self) -> None:
        self.ends.append("started")

    async def on_stop(self) -> None:
        self.ends.append("stopped")

    @endpoint(item_timeout=30)
    async def write(self, topic: str, lines: int = 3, pause: float = 0) -> AsyncIterator[str]:
        try:
            for number in range(lines):
                await asyncio.sleep(pause)
                yield f"{topic} {number}"
        finally:
            self.ends.append("closed")

    @endpoint
    async def add(self, a: int, b: int) -> int:
        return a + b

    @endpoint
    def count(self, up_to: int) -> Iterator[int]:
        yield from range(up_to)

    @endpoint
    async def parts(self) -> Stream[str, int, bool]:
        yield Header(1)
        yield "two"
        yield Footer(True)

    @endpoint
    async def fail(self, own: bool) -> AsyncIterator[str]:
        yield "one"
        raise TooWet if own else ValueError("secret")

    @endpoint(timeout=50)
    async def left(self) -> float | None:
        await asyncio.sleep(20)
        return context.remaining


@service
class Reader:
    poet: Handle[Poet] = depends(Poet)

    @endpoint
    async def read(self, topic: str) -> AsyncIterator[str]:
        async for line in self.poet.write(topic):
            yield line.upper()


async def test_a_stream_gives_its_items() -> None:
    async with connect(Poet) as poet:
        assert [line async for line in poet.write("rain", lines=2)] == ["rain 0", "rain 1"]


async def test_a_call_gives_its_answer() -> None:
    async with connect(Poet) as poet:
        assert await poet.add(1, b=2) == 3


async def test_a_sync_endpoint_is_iterated_with_async_for() -> None:
    async with connect(Poet) as poet:
        counts: Any = poet.count(3)
        assert [number async for number in counts] == [0, 1, 2]


async def test_a_typed_stream_gives_its_parts() -> None:
    async with connect(Poet) as poet:
        assert [part async for part in poet.parts()] == [Header(1), "two", Footer(True)]


async def test_a_bound_service_is_constructed_with_its_arguments_started_and_stopped() -> None:
    ends: list[str] = []
    async with connect(Poet.bind(ends)) as poet:
        assert ends == ["started"]
        assert [line async for line in poet.write("rain", lines=1)] == ["rain 0"]
    assert ends == ["started", "closed", "stopped"]


async def test_a_service_comes_with_what_it_depends_on() -> None:
    async with connect(Reader) as reader:
        assert [line async for line in reader.read("rain")] == ["RAIN 0", "RAIN 1", "RAIN 2"]


async def test_the_end_of_the_block_closes_a_stream_that_was_left() -> None:
    ends: list[str] = []
    async with connect(Poet.bind(ends)) as poet:
        lines = aiter(poet.write("rain", lines=1_000_000))
        assert await anext(lines) == "rain 0"
    assert ends == ["started", "closed", "stopped"]


async def test_an_error_of_the_code_arrives_with_its_cause() -> None:
    async with connect(Poet) as poet:
        lines = aiter(poet.fail(own=False))
        assert await anext(lines) == "one"
        with pytest.raises(InternalError) as raised:
            await anext(lines)
    assert repr(raised.value.__cause__) == "ValueError('secret')"


async def test_an_error_of_its_own_class_arrives_as_itself() -> None:
    async with connect(Poet) as poet:
        lines = aiter(poet.fail(own=True))
        assert await anext(lines) == "one"
        with pytest.raises(TooWet, match="It rains too much"):
            await anext(lines)


async def test_a_wrong_argument_is_told_before_anything_runs() -> None:
    async with connect(Poet) as poet:
        wrong: Any = "many"
        with pytest.raises(TypeError, match="lines"):
            poet.write("rain", lines=wrong)


async def test_a_mistake_of_the_service_is_told() -> None:
    @service
    class Wrong:
        @endpoint
        async def write(self, topic): ...  # type: ignore[no-untyped-def]

    with pytest.raises(DefinitionError, match="HR05"):
        async with connect(Wrong):
            pass


async def test_a_service_that_cannot_start_is_told_with_its_cause() -> None:
    @service
    class Broken:
        def __init__(self) -> None:
            raise OSError("no model")

        @endpoint
        async def write(self) -> str:
            return ""

    with pytest.raises(SetupError) as raised:
        async with connect(Broken):
            pass
    assert repr(raised.value.__cause__) == "OSError('no model')"


async def test_the_settings_are_those_given() -> None:
    class Threads:
        """Counts how many run together."""

        now = most = 0

    @service
    class Slow:
        @endpoint
        def step(self) -> Iterator[int]:
            Threads.now += 1
            Threads.most = max(Threads.most, Threads.now)
            yield 1
            yield 2
            Threads.now -= 1

    async def all_of(stream: Any) -> list[int]:
        return [number async for number in stream]

    async with connect(Slow, Settings(sync_threads=1)) as slow:
        assert await asyncio.gather(*[all_of(slow.step()) for _ in range(5)]) == [[1, 2]] * 5
    assert Threads.most == 1


def test_on_a_virtual_loop_waiting_takes_no_time() -> None:
    async def main() -> tuple[list[str], float]:
        async with connect(Poet) as poet:
            return [line async for line in poet.write("rain", pause=29)], asyncio.get_running_loop().time()

    assert run(main) == (["rain 0", "rain 1", "rain 2"], 87)


def test_the_timeouts_of_an_endpoint_go_by_the_virtual_clock() -> None:
    async def main() -> float:
        async with connect(Poet) as poet:
            with pytest.raises(ItemTimeout):
                await anext(aiter(poet.write("rain", pause=100)))
        return asyncio.get_running_loop().time()

    assert 30 <= run(main) <= 33


def test_what_is_left_of_a_deadline_goes_by_the_virtual_clock() -> None:
    async def main() -> float | None:
        async with connect(Poet) as poet:
            return await poet.left()

    assert run(main) == 30


@service
class SilentPoet:
    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        yield "shh"


async def test_a_dependency_is_replaced() -> None:
    async with connect(Reader, replace={Poet: SilentPoet}) as reader:
        assert [line async for line in reader.read("rain")] == ["SHH"]
