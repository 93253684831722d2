import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misuses import (
    PLAIN,
    READS,
    START,
    STREAMS,
    TYPED,
    USAGE,
    WHOLE,
    WRITES,
    A,
    B,
    Token,
    WrongRead,
    WrongStream,
    WrongWrite,
    arriving,
    end,
    fail,
    footer,
    header,
    item,
    items,
    read_all,
    refusal,
    written,
)
from pydantic import BaseModel, model_validator

from headrace.errors import (
    FirstItemTimeout,
    HeadraceError,
    InternalError,
    ItemTimeout,
    MissingHeader,
    OutOfOrder,
    Overloaded,
    StreamError,
    StreamTruncated,
    WireError,
)
from headrace.wire.frames import FrameEncoder
from headrace.wire.stream_types import unknown_types
from headrace.wire.typed import StreamTypes, stream_reader, stream_types, stream_writer

# -- both ends


@settings(deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5),
    typed=st.booleans(),
    batch=st.booleans(),
    size=st.integers(1, 40),
)
def test_what_is_written_is_read_however_it_is_cut(texts: list[str], typed: bool, batch: bool, size: int) -> None:
    types, tokens = TYPED if typed else PLAIN, [Token(text=text) for text in texts]
    writer = stream_writer(types)
    data = writer.yield_header(START) if typed else b""
    data += writer.yield_items(tokens) if batch else b"".join(map(writer.yield_item, tokens))
    data += writer.yield_footer(USAGE) if typed else b""
    data += writer.end()
    read: list[Any] = []
    asyncio.run(read_all(stream_reader(types, arriving(data, size)), types, read))
    assert read == ([START, *tokens, USAGE] if typed else tokens)


@pytest.mark.parametrize(
    ("types", "steps", "read"),
    [
        (TYPED, (header, item, items, footer, end), [START, A, A, B, USAGE]),
        (TYPED, (header, footer, end), [START, USAGE]),
        (stream_types(Token, header_type=type(START)), (header, item, end), [START, A]),
        (stream_types(Token, footer_type=type(USAGE)), (item, footer, end), [A, USAGE]),
        (PLAIN, (item, end), [A]),
        (PLAIN, (end,), []),
    ],
)
async def test_header_and_footer_may_be_left_out(types: StreamTypes, steps: Any, read: list[Any]) -> None:
    into: list[Any] = []
    await read_all(stream_reader(types, arriving(written(*steps, types=types))), types, into)
    assert into == read


def test_each_call_of_the_writer_is_a_frame() -> None:
    writer = stream_writer(TYPED)
    assert writer.yield_header(START) == b'\x02\0\0\0\x0d{"model":"m"}'
    assert writer.yield_item(A) == b'\x03\0\0\0\x0c{"text":"a"}'
    assert writer.yield_items([A, B]) == b'\x08\0\0\0\x20\0\0\0\x0c{"text":"a"}\0\0\0\x0c{"text":"b"}'
    assert writer.yield_footer(USAGE) == b'\x04\0\0\0\x0c{"tokens":2}'
    assert writer.end() == b'\x05\0\0\0\x0b{"items":3}'


def test_no_items_at_all_are_nothing_anywhere() -> None:
    writer = stream_writer(TYPED)
    assert writer.yield_items([]) == b""
    data = writer.yield_header(START) + writer.yield_items(iter(())) + writer.yield_footer(USAGE) + writer.end()
    assert data == written(header, footer, end)


def test_the_limits_are_the_frames_own_unless_told() -> None:
    with pytest.raises(HeadraceError, match="a frame carries at most 20"):
        stream_writer(PLAIN, limit=20).yield_item(Token(text="a" * 20))


async def test_a_reader_may_take_less() -> None:
    with pytest.raises(HeadraceError, match="the limit is 11"):
        await read_all(stream_reader(PLAIN, arriving(written(item, types=PLAIN)), limit=11), PLAIN, [])


async def test_pings_are_passed_over() -> None:
    ping, read = FrameEncoder.heartbeat, []  # type: ignore[var-annotated]
    await read_all(stream_reader(PLAIN, arriving(ping + written(item, types=PLAIN) + ping + WHOLE[-16:])), PLAIN, read)
    assert read == [A]


async def test_views_of_bytes_are_bytes() -> None:
    async def views() -> AsyncIterator[Any]:
        yield memoryview(WHOLE[:20])
        yield bytearray(WHOLE[20:])

    read: list[Any] = []
    await read_all(stream_reader(TYPED, views()), TYPED, read)
    assert read == [START, A, USAGE]


async def test_a_source_of_text_is_refused() -> None:
    async def texts() -> AsyncIterator[Any]:
        yield "text"

    with pytest.raises(TypeError, match="the source gave str, expected bytes: give the body as it came"):
        await stream_reader(TYPED, texts()).read_header()


# -- misuse


@pytest.mark.parametrize("case", WRITES, ids=lambda case: case.what)
async def test_a_refused_call_writes_nothing_and_the_writer_goes_on(case: WrongWrite) -> None:
    writer = stream_writer(case.types)
    data = b"".join(step(writer) for step in case.before)
    with pytest.raises(HeadraceError):
        case.wrong(writer)
    data += b"".join(step(writer) for step in case.after)
    assert data == written(*case.before, *case.after, types=case.types)
    assert not case.after or case.after[-1] is end


def test_a_model_that_fails_by_itself_writes_nothing() -> None:
    class Shy(BaseModel):
        @model_validator(mode="before")
        @classmethod
        def look(cls, value: Any) -> Any:
            return value["name"]

    writer = stream_writer(stream_types(str, header_type=Shy))
    with pytest.raises(KeyError):
        writer.yield_header({})  # type: ignore[arg-type]
    with pytest.raises(MissingHeader):
        writer.yield_item("a")


@pytest.mark.parametrize("case", READS, ids=lambda case: case.what)
async def test_a_refused_call_loses_nothing_of_the_stream(case: WrongRead) -> None:
    reader = stream_reader(case.types, arriving(WHOLE if case.types is TYPED else WHOLE[18:35] + WHOLE[-16:], 7))
    read = [await step(reader) for step in case.before]
    for _ in range(2):
        with pytest.raises(OutOfOrder):
            await case.wrong(reader)
    read += [await step(reader) for step in case.after]
    if "aclose" not in case.what:
        assert read == ([START, [A], USAGE] if case.types is TYPED else [[A]])


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.what)
@pytest.mark.parametrize("size", [1, 7, 65536])
async def test_a_wrong_stream_is_read_up_to_the_mistake(case: WrongStream, size: int) -> None:
    reader = stream_reader(case.types, arriving(case.data, size), **dict(case.options))
    read: list[Any] = []
    with pytest.raises(HeadraceError) as caught:
        await read_all(reader, case.types, read)
    assert read == list(case.before)
    expected = await refusal(case)
    assert (type(caught.value), str(caught.value)) == (type(expected), str(expected))


async def test_reading_on_after_an_error_raises_it_again() -> None:
    reader = stream_reader(PLAIN, arriving(written(item, types=PLAIN) + b"\x09\0\0\0\0" + WHOLE[-16:], 1))
    tokens = reader.read_items()
    assert await anext(tokens) == A
    for _ in range(3):
        with pytest.raises(WireError, match="kind 9"):
            await anext(tokens)


async def test_an_error_comes_before_the_next_bytes() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield written(item, types=PLAIN) + b"\x09\0\0\0\0"
        await asyncio.Event().wait()

    reader = stream_reader(PLAIN, silent()).read_items()
    assert await anext(reader) == A
    async with asyncio.timeout(5):
        with pytest.raises(HeadraceError, match="kind 9"):
            await anext(reader)


async def test_items_go_on_after_a_break() -> None:
    reader = stream_reader(TYPED, arriving(written(header, item, items, footer, end), 9))
    await reader.read_header()
    tokens = reader.read_items()
    async for token in tokens:
        assert token == A
        break
    with pytest.raises(OutOfOrder, match="the items come before the footer"):
        await reader.read_footer()
    assert [token async for token in tokens] == [A, B]
    assert [token async for token in tokens] == []
    assert await reader.read_footer() == USAGE


async def test_a_header_that_need_not_come_is_missing_only_for_who_reads_it() -> None:
    reader = stream_reader(unknown_types(), arriving(written(item, end, types=PLAIN)))
    with pytest.raises(MissingHeader):
        await reader.read_header()


# -- failures


class Busy(StreamError):
    """All slots are taken."""

    code = "busy_in_these_tests"
    status = 429


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (Busy(), Busy, "All slots are taken."),
        (Busy("slot 3 burns"), Busy, "slot 3 burns"),
        (Overloaded("later"), Overloaded, "later"),
        (ValueError("the secret is 4711"), InternalError, "The service failed; the reason is in its log."),
        ("busy_in_these_tests", Busy, "All slots are taken."),
    ],
)
async def test_a_failure_is_raised_where_it_stands(error: Any, kind: type[StreamError], message: str) -> None:
    writer = stream_writer(PLAIN)
    data = writer.yield_item(A) + writer.fail(error)
    tokens = stream_reader(PLAIN, arriving(data)).read_items()
    assert await anext(tokens) == A
    for _ in range(2):
        with pytest.raises(kind) as caught:
            await anext(tokens)
        assert caught.value.message == message


async def test_a_code_of_ones_own_brings_its_message() -> None:
    data = stream_writer(PLAIN).fail("out_of_paper", "tray 2")
    with pytest.raises(StreamError, match="tray 2") as caught:
        await anext(stream_reader(PLAIN, arriving(data)).read_items())
    assert caught.value.code == "out_of_paper"


def test_a_failure_says_how_many_items_came_before_it() -> None:
    writer = stream_writer(PLAIN)
    writer.yield_items([A, B])
    writer.yield_item(A)
    assert b'"items_sent":3' in writer.fail(Busy())


async def test_a_failure_may_take_the_place_of_the_header() -> None:
    with pytest.raises(StreamError, match="all voices are taken"):
        await stream_reader(TYPED, arriving(written(fail))).read_header()


async def test_a_failure_after_the_footer_is_no_end() -> None:
    reader = stream_reader(TYPED, arriving(written(header, footer, fail), 5))
    await reader.read_header()
    assert [token async for token in reader.read_items()] == []
    for _ in range(2):
        with pytest.raises(StreamError, match="all voices are taken"):
            await reader.read_footer()


# -- writers without end


@pytest.mark.parametrize(
    ("types", "steps", "read"),
    [
        (TYPED, (header, item, footer), [START, A, USAGE]),
        (TYPED, (header, footer), [START, USAGE]),
        (PLAIN, (item, item), [A, A]),
        (PLAIN, (), []),
        (TYPED, (header, item, footer, end), [START, A, USAGE]),
    ],
)
async def test_a_clean_end_between_frames_may_count(types: StreamTypes, steps: Any, read: list[Any]) -> None:
    into: list[Any] = []
    reader = stream_reader(types, arriving(written(*steps, types=types)), needs_end=False)
    await read_all(reader, types, into)
    assert into == read


async def test_a_source_that_broke_has_no_clean_end() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield written(item, types=PLAIN)
        raise ConnectionResetError

    tokens = stream_reader(PLAIN, breaks(), needs_end=False).read_items()
    assert await anext(tokens) == A
    with pytest.raises(ConnectionResetError):
        await anext(tokens)
    with pytest.raises(StreamTruncated):
        await anext(tokens)


async def test_a_wait_that_was_cancelled_has_no_clean_end() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield written(item, types=PLAIN)
        await asyncio.Event().wait()

    tokens = stream_reader(PLAIN, silent(), needs_end=False).read_items()
    assert await anext(tokens) == A
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(tokens)
    with pytest.raises(StreamTruncated):
        await anext(tokens)


# -- leaving


class Source:
    """A source that never ends and knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return written(item, types=PLAIN)

    async def aclose(self) -> None:
        self.closed += 1


async def test_leaving_the_block_closes_the_source() -> None:
    source = Source()
    async with stream_reader(PLAIN, source) as reader:
        async for _ in reader.read_items():
            break
        assert source.closed == 0
    assert source.closed == 1


async def test_an_error_in_the_block_closes_the_source() -> None:
    source = Source()
    with pytest.raises(ZeroDivisionError):
        async with stream_reader(PLAIN, source):
            raise ZeroDivisionError
    assert source.closed == 1


async def test_a_generator_is_closed_in_its_finally() -> None:
    left: list[str] = []

    async def generator() -> AsyncIterator[bytes]:
        try:
            while True:
                yield written(item, types=PLAIN)
        finally:
            left.append("left")

    reader = stream_reader(PLAIN, generator())
    assert await anext(reader.read_items()) == A
    await reader.aclose()
    assert left == ["left"]


async def test_a_source_is_closed_once() -> None:
    source = Source()
    reader = stream_reader(PLAIN, source)
    await reader.aclose()
    await reader.aclose()
    assert source.closed == 1


async def test_a_body_is_closed_where_its_iterator_cannot_be() -> None:
    class Body(Source):
        def __aiter__(self) -> Any:
            return Chunks()

    class Chunks:
        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    body = Body()
    await stream_reader(PLAIN, body).aclose()
    assert body.closed == 1


async def test_a_source_that_cannot_be_closed_is_left() -> None:
    class Chunks:
        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    async with stream_reader(PLAIN, Chunks()) as reader:
        with pytest.raises(StreamTruncated):
            await anext(reader.read_items())


# -- silence


class Limit:
    """A time limit that ends when it is told, in the two forms that there are."""

    def __init__(self) -> None:
        self.waits = 0

    @contextmanager
    def sync(self) -> Iterator[None]:
        self.waits += 1
        yield

    def asynchronous(self) -> "Limit":
        return self

    async def __aenter__(self) -> None:
        self.waits += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


async def silent_after(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
    raise TimeoutError


@pytest.mark.parametrize(
    ("steps", "kind", "message"),
    [
        ((), FirstItemTimeout, "the header did not come in time"),
        ((header,), FirstItemTimeout, "an item did not come in time"),
        ((header, item), ItemTimeout, "an item did not come in time"),
        ((header, item, footer), ItemTimeout, "the end did not come in time"),
    ],
)
async def test_silence_has_its_error(steps: Any, kind: type[StreamError], message: str) -> None:
    reader = stream_reader(TYPED, silent_after(written(*steps)), within=lambda: Limit().sync())
    with pytest.raises(kind) as caught:
        await read_all(reader, TYPED, [])
    assert type(caught.value) is kind
    assert caught.value.message == message
    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("form", ["sync", "asynchronous"])
async def test_each_wait_for_bytes_has_its_own_limit(form: str) -> None:
    limit, read = Limit(), []  # type: ignore[var-annotated]
    within: Callable[[], Any] = getattr(limit, form)
    await read_all(stream_reader(TYPED, arriving(WHOLE, 10), within=within), TYPED, read)
    assert read == [START, A, USAGE]
    assert limit.waits == 7  # 68 bytes, ten at a time


@pytest.mark.parametrize("within", [lambda: asyncio.timeout(0), lambda: anyio.fail_after(0)])
async def test_the_limits_of_asyncio_and_anyio_will_do(within: Callable[[], Any]) -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with stream_reader(TYPED, silent(), within=within) as reader:
        for _ in range(2):
            with pytest.raises(FirstItemTimeout):
                await reader.read_header()


# -- alone

ALONE = """
import importlib.abc, sys

ALLOWED = {"headrace", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}

class Others(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and top not in sys.stdlib_module_names and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Others())

from pydantic import BaseModel
from headrace.wire.typed import stream_reader, stream_types, stream_writer

class Token(BaseModel):
    text: str

types = stream_types(Token, header_type=Token, footer_type=Token)
writer = stream_writer(types)
data = writer.yield_header(Token(text="h")) + writer.yield_items([Token(text="i")])
data += writer.yield_footer(Token(text="f")) + writer.end()

async def source():
    yield data

async def read():
    async with stream_reader(types, source()) as reader:
        header = await reader.read_header()
        items = [item async for item in reader.read_items()]
        return header.text, [item.text for item in items], (await reader.read_footer()).text

try:
    read().send(None)
except StopIteration as done:
    print(done.value)
"""


def test_pydantic_alone_is_enough_and_no_event_loop_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("('h', ['i'], 'f')\n", "")
