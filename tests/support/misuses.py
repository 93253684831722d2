"""Every wrong use of a typed stream, each as data: what the tests run, and the table that they make of it.

`python tests/support/misuses.py` writes the table into docs/howto/typed-streams.md.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headrace.errors import HeadraceError
from headrace.wire.typed import StreamReader, StreamTypes, StreamWriter, stream_reader, stream_types, stream_writer

PAGE = Path(__file__).parent.parent.parent / "docs/howto/typed-streams.md"
BEGIN, END = "<!-- begin of the table: python tests/support/misuses.py -->\n", "<!-- end of the table -->\n"


class Start(BaseModel):
    model: str


class Token(BaseModel):
    text: str


class Usage(BaseModel):
    tokens: int


TYPED = stream_types(Token, header_type=Start, footer_type=Usage)
PLAIN = stream_types(Token)
START, A, B, USAGE = Start(model="m"), Token(text="a"), Token(text="b"), Usage(tokens=2)

Write = Callable[[StreamWriter], bytes]
Read = Callable[[StreamReader], Awaitable[Any]]


def header(writer: StreamWriter) -> bytes:
    return writer.yield_header(START)


def item(writer: StreamWriter) -> bytes:
    return writer.yield_item(A)


def items(writer: StreamWriter) -> bytes:
    return writer.yield_items([A, B])


def footer(writer: StreamWriter) -> bytes:
    return writer.yield_footer(USAGE)


def end(writer: StreamWriter) -> bytes:
    return writer.end()


def fail(writer: StreamWriter) -> bytes:
    return writer.fail("no_voice_left", "all voices are taken")


@dataclass(frozen=True)
class WrongWrite:
    """A call that a writer refuses, between what was written before and what is written after it."""

    what: str
    before: tuple[Write, ...]
    wrong: Write
    after: tuple[Write, ...]
    types: StreamTypes = TYPED


WRITES = [
    WrongWrite("an item before the declared header", (), item, (header, item, footer, end)),
    WrongWrite("several items before the declared header", (), items, (header, item, footer, end)),
    WrongWrite("a footer before the declared header", (), footer, (header, footer, end)),
    WrongWrite("a second header", (header,), header, (item, footer, end)),
    WrongWrite("a header after an item", (item,), header, (end,), PLAIN),
    WrongWrite("a header where none is declared", (), header, (item, end), PLAIN),
    WrongWrite("a footer where none is declared", (item,), footer, (end,), PLAIN),
    WrongWrite("an item after the footer", (header, item, footer), item, (end,)),
    WrongWrite("a second footer", (header, footer), footer, (end,)),
    WrongWrite("an end without the declared header", (), end, (header, footer, end)),
    WrongWrite("an end without the declared footer", (header, item), end, (footer, end)),
    WrongWrite("an item after the end", (item, end), item, (), PLAIN),
    WrongWrite("a second end", (item, end), end, (), PLAIN),
    WrongWrite("a failure after the end", (item, end), fail, (), PLAIN),
    WrongWrite("an end after a failure", (header, fail), end, ()),
    WrongWrite("a model of another class", (header,), lambda w: w.yield_item(USAGE), (item, footer, end)),
    WrongWrite(
        "a model of another class among several", (header,), lambda w: w.yield_items([A, USAGE]), (item, footer, end)
    ),
    WrongWrite("a header of another class", (), lambda w: w.yield_header(A), (header, footer, end)),
    WrongWrite("a footer of another class", (header,), lambda w: w.yield_footer(A), (footer, end)),
    WrongWrite("a dict with a field missing", (), lambda w: w.yield_item({"txt": "a"}), (item, end), PLAIN),
]


async def read_header(reader: StreamReader) -> Any:
    return await reader.read_header()


async def read_items(reader: StreamReader) -> Any:
    return [token async for token in reader.read_items()]


async def read_footer(reader: StreamReader) -> Any:
    return await reader.read_footer()


async def start_items(reader: StreamReader) -> Any:
    reader.read_items()


async def close(reader: StreamReader) -> Any:
    await reader.aclose()


@dataclass(frozen=True)
class WrongRead:
    """A call that a reader refuses, between what was read before and what is read after it."""

    what: str
    before: tuple[Read, ...]
    wrong: Read
    after: tuple[Read, ...]
    types: StreamTypes = TYPED


READS = [
    WrongRead("`read_items()` before the header", (), read_items, (read_header, read_items, read_footer)),
    WrongRead("`read_footer()` before the header", (), read_footer, (read_header, read_items, read_footer)),
    WrongRead("`read_footer()` before the items", (read_header,), read_footer, (read_items, read_footer)),
    WrongRead("a second `read_header()`", (read_header,), read_header, (read_items, read_footer)),
    WrongRead("a second `read_items()`", (read_header, read_items), read_items, (read_footer,)),
    WrongRead("a second `read_footer()`", (read_header, read_items, read_footer), read_footer, ()),
    WrongRead("`read_header()` where none is declared", (), read_header, (read_items,), PLAIN),
    WrongRead("`read_footer()` where none is declared", (read_items,), read_footer, (), PLAIN),
    WrongRead("reading after `aclose()`", (read_header, close), read_items, ()),
]


@dataclass(frozen=True)
class WrongStream:
    """Bytes that a reader refuses, and what it hands out before."""

    what: str
    data: bytes
    before: tuple[Any, ...]
    types: StreamTypes = TYPED
    options: tuple[tuple[str, Any], ...] = ()


def written(*steps: Write, types: StreamTypes = TYPED) -> bytes:
    writer = stream_writer(types)
    return b"".join(step(writer) for step in steps)


WHOLE = written(header, item, footer, end)
PLAIN_WHOLE = written(item, end, types=PLAIN)
HEADER, ITEM, ENDING = written(header), written(item, types=PLAIN), PLAIN_WHOLE[-16:]
NO_END = (("needs_end", False),)

STREAMS = [
    WrongStream("no bytes at all", b"", ()),
    WrongStream("cut before the items", HEADER, (START,)),
    WrongStream("cut after an item", HEADER + ITEM, (START, A)),
    WrongStream("cut inside the head of a frame", HEADER + ITEM + b"\3\0", (START, A)),
    WrongStream("cut inside a frame", HEADER + ITEM + ITEM[:-1], (START, A)),
    WrongStream("cut between the footer and the end", written(header, item, footer), (START, A)),
    WrongStream("a frame of no known kind", HEADER + ITEM + b"\x0b\0\0\0\0", (START, A)),
    WrongStream("bytes that are no frames", b'{"item":1}\n', (), PLAIN),
    WrongStream("a frame above the limit", ITEM + b"\3\1\0\0\1", (A,), PLAIN),
    WrongStream("a header of another class", b'\2\0\0\0\x0c{"text":"a"}', ()),
    WrongStream("an item of another class", HEADER + ITEM + b'\3\0\0\0\x0c{"tokens":2}', (START, A)),
    WrongStream("an item that is not JSON", ITEM + b"\3\0\0\0\1{", (A,), PLAIN),
    WrongStream("a footer of another class", HEADER + ITEM + b'\4\0\0\0\x0c{"text":"x"}', (START, A)),
    WrongStream("no header where one is declared", ITEM, ()),
    WrongStream("no footer where one is declared", HEADER + ITEM + ENDING, (START, A)),
    WrongStream("no footer, from a writer without end", HEADER + ITEM, (START, A), options=NO_END),
    WrongStream("a header where none is declared", HEADER, (), PLAIN),
    WrongStream("a footer where none is declared", ITEM + b'\4\0\0\0\x0c{"tokens":2}', (A,), PLAIN),
    WrongStream("a second header", HEADER + HEADER, (START,)),
    WrongStream("an item after the footer", written(header, item, footer) + ITEM, (START, A)),
    WrongStream("the maker's own failure", written(header, item, fail), (START, A)),
]  # fmt: skip


async def arriving(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for place in range(0, len(data), size):
        yield data[place : place + size]


async def read_all(reader: StreamReader, types: StreamTypes, into: list[Any]) -> None:
    """Reads a stream in order, and keeps what came when an error comes."""
    if types.header is not None:
        into.append(await reader.read_header())
    async for token in reader.read_items():
        into += [token]
    if types.footer is not None:
        into.append(await reader.read_footer())


async def refusal(case: WrongWrite | WrongRead | WrongStream) -> HeadraceError:
    """The error of one of them."""
    try:
        match case:
            case WrongWrite():
                writer = stream_writer(case.types)
                for write in case.before:
                    write(writer)
                case.wrong(writer)
            case WrongRead():
                reader = stream_reader(case.types, arriving(WHOLE if case.types is TYPED else PLAIN_WHOLE))
                for read in case.before:
                    await read(reader)
                await case.wrong(reader)
            case WrongStream():
                reader = stream_reader(case.types, arriving(case.data), **dict(case.options))
                await read_all(reader, case.types, [])
    except HeadraceError as error:
        return error
    raise AssertionError(f"{case.what} raises nothing")


async def _table() -> str:
    rows = []
    for where, cases in (("writer", WRITES), ("reader", READS), ("stream", STREAMS)):
        for case in cases:
            error = await refusal(case)
            rows.append(f"| {where} | {case.what} | `{type(error).__name__}` | {error} |")
    return "\n".join(["| where | case | error | it says |", "|---|---|---|---|", *rows]) + "\n"


def table() -> str:
    """The table of all of them, made by running them."""
    return asyncio.run(_table())


if __name__ == "__main__":
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
