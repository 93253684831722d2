import json
from typing import Any

import pytest
from answers import written
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.events import (
    Alternative,
    EngineEvent,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from headrace.errors import InvalidItem, StreamTruncated
from headrace.openai.calls import Calls
from headrace.openai.chunks import ChatChunks, Chunks, TextChunks
from headrace.openai.heading import Heading
from headrace.wire.events import End, Failure
from headrace.wire.sse import EventStreamParser

HEADING = Heading("chatcmpl-1", 17, "tiny")
HEAD = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"tiny",'
TEXT_HEAD = b'data: {"id":"chatcmpl-1","object":"text_completion","created":17,"model":"tiny",'
ROLE = HEAD + (
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"


def chat(n: int = 1, *, with_usage: bool = False, legacy: bool = False, forced: bool = False) -> ChatChunks:
    return ChatChunks(HEADING, n=n, with_usage=with_usage, calls=Calls(legacy, forced))


def delta(told: bytes, logprobs: bytes = b"null", reason: bytes = b"null") -> bytes:
    choice = b'"choices":[{"index":0,"delta":%b,"logprobs":%b,"finish_reason":%b}]}\n\n' % (told, logprobs, reason)
    return HEAD + choice


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks of a complete stream, without the sentinel, which must be the last record."""
    records = [event.data for event in EventStreamParser().feed(data)]
    assert records.pop() == "[DONE]"
    return [json.loads(record) for record in records]


GOLDEN: list[tuple[EngineEvent, bytes]] = [
    (TextDelta("Hi"), delta(b'{"content":"Hi"}')),
    (TextDelta(""), delta(b'{"content":""}')),
    (TextDelta('é😀\u2028\u0085"\n'), delta('{"content":"é😀\\u2028\\u0085\\"\\n"}'.encode())),
    (RefusalDelta("I cannot"), delta(b'{"refusal":"I cannot"}')),
    (ReasoningDelta("Let me"), delta(b'{"reasoning_content":"Let me"}')),
    (
        ToolCallDelta(0, "", "call_x", "f"),
        delta(b'{"tool_calls":[{"index":0,"id":"call_x","type":"function","function":{"name":"f","arguments":""}}]}'),
    ),
    (
        TextDelta("Hi", logprobs=(TokenLogprob("Hi", b"Hi", -0.5, (Alternative("Ho", b"Ho", -1.5),)),)),
        delta(
            b'{"content":"Hi"}',
            b'{"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":'
            b'[{"token":"Ho","logprob":-1.5,"bytes":[72,111]}]}],"refusal":null}',
        ),
    ),
]


@pytest.mark.parametrize(("event", "record"), GOLDEN)
def test_a_delta_is_one_chunk(event: EngineEvent, record: bytes) -> None:
    encoder = chat()
    assert encoder.item(event) == ROLE + record


@pytest.mark.parametrize(("event", "record"), [row for row in GOLDEN if not isinstance(row[0], ToolCallDelta)])
def test_a_later_delta_comes_without_the_role(event: EngineEvent, record: bytes) -> None:
    encoder = chat()
    encoder.item(TextDelta("before"))
    assert encoder.item(event) == record


def test_a_later_piece_of_a_call_has_its_index_and_its_arguments_only() -> None:
    encoder = chat()
    encoder.item(ToolCallDelta(0, "", "call_x", "f"))
    record = delta(b'{"tool_calls":[{"index":0,"function":{"arguments":"{\\"ci"}}]}')
    assert encoder.item(ToolCallDelta(0, '{"ci')) == record


def test_a_call_in_the_form_of_old() -> None:
    encoder = chat(legacy=True)
    first = encoder.item(ToolCallDelta(0, "", "call_x", "f"))
    assert first == ROLE + delta(b'{"function_call":{"name":"f","arguments":""}}')
    assert encoder.item(ToolCallDelta(0, "{}")) == delta(b'{"function_call":{"arguments":"{}"}}')
    assert encoder.item(Finish("tool_calls")) == b""
    assert encoder.end(End(3)) == delta(b"{}", reason=b'"function_call"') + DONE


def test_a_whole_stream_to_the_byte() -> None:
    data = written(chat(), TextDelta("Hel"), TextDelta("lo"), Finish("stop"), Usage(3, 2))
    assert data == b"".join(
        [
            ROLE,
            delta(b'{"content":"Hel"}'),
            delta(b'{"content":"lo"}'),
            delta(b"{}", reason=b'"stop"'),
            DONE,
        ]
    )


def test_a_whole_stream_with_usage_to_the_byte() -> None:
    data = written(chat(with_usage=True), TextDelta("Hi"), Finish("length"), Usage(3, 2, 1, 1))
    parts = [
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],',
        b'"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],',
        b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],',
    ]
    usage = (
        b'"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
        b'"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":1}}}\n\n'
    )
    assert data == b"".join([HEAD + part + b'"usage":null}\n\n' for part in parts]) + HEAD + usage + DONE


def test_the_last_chunk_the_usage_and_the_sentinel_leave_in_one_write() -> None:
    encoder = chat(with_usage=True)
    encoder.item(TextDelta("Hi"))
    assert [encoder.item(event) for event in (Finish("stop"), Usage(1, 1))] == [b"", b""]
    assert [len(chunk["choices"]) for chunk in chunks(encoder.end(End(3)))] == [1, 0]


def test_a_usage_that_the_engine_has_not_told_is_not_made_up() -> None:
    assert b'"usage":{' not in written(chat(with_usage=True), TextDelta("Hi"), Finish("stop"))


def test_an_answer_of_nothing_has_its_role_and_its_end() -> None:
    assert written(chat(), Finish("stop")) == ROLE + delta(b"{}", reason=b'"stop"') + DONE


def test_all_roles_come_first_and_in_order() -> None:
    encoder = chat(3)
    first = encoder.item(TextDelta("c", 2))
    told = [json.loads(event.data)["choices"][0] for event in EventStreamParser().feed(first)]
    assert [(choice["index"], choice["delta"].get("role"), choice["delta"]["content"]) for choice in told] == [
        (0, "assistant", ""),
        (1, "assistant", ""),
        (2, "assistant", ""),
        (2, None, "c"),
    ]


def test_each_answer_has_one_finish_reason_at_the_end() -> None:
    data = written(
        chat(2), TextDelta("b", 1), Finish("length", 1), TextDelta("a"), Finish("stop"), Usage(1, 2)
    )  # fmt: skip
    reasons = [(choice["index"], choice["finish_reason"]) for chunk in chunks(data) for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason[1]] == [(0, "stop"), (1, "length")]
    assert reasons[-2:] == [(0, "stop"), (1, "length")]


def test_a_call_that_was_forced_ends_with_stop() -> None:
    data = written(chat(forced=True), ToolCallDelta(0, "{}", "call_x", "f"), Finish("tool_calls"))
    assert chunks(data)[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("encoder", [chat(2), TextChunks(HEADING, n=2)])
def test_an_answer_without_its_finish_is_truncation_and_no_end(encoder: Chunks) -> None:
    encoder.item(TextDelta("a"))
    encoder.item(Finish("stop"))
    with pytest.raises(StreamTruncated):
        encoder.end(End(2))


def test_a_failure_is_an_error_without_a_reason_and_without_the_sentinel() -> None:
    encoder = chat()
    data = encoder.item(TextDelta("a")) + encoder.item(Finish("stop"))
    data += encoder.failure(Failure("upstream_failed", "the upstream\u2028said 503"))
    assert data == b"".join(
        [
            ROLE,
            delta(b'{"content":"a"}'),
            b'data: {"error":{"message":"the upstream\\u2028said 503","type":"server_error","param":null,'
            b'"code":"upstream_failed"}}\n\n',
        ]
    )


@pytest.mark.parametrize(
    "events",
    [
        [Finish("stop"), TextDelta("a")],
        [TextDelta("a"), Finish("stop"), TextDelta("a")],
        [TextDelta("a"), Finish("stop"), Finish("stop")],
        [TextDelta("a", 1)],
        [TextDelta("a"), Usage(1, 1), TextDelta("a")],
        [ToolCallDelta(1, "", "call_x", "f")],
        ["text"],
        [None],
    ],
)
def test_what_clients_cannot_read_is_not_written(events: list[Any]) -> None:
    encoder = chat()
    for event in events[:-1]:
        encoder.item(event)
    with pytest.raises(InvalidItem):
        encoder.item(events[-1])


def test_the_heartbeat_is_one_line_without_a_blank_one() -> None:
    assert chat().heartbeat == b": keep-alive\n"


def test_a_failure_is_told_in_the_stream() -> None:
    assert chat().in_band


def test_there_is_no_place_for_a_header_or_a_footer() -> None:
    assert (chat().header("x"), chat().footer("x")) == (b"", b"")


def test_a_model_with_odd_characters_is_still_one_line() -> None:
    encoder = ChatChunks(Heading("a", 1, 'm\u2028"%s'), calls=Calls())
    (chunk,) = {json.loads(event.data)["model"] for event in EventStreamParser().feed(encoder.item(TextDelta("%s")))}
    assert chunk == 'm\u2028"%s'


def test_a_completion_to_the_byte() -> None:
    data = written(TextChunks(HEADING), TextDelta("Hel"), TextDelta("lo"), Finish("stop"))
    choice = b'"choices":[{"index":0,"text":%b,"logprobs":null,"finish_reason":%b}]}\n\n'
    told = [(b'"Hel"', b"null"), (b'"lo"', b"null"), (b'""', b'"stop"')]
    assert data == b"".join([TEXT_HEAD + choice % each for each in told]) + DONE


def test_the_logprobs_of_a_completion_are_columns_that_go_on() -> None:
    hel, lo = TokenLogprob("Hel", b"Hel", -0.5), TokenLogprob("lo", b"lo", -1.5)
    data = written(
        TextChunks(HEADING), TextDelta("Hel", logprobs=(hel,)), TextDelta("lo", logprobs=(lo,)), Finish("stop")
    )
    columns = [chunk["choices"][0]["logprobs"] for chunk in chunks(data)]
    assert columns[1] == {"tokens": ["lo"], "token_logprobs": [-1.5], "top_logprobs": [{}], "text_offset": [3]}
    assert [column and column["text_offset"] for column in columns] == [[0], [3], None]


@pytest.mark.parametrize("event", [ReasoningDelta("a"), RefusalDelta("a"), ToolCallDelta(0, "", "call_x", "f")])
def test_a_completion_has_no_place_for_anything_but_text(event: EngineEvent) -> None:
    with pytest.raises(InvalidItem, match="which a completion has no place for"):
        TextChunks(HEADING).item(event)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ANSWERS = st.lists(st.lists(TEXTS), min_size=1, max_size=4)


@st.composite
def mixed(draw: st.DrawFn) -> tuple[list[list[str]], list[EngineEvent]]:
    """The texts of some answers, and their events in any order that an engine may choose."""
    answers = draw(ANSWERS)
    left: list[list[EngineEvent]] = [
        [*(TextDelta(text, index) for text in texts), Finish("stop", index)] for index, texts in enumerate(answers)
    ]
    events: list[EngineEvent] = []
    while any(left):
        events.append(draw(st.sampled_from([each for each in left if each])).pop(0))
    return answers, [*events, Usage(1, sum(map(len, answers)))]


@given(mixed(), st.booleans())
def test_any_answers_come_through_whole(case: tuple[list[list[str]], list[EngineEvent]], with_usage: bool) -> None:
    answers, events = case
    data = written(chat(len(answers), with_usage=with_usage), *events)
    read = ["" for _ in answers]
    for chunk in chunks(data):
        for choice in chunk["choices"]:
            read[choice["index"]] += choice["delta"].get("content", "")
    assert read == ["".join(texts) for texts in answers]
    assert (chunks(data)[-1].get("usage") is not None) == with_usage


@given(mixed())
def test_every_record_is_one_line_for_every_reader(case: tuple[list[list[str]], list[EngineEvent]]) -> None:
    answers, events = case
    data = written(chat(len(answers)), *events)
    lines = data.decode().splitlines()
    assert all(line.startswith("data: ") for line in lines[::2])
    assert not any(lines[1::2])


@given(mixed())
def test_a_completion_and_a_chat_have_the_same_text(case: tuple[list[list[str]], list[EngineEvent]]) -> None:
    answers, events = case
    data = written(TextChunks(HEADING, n=len(answers)), *events)
    read = ["" for _ in answers]
    for chunk in chunks(data):
        for choice in chunk["choices"]:
            read[choice["index"]] += choice["text"]
    assert read == ["".join(texts) for texts in answers]
