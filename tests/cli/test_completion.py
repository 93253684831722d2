"""What is read of a streamed chat completion, from servers of many kinds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.completion import Completion, Piece, failure
from headrace.errors import StreamError, StreamTruncated, WireError


def records(*chunks: Any) -> bytes:
    """An event stream of these chunks; a text goes in as it is."""
    data = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {each}\n\n" for each in data).encode()


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members, "finish_reason": finish}]}


ROLE = delta(role="assistant", content="")
STOP = delta("stop")
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}


@pytest.mark.parametrize(
    ("chunk", "pieces"),
    [
        (delta(content="Wasser"), [Piece("text", "Wasser")]),
        (delta(refusal="I must not"), [Piece("text", "I must not")]),
        (delta(reasoning_content="Let me see"), [Piece("reasoning", "Let me see")]),
        (delta(reasoning="Let me see"), [Piece("reasoning", "Let me see")]),
        (delta(reasoning="so", reasoning_content="so"), [Piece("reasoning", "so")]),
        (delta(reasoning="so", content="Yes"), [Piece("reasoning", "so"), Piece("text", "Yes")]),
        (
            delta(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "now", "arguments": ""}}]),
            [Piece("call", "now ")],
        ),
        (delta(tool_calls=[{"index": 0, "function": {"arguments": '{"zone"'}}]), [Piece("call", '{"zone"')]),
        (r'{"choices": [{"delta": {"content": "\ud83d\ude42 \ud83d"}}]}', [Piece("text", "\U0001f642 \ufffd")]),
        (ROLE, []),
        (delta(content=None, tool_calls=None), []),
        ({"choices": [], "object": "", "prompt_filter_results": [{"prompt_index": 0}]}, []),
        ({"choices": [{"index": 0, "content_filter_offsets": {"check_offset": 4}}]}, []),
        ({"choices": None}, []),
        ({"choices": [None, {"delta": None}, {"delta": {"tool_calls": [{"function": None}]}}]}, []),
        ({}, []),
    ],
)
def test_what_a_chunk_has_to_show(chunk: Any, pieces: list[Piece]) -> None:
    assert Completion().feed(records(chunk)) == pieces


@given(st.data())
def test_pieces_come_out_however_the_bytes_are_cut(data: Any) -> None:
    stream = b": keep-alive\n" + records(ROLE, delta(content="né "), delta(content="\U0001f642"), STOP, USAGE, "[DONE]")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    completion = Completion()
    pieces = [p for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for p in completion.feed(stream[a:b])]
    completion.end()
    assert "".join(piece.text for piece in pieces) == "né \U0001f642"
    assert (completion.finish, completion.tokens) == ("stop", 4)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([], id="nothing at all"),
        pytest.param([ROLE, delta(content="Wa")], id="neither a reason nor [DONE]"),
        pytest.param([delta(content="Wa"), "[DONE]"], id="[DONE] without a reason"),
        pytest.param([delta(content="Wa"), STOP], id="a reason without [DONE]"),
    ],
)
def test_an_answer_without_its_ending_is_truncated(chunks: list[Any]) -> None:
    completion = Completion()
    completion.feed(records(*chunks))
    with pytest.raises(StreamTruncated):
        completion.end()


def test_nothing_counts_after_done() -> None:
    assert Completion().feed(records(delta(content="a"), STOP, "[DONE]", delta(content="b"))) == [Piece("text", "a")]


def test_a_failure_in_the_stream_comes_after_what_stood_before_it() -> None:
    completion = Completion()
    told = {"error": {"message": "all slots are taken", "type": "server_error", "param": None, "code": "model_busy"}}
    assert completion.feed(records(delta(content="Wa"), told)) == [Piece("text", "Wa")]
    with pytest.raises(StreamError, match="all slots are taken") as caught:
        completion.end()
    assert caught.value.code == "model_busy"


def test_an_event_that_is_called_error_is_a_failure() -> None:
    with pytest.raises(StreamError, match="overloaded"):
        Completion().feed(b'event: error\ndata: {"message": "overloaded"}\n\n')


@pytest.mark.parametrize("data", ["", "[1]", '"text"', "{", "[" * 100_000, "[DONE"])
def test_what_is_no_chunk_is_told(data: str) -> None:
    with pytest.raises(WireError, match="the server sent"):
        Completion().feed(records(data))


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ({"error": {"message": "no key", "type": "invalid", "code": "invalid_api_key"}}, "invalid_api_key", "no key"),
        ({"error": {"message": "no key", "type": "auth", "code": None}}, "auth", "no key"),
        ({"error": {"message": "no model", "code": 404}}, "404", "no model"),
        ({"error": "it broke"}, "server_error", "it broke"),
        ({"detail": "Not Found"}, "server_error", "Not Found"),
        ("<html>", "server_error", "<html>"),
        ({"error": {"reasons": ["odd"]}}, "server_error", '{"reasons": ["odd"]}'),
    ],
)
def test_errors_of_many_forms_are_understood(document: Any, code: str, message: str) -> None:
    error = failure(document, 418)
    assert (error.code, error.message, error.status) == (code, message, 418)
