"""What an array costs in binary frames: `python -m bench.frames` writes its tables into docs/performance.md.

Every time is the median of nine rounds. The other side is JSON with base64 as one would write it by hand: the JSON of
pydantic-core, the base64 of the standard library.
"""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from headrace.wire.events import Item
from headrace.wire.frames import FrameDecoder, FrameEncoder
from headrace.wire.ndjson import NdjsonDecoder, NdjsonEncoder
from headrace.wire.stream_types import StreamTypes, stream_types

ROUNDS = 9
READ_SIZE = 65536  # bytes that a socket gives at once
PAGE = Path(__file__).parent.parent / "docs/performance.md"
BEGIN, END = "<!-- begin: python -m bench.frames -->\n", "<!-- end: python -m bench.frames -->\n"
ARRAY = np.random.default_rng(0).random(1_000_000, dtype=np.float32)


def milliseconds(work: Callable[[], Any]) -> float:
    """The median of several rounds, after one that does not count."""
    work()
    spent = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return 1000 * statistics.median(spent)


def write_frame() -> bytes:
    """The array as an item frame."""
    return FrameEncoder(stream_types(np.ndarray)).item(ARRAY)


def read_frame(pieces: list[bytes]) -> Any:
    """The array of an item frame."""
    decoder = FrameDecoder(stream_types(np.ndarray))
    [event] = [event for piece in pieces for event in decoder.feed(piece)]
    assert isinstance(event, Item)
    return event.data


def write_json() -> bytes:
    """The array as a JSON object with base64."""
    data = base64.b64encode(ARRAY.data).decode()
    return to_json({"dtype": ARRAY.dtype.str, "shape": ARRAY.shape, "data": data})


def read_json(pieces: list[bytes]) -> Any:
    """The array of a JSON object with base64."""
    members = from_json(b"".join(pieces))
    return np.frombuffer(base64.b64decode(members["data"]), members["dtype"]).reshape(members["shape"])


def arrays() -> list[str]:
    """Rows: size, writing, reading, both."""
    frame, text = write_frame(), write_json()
    frame_pieces, text_pieces = (
        [data[at : at + READ_SIZE] for at in range(0, len(data), READ_SIZE)] for data in (frame, text)
    )
    assert np.array_equal(read_frame(frame_pieces), ARRAY)
    assert np.array_equal(read_json(text_pieces), ARRAY)
    writing = milliseconds(write_frame), milliseconds(write_json)
    reading = milliseconds(lambda: read_frame(frame_pieces)), milliseconds(lambda: read_json(text_pieces))
    sizes = len(frame) / ARRAY.nbytes, len(text) / ARRAY.nbytes
    rows = [f"| size, as a multiple of the array's | {sizes[0]:.4f} | {sizes[1]:.4f} | | at most 1.02 |"]
    for what, (ours, theirs) in [
        ("writing", writing),
        ("reading, in pieces of 64 KiB", reading),
        ("both", (writing[0] + reading[0], writing[1] + reading[1])),
    ]:
        rows.append(f"| {what} | {ours:.2f} ms | {theirs:.2f} ms | {ours / theirs:.3f} | under 0.2 |")
    return rows


def items() -> list[str]:
    """Rows: one short item of text and one of bytes, in frames and in NDJSON, in microseconds."""
    rows = []
    for types, value in ((stream_types(str), "Hello w"), (stream_types(bytes), bytes(960))):
        ours = per_item(FrameEncoder(types), FrameDecoder, types, value)
        theirs = per_item(NdjsonEncoder(types), NdjsonDecoder, types, value)
        for what, one, other in zip(("writing", "reading"), ours, theirs, strict=True):
            rows.append(
                f"| {what} `{types.item.name}` of {len(value)} | {one:.2f} µs | {other:.2f} µs | {one / other:.2f} |"
            )
    return rows


def per_item(encoder: Any, decoder: Any, types: StreamTypes, value: Any) -> tuple[float, float]:
    """Microseconds to write an item and to read it, among ten thousand."""
    count = 10_000
    data = b"".join([encoder.item(value) for _ in range(count)])
    pieces = [data[at : at + READ_SIZE] for at in range(0, len(data), READ_SIZE)]

    def write() -> None:
        for _ in range(count):
            encoder.item(value)

    def read() -> None:
        reader = decoder(types)
        for piece in pieces:
            reader.feed(piece)

    return milliseconds(write) * 1000 / count, milliseconds(read) * 1000 / count


def table() -> str:
    """Both tables."""
    head = "| float32, 1,000,000 elements | frames | JSON + base64 | ratio | asked |\n|---|--:|--:|--:|--:|\n"
    second = "\n| one item among many | frames | NDJSON | ratio |\n|---|--:|--:|--:|\n"
    return head + "\n".join(arrays()) + "\n" + second + "\n".join(items()) + "\n"


def main() -> None:
    """Prints the tables, and writes them between the markers of the page."""
    tables = table()
    print(tables)
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + tables + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
