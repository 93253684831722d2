import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from headrace.errors import Cancelled
from headrace.server.visit import SyncSource, Visit, current_visit

WITHIN = 5.0


class Source:
    """Makes numbers; `closed_on` are the threads on which it was closed."""

    def __init__(self) -> None:
        self.closed_on: list[int] = []

    def numbers(self) -> Iterator[str]:
        try:
            while True:
                yield "n"
        finally:
            self.closed_on.append(threading.get_ident())

    async def numbers_on_the_loop(self) -> AsyncIterator[str]:
        try:
            while True:
                yield "n"
        finally:
            self.closed_on.append(threading.get_ident())


async def test_code_inside_knows_its_visit_and_its_service() -> None:
    service = object()
    assert current_visit() is None
    async with Visit(service).under_way():
        visit = current_visit()
        assert visit is not None
        assert visit.service is service
        assert await asyncio.to_thread(current_visit) is visit
    assert current_visit() is None


async def test_an_async_generator_behind_a_response_is_closed_after_the_visit() -> None:
    source, visit = Source(), Visit(None)
    response = StreamingResponse(source.numbers_on_the_loop())
    async with visit.under_way():
        visit.keep_body(response)
        assert await anext(response.body_iterator) == "n"  # type: ignore[arg-type]
        assert source.closed_on == []
    assert source.closed_on == [threading.get_ident()]


async def test_a_sync_generator_behind_a_response_is_closed_on_a_thread() -> None:
    source, visit = Source(), Visit(None)
    response = StreamingResponse(source.numbers())
    async with visit.under_way():
        visit.keep_body(response)
        assert await anext(response.body_iterator) == "n"  # type: ignore[arg-type]
    assert len(source.closed_on) == 1
    assert source.closed_on != [threading.get_ident()]


@pytest.mark.parametrize("content", [["a", "b"], ("a", "b"), iter(["a", "b"])])
async def test_a_body_that_is_no_generator_is_iterated_as_before(content: Any) -> None:
    visit = Visit(None)
    response = StreamingResponse(content)
    async with visit.under_way():
        visit.keep_body(response)
        assert [chunk async for chunk in response.body_iterator] == ["a", "b"]


async def test_a_response_without_a_body_to_iterate_is_let_be() -> None:
    visit, response = Visit(None), PlainTextResponse("done")
    async with visit.under_way():
        visit.keep_body(response)
        visit.keep_body(None)
        visit.keep_body({"body_iterator": 1})
    assert response.body == b"done"


async def test_generators_are_closed_when_the_visit_fails() -> None:
    source, visit = Source(), Visit(None)

    async def visited() -> None:
        async with visit.under_way():
            await anext(visit.keep(source.numbers_on_the_loop()))
            raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        await visited()
    assert len(source.closed_on) == 1


async def test_one_cleanup_that_raises_does_not_keep_the_others_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    source, visit = Source(), Visit(None)

    async def raises() -> AsyncIterator[str]:
        try:
            yield "n"
        finally:
            raise OSError("disk full")

    with caplog.at_level(logging.ERROR):
        async with visit.under_way():
            await anext(visit.keep(source.numbers_on_the_loop()))
            await anext(visit.keep(raises()))
    assert len(source.closed_on) == 1
    assert "OSError: disk full" in caplog.text


async def test_a_cancelled_cleanup_does_not_keep_the_others_from_theirs() -> None:
    source, visit, entered = Source(), Visit(None), asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        try:
            yield "n"
        finally:
            entered.set()
            await asyncio.Event().wait()

    async def visited() -> None:
        async with visit.under_way():
            await anext(visit.keep(source.numbers_on_the_loop()))
            await anext(visit.keep(slow()))

    task = asyncio.create_task(visited())
    async with asyncio.timeout(WITHIN):
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(source.closed_on) == 1


def test_a_source_passes_its_values_and_its_end() -> None:
    assert list(SyncSource(iter([1, 2]))) == [1, 2]


def test_a_source_that_was_closed_gives_no_end() -> None:
    source = SyncSource(iter([1, 2]))
    source.close()
    with pytest.raises(Cancelled):
        next(source)


def test_a_source_is_closed_by_whoever_is_inside() -> None:
    entered, go_on = threading.Event(), threading.Event()
    closed_on: list[int] = []

    def slow() -> Iterator[int]:
        try:
            entered.set()
            go_on.wait(WITHIN)
            yield 1
        finally:
            closed_on.append(threading.get_ident())

    source = SyncSource(slow())

    def take() -> None:
        with contextlib.suppress(Cancelled):
            next(source)

    thread = threading.Thread(target=take)
    thread.start()
    assert entered.wait(WITHIN)
    source.close()  # neither waits nor raises
    assert closed_on == []
    go_on.set()
    thread.join(WITHIN)
    assert closed_on == [thread.ident]
