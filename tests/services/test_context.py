import asyncio
from collections.abc import Callable

import pytest

from headrace.services.context import Context, NoRequest, Request, answering, context
from headrace.streams.channel import Channel
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.streams.threads import Threads
from headrace.wire.events import Order
from headrace.wire.passing import PassingEncoder
from headrace.wire.stream_types import stream_types


def request(id: str = "r1", deadline: float | None = None, clock: Callable[[], float] = lambda: 0.0) -> Request:
    stream = Stream("s_1", "Poet.write", Recorder(PassingEncoder(stream_types(str)), Order()), Channel(), clock)
    return Request(id, {"x-user": "ada"}, deadline, stream)


def test_the_request_can_be_read_while_it_is_answered() -> None:
    with answering(request()):
        assert (context.request_id, context.stream_id, context.headers) == ("r1", "s_1", {"x-user": "ada"})
        assert not context.cancelled


def test_the_time_that_is_left_is_never_below_zero() -> None:
    with answering(request(deadline=60.0, clock=iter([0.0, 20.0, 61.0]).__next__)):
        assert (context.deadline, context.remaining, context.remaining) == (60.0, 40.0, 0.0)


def test_without_a_deadline_there_is_no_remaining_time() -> None:
    with answering(request()):
        assert context.deadline is None
        assert context.remaining is None


def test_cancelled_is_asked_each_time() -> None:
    asked = request()
    with answering(asked):
        assert not context.cancelled
        asked.stream.cancel()
        assert context.cancelled


@pytest.mark.parametrize("name", [name for name in vars(Context) if not name.startswith("_")])
def test_outside_a_request_there_is_none(name: str) -> None:
    with pytest.raises(NoRequest, match="outside a request"):
        getattr(context, name)


def test_after_the_block_the_request_before_is_back() -> None:
    with answering(request("outer")):
        with answering(request("inner")):
            assert context.request_id == "inner"
        assert context.request_id == "outer"


async def test_two_tasks_each_have_their_own_request() -> None:
    entered = asyncio.Barrier(2)

    async def answer(id: str) -> str:
        with answering(request(id)):
            await entered.wait()
            return context.request_id

    assert await asyncio.gather(answer("a"), answer("b")) == ["a", "b"]


async def test_a_worker_thread_has_the_request_of_its_caller() -> None:
    with answering(request("from the loop")):
        assert await Threads().call(lambda: context.request_id) == "from the loop"
        assert await asyncio.to_thread(lambda: context.request_id) == "from the loop"
