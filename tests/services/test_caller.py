import asyncio
import copy
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from composed import composed
from pydantic import BaseModel
from shouting import Pause, Shouts, Word

from headrace.errors import InvalidItem
from headrace.services.caller import Caller
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.definition import define


class Point(BaseModel):
    x: int


@service
class Plotter:
    @endpoint
    async def plot(self, point: Point, scale: float = 1.0, *, label: str = "") -> str:
        return f"{point.x * scale:g}{label}"

    @endpoint
    async def join(self, data: bytes, sep: str = "-") -> str:
        return f"{data!r}{sep}"

    @endpoint
    async def each(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word

    @endpoint
    async def _start(self) -> str:
        return "a name of its own"

    def private(self) -> str:
        return "nobody's business"


async def test_arguments_are_those_of_the_method() -> None:
    async with composed(Plotter) as running:
        plotter = running.handle
        assert await plotter.plot(Point(x=2)) == "2"
        assert await plotter.plot(Point(x=2), 1.5, label="cm") == "3cm"
        assert await plotter.plot(point={"x": "2"}) == "2"
        assert await plotter.join(b"ab") == "b'ab'-"
        assert await plotter.join(memoryview(b"ab"), sep="+") == "b'ab'+"


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "message"),
    [
        (
            "plot",
            (),
            {},
            "Plotter.plot(point: Point, scale: float = 1.0, label: str = ''): missing a required argument",
        ),
        ("plot", (1, 2, 3), {}, "Plotter.plot(point: Point, scale: float = 1.0, label: str = ''): too many positional"),
        ("plot", ({"x": 1},), {"size": 3}, "got an unexpected keyword argument 'size'"),
        ("plot", ({"x": "two"},), {}, "HR16 /point/x: "),
        ("plot", ({"x": 1},), {"scale": "wide"}, "HR16 /scale: "),
        ("join", ("text",), {}, "/data: str, expected bytes"),
        ("each", ("text",), {}, "/words: str, expected an AsyncIterator[str]"),
        ("each", (3,), {}, "/words: int, expected an AsyncIterator[str]"),
        ("each", ({"a": 1},), {}, "/words: dict, expected an AsyncIterator[str]"),
    ],
)
async def test_arguments_are_checked_where_the_call_stands(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    async with composed(Plotter) as running:
        with pytest.raises(TypeError) as caught:
            getattr(running.handle, name)(*args, **kwargs)
        assert message in str(caught.value)
        assert running.counted("headrace_streams_started_total") == 0


async def test_arguments_of_sync_code_are_checked_on_its_thread() -> None:
    async with composed(Plotter) as running:
        with pytest.raises(TypeError, match="HR16 /point/x"):
            await asyncio.to_thread(running.handle.plot, {"x": "two"})


async def test_only_endpoints_are_there() -> None:
    async with composed(Plotter) as running:
        with pytest.raises(AttributeError) as caught:
            _ = running.handle.private
        assert str(caught.value) == 'Plotter has no endpoint "private": it has plot, join, each, _start'
        assert dir(running.handle) == ["_start", "each", "join", "plot"]
        assert repr(running.handle) == "<handle of Plotter>"


async def test_a_name_that_is_almost_right_is_guessed() -> None:
    async with composed(Plotter) as running:
        with pytest.raises(AttributeError) as caught:
            _ = running.handle.plott
        assert str(caught.value) == 'Plotter has no endpoint "plott". Did you mean "plot"?'


async def test_an_endpoint_may_have_any_name() -> None:
    async with composed(Plotter) as running:
        assert await running.handle._start() == "a name of its own"


async def test_a_handle_can_be_copied() -> None:
    async with composed(Plotter) as running:
        assert await copy.copy(running.handle).plot({"x": 1}) == "1"


async def test_code_on_another_event_loop_is_told() -> None:
    async with composed(Plotter) as running:

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="called on the event loop that runs them"):
                running.handle.plot({"x": 1})

        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_a_thread_that_headrace_does_not_know_may_call() -> None:
    answers: list[str] = []
    async with composed(Plotter) as running:
        thread = threading.Thread(target=lambda: answers.append(running.handle.plot({"x": 1})))
        thread.start()
        await asyncio.to_thread(thread.join, 10)
    assert answers == ["1"]


async def test_a_thread_that_calls_when_the_loop_is_gone_is_told() -> None:
    handles: list[Any] = []

    async def main() -> None:
        async with composed(Plotter) as running:
            handles.append(running.handle)

    await asyncio.to_thread(asyncio.run, main())

    def late() -> None:
        with pytest.raises(RuntimeError, match="closed"):
            handles[0].plot({"x": 1})

    await asyncio.to_thread(late)


async def test_a_method_that_speaks_another_api_is_called_like_any_other() -> None:
    async with composed(Shouts) as running:
        said = [word async for word in running.handle.shout("it pause rains")]
        assert said == [Word("it"), Pause(), Word("rains")]
        assert await running.handle.voice("alto") == Word("alto")


async def test_what_such_a_method_gives_is_checked_as_well() -> None:
    async with composed(Shouts) as running:
        with pytest.raises(InvalidItem, match=r"item 1 is int, expected Word \| Pause"):
            _ = [word async for word in running.handle.shout("wrong")]


def test_a_method_that_speaks_another_api_cannot_be_called_elsewhere() -> None:
    loop = asyncio.new_event_loop()
    try:
        handle = Caller(define(Bound(Shouts, url="http://elsewhere")), lambda *_: None, loop)  # type: ignore[arg-type,return-value]
        with pytest.raises(TypeError, match=r"^HR15 Shouts.shout speaks another API and runs elsewhere: call it with"):
            _ = handle.shout
        assert callable(handle.whisper)
    finally:
        loop.close()


async def test_parts_of_the_path_are_arguments_like_the_others() -> None:
    @service
    class Book:
        @endpoint(path="/pages/{number}")
        async def page(self, number: int, loud: bool = False) -> str:
            return f"{number!r} {loud}"

    async with composed(Book) as running:
        assert await running.handle.page(3) == "3 False"
        assert await running.handle.page(loud=True, number="4") == "4 True"
        with pytest.raises(TypeError, match="/number: "):
            await running.handle.page("many")
