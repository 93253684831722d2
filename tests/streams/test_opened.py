import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from headrace.errors import OutOfOrder
from headrace.streams.opened import opened
from headrace.wire.events import Footer, Header


class Source:
    """A stream that notes when it is closed."""

    def __init__(self, *events: Any) -> None:
        self.events = list(events)
        self.closed = 0

    def __aiter__(self) -> "Source":
        return self

    async def __anext__(self) -> Any:
        if not self.events:
            raise StopAsyncIteration
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.closed += 1


async def test_header_items_and_footer_are_apart() -> None:
    source = Source(Header({"a": 1}), "x", "y", Footer(1.5))
    async with opened(source) as stream:
        assert (stream.header, stream.footer) == ({"a": 1}, None)
        assert [item async for item in stream] == ["x", "y"]
        assert stream.footer == 1.5
        assert source.closed == 0
    assert source.closed == 1


@pytest.mark.parametrize(
    ("events", "header", "items", "footer"),
    [
        ([], None, [], None),
        (["x"], None, ["x"], None),
        ([Header(1)], 1, [], None),
        ([Footer(2)], None, [], 2),
        (["x", Footer(2)], None, ["x"], 2),
        ([None, None], None, [None, None], None),
    ],
)
async def test_parts_may_be_absent(events: list[Any], header: Any, items: list[Any], footer: Any) -> None:
    async with opened(Source(*events)) as stream:
        assert stream.header == header
        assert [item async for item in stream] == items
        assert stream.footer == footer


async def test_the_block_begins_when_the_first_event_is_there() -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[Any]:
        await gate.wait()
        yield Header(1)

    async def read() -> Any:
        async with opened(slow()) as stream:
            return stream.header

    reading = asyncio.get_running_loop().create_task(read())
    await asyncio.sleep(0)
    assert not reading.done()
    gate.set()
    assert await reading == 1


async def test_leaving_the_block_closes_the_stream() -> None:
    source = Source("x", "y", "z")
    async with opened(source) as stream:
        async for item in stream:
            assert item == "x"
            break
    assert source.closed == 1


async def test_an_error_in_the_block_closes_the_stream() -> None:
    source = Source("x")
    with pytest.raises(ZeroDivisionError):
        async with opened(source):
            raise ZeroDivisionError
    assert source.closed == 1


async def test_a_failure_before_the_first_event_is_raised_at_the_head_of_the_block() -> None:
    source = Source(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        async with opened(source):
            raise AssertionError
    assert source.closed == 1


async def test_a_failure_comes_after_the_items() -> None:
    async with opened(Source("x", ValueError("no"))) as stream:
        items = aiter(stream)
        assert await anext(items) == "x"
        with pytest.raises(ValueError, match="no"):
            await anext(items)


async def test_items_are_read_once() -> None:
    async with opened(Source("x")) as stream:
        assert [item async for item in stream] == ["x"]
        with pytest.raises(OutOfOrder, match="the items of a stream are read once"):
            aiter(stream)


async def test_a_sync_generator_is_opened_as_well() -> None:
    def typed() -> Iterator[Any]:
        yield Header(1)
        yield "x"
        yield Footer(2)

    async with opened(typed()) as stream:
        assert stream.header == 1
        assert [item async for item in stream] == ["x"]
        assert stream.footer == 2


def test_what_is_no_stream_is_refused_before_the_block() -> None:
    with pytest.raises(TypeError):
        opened(3)  # type: ignore[call-overload]
