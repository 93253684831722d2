import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from headrace.streams.closing import AsyncClosing, Closing


def untidy() -> Iterator[int]:
    try:
        yield 1
    finally:
        raise KeyError("cleanup")


async def untidy_async() -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        raise KeyError("cleanup")


def test_a_generator_is_closed_when_it_is_left() -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    source = numbers()
    next(source)
    with Closing(source):
        pass
    assert closed == [True]


def test_what_needs_no_closing_is_left_alone() -> None:
    with Closing(iter([1, 2])):
        pass


def test_what_the_cleanup_raises_is_raised() -> None:
    source = untidy()
    next(source)
    with pytest.raises(KeyError, match="cleanup"), Closing(source):
        pass


def test_what_the_cleanup_raises_does_not_hide_the_failure_before(caplog: pytest.LogCaptureFixture) -> None:
    source = untidy()
    next(source)
    with pytest.raises(ValueError, match="first"), Closing(source):
        raise ValueError("first")
    assert "the cleanup of untidy raised after a failure" in caplog.text


def test_what_the_cleanup_of_a_stopped_generator_raises_is_raised() -> None:
    source = untidy()
    next(source)
    with pytest.raises(KeyError, match="cleanup"), Closing(source):
        raise GeneratorExit


async def test_what_an_async_cleanup_raises_is_raised() -> None:
    source = untidy_async()
    await anext(source)
    with pytest.raises(KeyError, match="cleanup"):
        async with AsyncClosing(source):
            pass


async def test_what_an_async_cleanup_raises_does_not_hide_the_failure_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = untidy_async()
    await anext(source)
    with pytest.raises(ValueError, match="first"):
        async with AsyncClosing(source):
            raise ValueError("first")
    assert "the cleanup of untidy_async raised after a failure" in caplog.text


async def test_an_iterator_of_a_class_is_closed_too() -> None:
    class Numbers:
        closed = False

        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            return 1

        async def aclose(self) -> None:
            self.closed = True

    source = Numbers()
    async with AsyncClosing(source):
        pass
    assert source.closed


async def test_an_iterator_that_needs_no_closing_is_left_alone() -> None:
    class Numbers:
        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            return 1

    async with AsyncClosing(Numbers()):
        pass


async def test_a_cancelled_cleanup_does_not_hide_the_failure_before(caplog: pytest.LogCaptureFixture) -> None:
    cleaning = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            cleaning.set()
            await asyncio.Event().wait()

    async def fail() -> None:
        source = slow()
        await anext(source)
        async with AsyncClosing(source):
            raise ValueError("first")

    task = asyncio.create_task(fail())
    await cleaning.wait()
    task.cancel()
    with pytest.raises(ValueError, match="first"):
        await task
    assert caplog.text == ""


async def test_a_cancelled_cleanup_stays_cancelled_where_nothing_failed() -> None:
    cleaning = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            cleaning.set()
            await asyncio.Event().wait()

    async def leave() -> None:
        source = slow()
        await anext(source)
        async with AsyncClosing(source):
            pass

    task = asyncio.create_task(leave())
    await cleaning.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
