"""What the caller of a batched generator holds."""

import asyncio
import contextlib
import gc
import traceback
import weakref

import pytest

from headrace.batching.members import StreamMember
from headrace.batching.reading import StreamReader, belong
from headrace.errors import DeadlineExceeded
from headrace.streams.children import Children


def reading(children: Children | None = None) -> tuple[StreamMember, StreamReader[int]]:
    member = StreamMember("1", (1,), asyncio.get_running_loop())
    return member, StreamReader(member, "Poet.write", children)


def failed() -> ValueError:
    try:
        raise ValueError("no")
    except ValueError as error:
        return error


async def test_a_stream_that_is_awaited_is_told_how_to_read_it() -> None:
    _, reader = reading()
    with pytest.raises(TypeError) as caught:
        await reader
    assert str(caught.value) == "HR15 Poet.write is a stream: read it with `async for`, instead of awaiting it"


async def test_a_failure_shows_where_it_was_raised_and_no_other_reader() -> None:
    error = failed()
    calls = [reading(), reading()]
    for member, _ in calls:
        member.fail(error)
    for _, reader in calls:
        with pytest.raises(ValueError, match="no") as caught:
            await anext(reader)
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-1] == "failed"
        assert frames.count("__anext__") == 1


async def test_a_failure_is_raised_once() -> None:
    member, reader = reading()
    member.fail(failed())
    with pytest.raises(ValueError, match="no"):
        await anext(reader)
    assert [item async for item in reader] == []


async def test_a_failure_that_was_raised_is_not_kept() -> None:
    member, reader = reading()

    class Refusal(Exception):
        """One that can be referred to weakly."""

    member.fail(Refusal())
    known = weakref.ref(member.mailbox.error)  # type: ignore[arg-type]
    with contextlib.suppress(Refusal):
        await anext(reader)
    gc.collect()
    assert known() is None
    assert not member.live


async def test_what_a_thread_waits_for_fails_when_its_request_is_stopped() -> None:
    children = Children()
    _, reader = reading(children)
    waiting = asyncio.create_task(reader.burst())
    await asyncio.sleep(0)
    children.cancel(DeadlineExceeded())
    with pytest.raises(DeadlineExceeded):
        await waiting


async def test_a_burst_is_all_that_is_ready() -> None:
    member, reader = reading()
    member.send(1)
    member.send(2)
    member.finish()
    assert await reader.burst() == [1, 2]
    assert await reader.burst() == []


async def test_without_a_request_it_belongs_to_none() -> None:
    member, _ = reading()
    belong(member, None)
    assert member.live
