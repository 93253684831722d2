import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from headrace.errors import AnswerTooLarge, Cancelled, ClientGone, InvalidItem, StreamError
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet, Window
from headrace.streams.outlet import Outlet
from headrace.streams.pump import Drive, Pourable, drive_async, drive_call, drive_sync
from headrace.streams.recorder import Recorder
from headrace.streams.threads import Threads
from headrace.wire.events import Footer, Order


@pytest.fixture
def recorder(plain: Any) -> Recorder:
    return Recorder(plain(), Order())


def drive_iterator(kind: str, make: Callable[[], Iterator[Any]]) -> Drive:
    """Drives a sync generator, or the same one made async."""
    if kind == "sync":
        return drive_sync(make, Threads())

    async def generate() -> AsyncIterator[Any]:
        source = make()
        try:
            for value in source:
                yield value
        finally:
            source.close()  # type: ignore[attr-defined]

    return drive_async(generate)


both = pytest.mark.parametrize("kind", ["async", "sync"])


@both
async def test_every_item_arrives_once_and_in_order(kind: str, recorder: Recorder, new_peer: Any) -> None:
    peer = new_peer()
    outlet = JoiningOutlet(peer, Window())
    await drive_iterator(kind, lambda: (str(number) for number in range(1000)))(recorder, outlet)
    await outlet.finish(b".")
    assert peer.got == "".join(f"{number};" for number in range(1000)) + "."
    assert recorder.items == 1000


async def test_who_stops_a_generator_that_waits_for_its_peer_comes_before_the_next_item(
    recorder: Recorder, new_peer: Any
) -> None:
    made = 0

    async def generate() -> AsyncIterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "a"

    peer = new_peer()
    peer.block()
    driving = asyncio.create_task(drive_async(generate)(recorder, JoiningOutlet(peer, Window())))
    await peer.entered.wait()
    peer.release()
    asyncio.get_running_loop().call_soon(driving.cancel)
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert made == 1


class Source(Pourable):
    """An async iterator that gives its items away in place."""

    def __init__(self, *items: Any) -> None:
        self._items = items
        self.waited = 0
        self.closed = 0

    def __aiter__(self) -> "Source":
        return self

    async def __anext__(self) -> Any:
        raise AssertionError("it is poured")

    async def pour(self, take: Callable[[Any], Awaitable[None] | None]) -> None:
        for item in self._items:
            if (waiting := take(item)) is not None:
                self.waited += 1
                await waiting

    async def aclose(self) -> None:
        self.closed += 1


async def test_what_can_be_poured_is_poured(recorder: Recorder, new_peer: Any) -> None:
    peer, source = new_peer(), Source("a", "b", "c")
    outlet = JoiningOutlet(peer, Window())
    await drive_async(lambda: source)(recorder, outlet)
    await outlet.finish(b".")
    assert (peer.got, recorder.items, source.closed) == ("a;b;c;.", 3, 1)
    assert source.waited == (0 if peer.direct else 1)


async def test_a_poured_item_that_does_not_fit_ends_the_stream(recorder: Recorder, new_peer: Any) -> None:
    source = Source("a", "bad", "b")
    with pytest.raises(InvalidItem, match="item 2 is bad"):
        await drive_async(lambda: source)(recorder, JoiningOutlet(new_peer(), Window()))
    assert (recorder.items, source.closed) == (1, 1)


async def test_a_poured_stream_that_lacks_its_footer_is_not_complete(plain: Any, new_peer: Any) -> None:
    recorder = Recorder(plain(), Order(footer=True))
    with pytest.raises(StreamError, match="footer"):
        await drive_async(lambda: Source("a"))(recorder, JoiningOutlet(new_peer(), Window()))


async def test_what_is_no_stream_is_not_driven(recorder: Recorder, new_peer: Any) -> None:
    with pytest.raises(TypeError, match="a stream was promised, and str returned: return an async iterator"):
        await drive_async(lambda: "text")(recorder, JoiningOutlet(new_peer(), Window()))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("holds", [False, True])
async def test_a_generator_that_never_waits_leaves_the_loop_its_turn(
    holds: bool, recorder: Recorder, new_peer: Any
) -> None:
    turns_at: list[int] = []
    done = False

    async def other() -> None:
        while not done:
            turns_at.append(recorder.items)
            await asyncio.sleep(0)

    outlet: Outlet = HoldingOutlet(new_peer(), 1_000_000) if holds else JoiningOutlet(new_peer(), Window())
    task = asyncio.create_task(other())
    await drive_iterator("async", lambda: ("a" for _ in range(6400)))(recorder, outlet)
    done = True
    await task
    assert len(turns_at) >= 99
    assert max(later - earlier for earlier, later in pairwise(turns_at)) <= 64


async def test_items_that_take_long_to_make_leave_the_loop_its_turn_sooner(recorder: Recorder, new_peer: Any) -> None:
    turns_at: list[int] = []
    done = False

    async def other() -> None:
        while not done:
            turns_at.append(recorder.items)
            await asyncio.sleep(0)

    async def slow() -> AsyncIterator[str]:
        for _ in range(8):
            until = time.monotonic() + 0.006
            while time.monotonic() < until:
                pass
            yield "a"

    task = asyncio.create_task(other())
    await drive_async(slow)(recorder, JoiningOutlet(new_peer(), Window()))
    done = True
    await task
    assert max(later - earlier for earlier, later in pairwise(turns_at)) <= 3


@both
async def test_a_large_item_leaves_the_loop_its_turn(kind: str, recorder: Recorder, new_peer: Any) -> None:
    turns = 0
    done = False

    async def other() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await drive_iterator(kind, lambda: ("x" * 100_000 for _ in range(20)))(
        recorder, JoiningOutlet(new_peer(), Window())
    )
    done = True
    await task
    assert turns >= 10


@both
async def test_an_invalid_item_closes_the_generator(kind: str, recorder: Recorder, new_peer: Any) -> None:
    closed = []

    def generate() -> Iterator[str]:
        try:
            yield "a"
            yield "bad"
            yield "b"
        finally:
            closed.append(True)

    with pytest.raises(InvalidItem, match="item 2 is bad"):
        await drive_iterator(kind, generate)(recorder, JoiningOutlet(new_peer(), Window()))
    assert closed == [True]
    assert recorder.items == 1


@both
async def test_a_failure_is_not_hidden_by_the_cleanup_after_it(
    kind: str, recorder: Recorder, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def generate() -> Iterator[str]:
        try:
            yield "bad"
        finally:
            raise KeyError("cleanup")

    with pytest.raises(InvalidItem):
        await drive_iterator(kind, generate)(recorder, JoiningOutlet(new_peer(), Window()))
    assert "KeyError: 'cleanup'" in caplog.text


@both
async def test_a_peer_that_is_gone_closes_the_generator(kind: str, recorder: Recorder, new_peer: Any) -> None:
    closed = []

    def generate() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.append(True)

    peer = new_peer()
    peer.break_with(ClientGone())
    with pytest.raises(ClientGone):
        await drive_iterator(kind, generate)(recorder, JoiningOutlet(peer, Window()))
    assert closed == [True]


@both
async def test_an_answer_that_grows_too_large_closes_the_generator(
    kind: str, recorder: Recorder, new_peer: Any
) -> None:
    closed = []

    def generate() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.append(True)

    with pytest.raises(AnswerTooLarge):
        await drive_iterator(kind, generate)(recorder, HoldingOutlet(new_peer(), limit=10))
    assert closed == [True]


@both
async def test_a_generator_that_goes_on_after_the_stop_ends_at_its_next_item(
    kind: str, recorder: Recorder, new_peer: Any
) -> None:
    closed = []

    def generate() -> Iterator[str]:
        try:
            yield "a"
            recorder.stop()
            yield "b"
            yield "c"
        finally:
            closed.append(True)

    peer = new_peer()
    outlet = JoiningOutlet(peer, Window())
    with pytest.raises(Cancelled):
        await drive_iterator(kind, generate)(recorder, outlet)
    await outlet.finish(b".")
    assert peer.got == "a;."
    assert closed == [True]


async def test_an_iterable_whose_iterator_is_a_generator_has_it_closed(recorder: Recorder, new_peer: Any) -> None:
    closed = []
    kept = []  # who drops a generator may have it closed by chance

    async def generate() -> AsyncIterator[str]:
        try:
            yield "bad"
        finally:
            closed.append("async")

    def generate_sync() -> Iterator[str]:
        try:
            yield "bad"
        finally:
            closed.append("sync")

    class Answer:
        def __aiter__(self) -> AsyncIterator[str]:
            kept.append(generate())
            return kept[-1]

        def __iter__(self) -> Iterator[str]:
            kept.append(generate_sync())
            return kept[-1]

    for drive in (drive_async(Answer), drive_sync(Answer, Threads())):  # type: ignore[arg-type]
        with pytest.raises(InvalidItem):
            await drive(recorder, JoiningOutlet(new_peer(), Window()))
        assert kept
    assert closed == ["async", "sync"]


async def test_an_async_iterator_that_is_no_generator_is_closed(recorder: Recorder, new_peer: Any) -> None:
    class Answer:
        closed = False

        def __aiter__(self) -> AsyncIterator[str]:
            return self

        async def __anext__(self) -> str:
            return "bad"

        async def aclose(self) -> None:
            self.closed = True

    answer = Answer()
    with pytest.raises(InvalidItem):
        await drive_async(lambda: answer)(recorder, JoiningOutlet(new_peer(), Window()))
    assert answer.closed


async def test_items_made_ahead_by_a_thread_and_never_put_are_not_counted(recorder: Recorder, new_peer: Any) -> None:
    peer = new_peer()
    peer.block()
    outlet = JoiningOutlet(peer, Window())
    task = asyncio.ensure_future(drive_sync(lambda: iter(["a"] * 50_000), Threads())(recorder, outlet))
    await peer.entered.wait()
    while recorder.items < 20_000:  # the thread runs ahead of the write that does not return
        await asyncio.sleep(0)
    peer.release()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    if not outlet.torn:
        await outlet.finish(b".")
        assert peer.got == "a;" * recorder.items + "."


async def test_the_result_of_a_call_is_the_only_item(recorder: Recorder, new_peer: Any) -> None:
    async def call() -> str:
        return "a"

    peer = new_peer()
    outlet = HoldingOutlet(peer, 100)
    await drive_call(call)(recorder, outlet)
    await outlet.finish(b".")
    assert peer.got == "a;."


async def test_what_a_call_raises_is_raised(recorder: Recorder, new_peer: Any) -> None:
    async def call() -> str:
        raise KeyError("k")

    with pytest.raises(KeyError, match="k"):
        await drive_call(call)(recorder, HoldingOutlet(new_peer(), 100))


async def test_what_the_making_of_a_generator_raises_is_raised(recorder: Recorder, new_peer: Any) -> None:
    def make() -> Any:
        raise KeyError("k")

    for drive in (drive_async(make), drive_sync(make, Threads())):
        with pytest.raises(KeyError, match="k"):
            await drive(recorder, HoldingOutlet(new_peer(), 100))


def sync_words(words: list[Any]) -> Iterator[Any]:
    yield from words


async def async_words(words: list[Any]) -> AsyncIterator[Any]:
    for word in words:
        yield word


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "bad"], r"HR08 item 2 is bad \(.*test_pump.py:\d+, {name}\)"),
        (["a", Footer("f"), "b"], r"HR10 Item after Footer: .* \(.*test_pump.py:\d+, {name}\)"),
        (["a"], r"HR10 the stream declares a footer and ended without one \(.*test_pump.py:\d+, {name}\)"),
    ],
)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_refused_value_is_told_with_its_line(
    kind: str, words: list[Any], said: str, plain: Any, new_peer: Any
) -> None:
    drive = (
        drive_async(lambda: async_words(words)) if kind == "async" else drive_sync(lambda: sync_words(words), Threads())
    )
    with pytest.raises(StreamError, match=said.format(name=f"{kind}_words")):
        await drive(Recorder(plain(), Order(footer=True)), JoiningOutlet(new_peer(), Window()))


async def test_an_error_that_the_generator_raises_itself_is_not_blamed_on_a_line(
    recorder: Recorder, new_peer: Any
) -> None:
    async def fails() -> AsyncIterator[str]:
        raise InvalidItem("its own")
        yield ""

    with pytest.raises(InvalidItem, match=r"^its own$"):
        await drive_async(fails)(recorder, JoiningOutlet(new_peer(), Window()))
