"""Streams of the OpenAI API: what is an item, who tells the tokens, and what is whole."""

import json
from typing import Any

import pytest
from upstream import AZURE, DONE, HELLO, ROLE, calls, chunk, delta, error, finish, says, usage

from headrace.cli.load.chunks import ChunkReader, chunk_reader
from headrace.errors import StreamError, StreamTruncated, WireError


def sent(*steps: Any) -> bytes:
    return b"".join(step if isinstance(step, bytes) else b"data: %b\n\n" % json.dumps(step).encode() for step in steps)


def text(words: str, reason: str | None = None) -> Any:
    return {"object": "text_completion", "choices": [{"index": 0, "text": words, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("steps", "items", "output", "read"),
    [
        (HELLO, 3, 4, 3),
        (AZURE, 2, 4, 3),
        ([ROLE, says("Hello"), finish("stop"), DONE], 1, None, None),
        ([delta(reasoning_content="So"), delta(reasoning="so"), delta(refusal="No"), finish("stop")], 3, None, None),
        ([calls({"index": 0, "function": {"name": "f", "arguments": ""}}), finish("tool_calls")], 1, None, None),
        ([chunk({"delta": {"content": "a"}}, {"delta": {"content": "b"}}), finish("stop")], 2, None, None),
        ([text("Once"), text(""), text(" more", "length"), DONE], 2, None, None),
        ([says("x"), finish("stop"), usage(3, 1), usage(3, -1), {"choices": 7, "usage": 7}], 1, 1, 3),
        ([chunk(7, {"delta": 7}), finish("stop")], 0, None, None),
    ],
)
def test_items_make_the_answer_longer_and_tokens_are_told(
    steps: list[Any], items: int, output: int | None, read: int | None
) -> None:
    data = sent(*steps)
    for size in (1, 7, len(data)):
        reader = ChunkReader()
        assert sum(reader.feed(data[n : n + size]) for n in range(0, len(data), size)) == items
        assert (reader.finish(True), reader.output_tokens, reader.input_tokens) == (0, output, read)


@pytest.mark.parametrize(
    ("steps", "complete"),
    [
        ([says("Hello")], True),
        ([says("Hello"), DONE], True),
        ([says("Hello"), finish("stop")], False),
        ([], True),
    ],
)
def test_an_answer_without_its_ending_is_truncated(steps: list[Any], complete: bool) -> None:
    reader = ChunkReader()
    reader.feed(sent(*steps))
    with pytest.raises(StreamTruncated):
        reader.finish(complete)


def test_behind_done_a_cut_takes_nothing_away() -> None:
    reader = ChunkReader()
    reader.feed(sent(*HELLO))
    assert reader.finish(False) == 0


@pytest.mark.parametrize("data", [sent(error("it broke", code="gone")), b'event: error\ndata: {"code": "gone"}\n\n'])
def test_a_failure_in_the_stream_is_raised(data: bytes) -> None:
    with pytest.raises(StreamError) as raised:
        ChunkReader().feed(data)
    assert raised.value.code == "gone"


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"data: hello\n\n", "'hello', which is not JSON"), (b"data: 7\n\n", "'7', which is not a chunk of an answer")],
)
def test_what_is_no_chunk_is_told(data: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        ChunkReader().feed(data)


def test_only_an_event_stream_has_chunks() -> None:
    assert chunk_reader({"content-type": "text/event-stream;charset=utf-8"}).finish
    with pytest.raises(WireError, match="the answer is application/json, not an event stream"):
        chunk_reader({"content-type": "application/json"})
