"""The protocol, driven by a script instead of a network: every cut, every wait, every retry."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import NDJSON, Script, only

from headrace.client.answers import AnswerDecoder
from headrace.client.protocol import Caller, Exchange, Reading, joined
from headrace.client.request import Options, build
from headrace.client.steps import Close, Head, Look, OutOfTime, Pause, Receive, Send, SourceFailed
from headrace.client.timeouts import Timeout
from headrace.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    FirstItemTimeout,
    HeadraceError,
    InternalError,
    ItemTimeout,
    Overloaded,
    StreamError,
    StreamTruncated,
    WireError,
)
from headrace.wire.encoding import encode
from headrace.wire.events import End, Footer, Header, Item
from headrace.wire.formats import FORMATS
from headrace.wire.stream_types import stream_types

ITEM = b'{"item":1}\n'
END = b'{"end":{"items":1}}\n'
BROKEN = httpx2.ReadError("reset")


def exchange(script: Script, options: Options | None = None, *, whole: bool = False, **arguments: Any) -> Exchange:
    options = options or Options()
    request = build("http://here", "x", arguments, options, whole=whole)
    if whole:
        return Exchange(request, options, AnswerDecoder, clock=script.now, chance=lambda: 1.0)
    return Exchange(request, options, clock=script.now, chance=lambda: 1.0)


def rest(script: Script, one: Exchange) -> list[Any]:
    items = []
    while script.run(one.more()):
        items += one.take()
    return items


def read(script: Script, one: Exchange) -> tuple[list[Any], HeadraceError | None]:
    items: list[Any] = []
    try:
        script.run(one.open())
        while script.run(one.more()):
            items += one.take()
    except HeadraceError as error:
        return items, error
    finally:
        script.run(one.close())
    return items, None


# -- opening and reading


def test_opening_returns_with_the_first_item() -> None:
    script = Script(NDJSON, b'{"it', b'em":1}\n')
    one = exchange(script)
    script.run(one.open())
    assert script.kinds() == [Send, Receive, Receive]
    assert (one.id, list(one.items)) == ("s_1", [1])


def test_opening_returns_with_the_header() -> None:
    script = Script(NDJSON, b'{"header":null}\n')
    one = exchange(script)
    script.run(one.open())
    assert script.kinds() == [Send, Receive]


def test_opening_returns_with_the_end() -> None:
    script = Script(NDJSON, b'{"end":{"items":0}}\n', b"")
    assert read(script, exchange(script))[0] == []


def test_heartbeats_are_no_answer() -> None:
    script = Script(NDJSON, b"\n", b"\n", ITEM)
    script.run(exchange(script).open())
    assert len(only(script.asked, Receive)) == 3


def test_items_that_are_here_are_handed_out_before_more_is_read() -> None:
    script = Script(NDJSON, ITEM + ITEM + ITEM)
    one = exchange(script)
    script.run(one.open())
    asked = len(script.asked)
    assert script.run(one.more())
    assert len(script.asked) == asked
    assert one.take() == [1, 1, 1]


def test_header_items_and_footer_arrive() -> None:
    script = Script(NDJSON, b'{"header":{"rate":1}}\n' + ITEM + b'{"footer":"f"}\n' + END, b"")
    one = exchange(script)
    assert read(script, one) == ([1], None)
    assert (one.header, one.footer) == ({"rate": 1}, "f")


def test_the_declared_types_are_used() -> None:
    script = Script(NDJSON, ITEM)
    _, error = read(script, exchange(script, Options(types=stream_types(str))))
    assert isinstance(error, StreamError)
    assert error.code == "invalid_item"


def test_a_stream_is_entered_once_and_read_inside_its_block() -> None:
    script = Script(NDJSON, ITEM + END)
    one = exchange(script)
    with pytest.raises(RuntimeError, match="enter it first: with client"):
        script.run(one.more())
    script.run(one.open())
    with pytest.raises(RuntimeError, match="entered before; ask the client for a new one"):
        script.run(one.open())
    script.add(b"")
    script.run(one.close())
    with pytest.raises(RuntimeError, match="its block is left"):
        script.run(one.more())


def test_a_whole_stream_is_read_to_the_end_of_its_response() -> None:
    script = Script(NDJSON, ITEM + END, b"")
    assert read(script, exchange(script)) == ([1], None)
    assert script.kinds() == [Send, Receive, Receive, Close]
    assert only(script.asked, Receive)[-1].within == 0.05


def test_a_response_that_does_not_end_after_its_stream_is_closed() -> None:
    script = Script(NDJSON, ITEM + END, OutOfTime())
    assert read(script, exchange(script)) == ([1], None)
    assert script.kinds()[-1] is Close


def test_leaving_early_closes_without_reading_on() -> None:
    script = Script(NDJSON, ITEM)
    one = exchange(script)
    script.run(one.open())
    script.run(one.close())
    assert script.kinds() == [Send, Receive, Close]


# -- cuts


TYPES = stream_types(int, header_type=dict[str, int], footer_type=str)
EVENTS = [Header({"rate": 1}), Item(1), Item(2), Item(3), Footer("f"), End(items=3)]


def encoded(name: str) -> tuple[str, list[bytes]]:
    row = next(row for row in FORMATS if row.name == name)
    encoder = row.encoder(TYPES)
    return row.media_types[0], [encode(encoder, event) for event in EVENTS]


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "broken"])
@pytest.mark.parametrize("name", ["frames", "ndjson", "sse"])
def test_at_every_cut_the_items_before_it_come_and_then_truncation(name: str, clean: bool) -> None:
    media_type, records = encoded(name)
    body = b"".join(records)
    whole = len(body) - (name in ("ndjson", "sse") and clean)  # the last line end is not needed
    if name == "sse":
        whole = len(body)  # an event ends with an empty line
    for cut in range(len(body)):
        script = Script(Head(200, {"content-type": media_type}, True), *([body[:cut]] if cut else []))
        script.add(b"" if clean else BROKEN)
        items, error = read(script, exchange(script))
        came = sum(sum(map(len, records[: number + 2])) <= cut for number in range(3))
        if name == "ndjson" and clean and cut == len(body) - 1:
            assert (items, error) == ([1, 2, 3], None)
            continue
        assert cut < whole
        assert type(error) is StreamTruncated
        assert error.items_sent == len(items)
        assert items in ([1, 2, 3][:came], [1, 2, 3][: came + 1])  # an item may need no line end


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1), name=st.sampled_from(["frames", "ndjson", "sse"]))
def test_however_it_is_cut_the_same_stream_comes(sizes: list[int], name: str) -> None:
    media_type, records = encoded(name)
    body = b"".join(records)
    pieces, place = [], 0
    while place < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[place : place + size])
        place += size
    script = Script(Head(200, {"content-type": media_type}, True), *pieces, b"")
    one = exchange(script)
    assert read(script, one) == ([1, 2, 3], None)
    assert (one.header, one.footer, one.statistics.bytes) == ({"rate": 1}, "f", len(body))


@pytest.mark.parametrize(
    ("framed", "end", "whole"), [(True, b"", True), (False, b"", False), (True, BROKEN, False)]
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "audio/wav", ""])
def test_text_and_bytes_are_whole_when_the_transport_says_so(
    content_type: str, framed: bool, end: Any, whole: bool
) -> None:
    script = Script(Head(200, {"content-type": content_type}, framed), b"abc", end)
    items, error = read(script, exchange(script))
    assert items == (["abc"] if content_type.startswith("text/") else [b"abc"])
    assert (error is None) is whole
    assert whole or type(error) is StreamTruncated


def test_what_broke_the_stream_off_is_the_cause() -> None:
    script = Script(NDJSON, ITEM, BROKEN)
    _, error = read(script, exchange(script))
    assert error is not None
    assert error.__cause__ is BROKEN


def test_an_error_in_the_bytes_waits_for_the_items_before_it() -> None:
    script = Script(NDJSON, ITEM + b"nonsense\n")
    items, error = read(script, exchange(script))
    assert (items, type(error)) == ([1], WireError)
    assert len(only(script.asked, Receive)) == 1  # it is not waited for


def test_after_an_error_the_response_is_closed_and_the_error_stays() -> None:
    script = Script(NDJSON, ITEM, BROKEN)
    one = exchange(script)
    script.run(one.open())
    one.take()
    for _ in range(2):
        with pytest.raises(StreamTruncated):
            script.run(one.more())
    assert script.kinds() == [Send, Receive, Receive, Close]


# -- failures


def failing(code: str, retryable: bool) -> bytes:
    told = "true" if retryable else "false"
    return f'{{"error":{{"code":"{code}","message":"m","retryable":{told},"items_sent":7}}}}\n'.encode()


def test_a_failure_comes_after_the_items_before_it() -> None:
    script = Script(NDJSON, ITEM + failing("overloaded", True))
    items, error = read(script, exchange(script))
    assert items == [1]
    assert isinstance(error, Overloaded)
    assert (error.message, error.stream_id, error.items_sent) == ("m", "s_1", 7)


def test_a_failure_after_the_header_is_not_the_openings() -> None:
    script = Script(NDJSON, b'{"header":1}\n' + failing("overloaded", True))
    one = exchange(script)
    script.run(one.open())
    with pytest.raises(Overloaded):
        script.run(one.more())
    assert one.header == 1


def test_a_refusal_is_its_error() -> None:
    script = Script(Head(500, {"content-type": "application/problem+json"}, True), b'{"code":"internal",', b'"detail":')
    script.add(b'"d"}', b"")
    _, error = read(script, exchange(script))
    assert type(error) is InternalError
    assert error.message == "d"


@pytest.mark.parametrize("end", [BROKEN, OutOfTime(), b""])
def test_a_refusal_that_is_cut_is_still_one(end: Any) -> None:
    script = Script(Head(500, {}, True), b"half a te", end)
    _, error = read(script, exchange(script))
    assert type(error) is InternalError
    assert error.message == "http://here/x answers 500: half a te"


def test_a_refusal_without_end_is_read_up_to_a_limit() -> None:
    script = Script(Head(500, {}, True), *[b"x" * 65536] * 100)
    read(script, exchange(script))
    assert len(only(script.asked, Receive)) == 4


# -- waiting


def test_the_first_item_has_its_time_attempts_and_pauses_included() -> None:
    script = Script((1.0, NDJSON), (2.0, b"\n"), (3.0, OutOfTime()))
    _, error = read(script, exchange(script, Options(timeout=Timeout(first_item=6.0))))
    assert type(error) is FirstItemTimeout
    send, first, second = script.asked[:3]
    assert isinstance(send, Send)
    assert isinstance(first, Receive)
    assert isinstance(second, Receive)
    assert (send.within, first.within, second.within) == (6.0, 5.0, 3.0)


def test_what_the_caller_does_between_two_items_is_not_the_servers_silence() -> None:
    script = Script(NDJSON, ITEM, (1.0, b"\n"), (2.0, ITEM))
    one = exchange(script, Options(timeout=Timeout(gap=4.0)))
    script.run(one.open())
    one.take()
    script.time += 1000
    script.run(one.more())
    assert [each.within for each in only(script.asked, Receive)][1:] == [4.0, 3.0]
    assert one.statistics.longest_gap == 3.0


def test_a_gap_is_an_item_timeout_and_closes() -> None:
    script = Script(NDJSON, ITEM, (4.0, OutOfTime()))
    items, error = read(script, exchange(script, Options(timeout=Timeout(gap=4.0))))
    assert (items, type(error)) == ([1], ItemTimeout)
    assert script.kinds()[-2:] == [Close, Close]


def test_a_deadline_that_has_passed_is_not_waited_for() -> None:
    script = Script(NDJSON, ITEM)
    one = exchange(script, Options(timeout=Timeout(total=5.0)))
    script.run(one.open())
    one.take()
    script.time += 6
    with pytest.raises(DeadlineExceeded):
        script.run(one.more())
    assert len(only(script.asked, Receive)) == 1


def test_the_server_is_told_what_is_left_of_the_total() -> None:
    script = Script((1.0, BROKEN), NDJSON, ITEM)
    script.run(exchange(script, Options(timeout=Timeout(total=5.0))).open())
    assert [send.headers["headrace-timeout"] for send in only(script.asked, Send)] == ["5.000", "3.750"]


# -- retries


def test_what_breaks_before_the_head_is_tried_again() -> None:
    script = Script(BROKEN, BROKEN, NDJSON, ITEM)
    script.run(exchange(script).open())
    assert [pause.seconds for pause in only(script.asked, Pause)] == [0.25, 0.5]
    assert script.kinds()[:3] == [Send, Close, Pause]


def test_at_most_so_often() -> None:
    script = Script(BROKEN, BROKEN, BROKEN)
    assert type(read(script, exchange(script))[1]) is ConnectionFailed
    assert len(only(script.asked, Send)) == 3
    script = Script(BROKEN)
    assert type(read(script, exchange(script, Options(retries=0)))[1]) is ConnectionFailed


def test_the_advice_of_the_server_is_kept() -> None:
    script = Script(Head(503, {"retry-after": "2"}, True), b"", NDJSON, ITEM)
    script.run(exchange(script).open())
    assert [pause.seconds for pause in only(script.asked, Pause)] == [2.25]


def test_a_failure_before_any_item_is_tried_again_and_one_after_it_is_not() -> None:
    script = Script(NDJSON, failing("model_gone", True), NDJSON, ITEM)
    script.run(exchange(script).open())
    script = Script(NDJSON, failing("model_gone", False))
    assert read(script, exchange(script))[1] is not None
    script = Script(NDJSON, ITEM + failing("model_gone", True))
    assert read(script, exchange(script))[1] is not None
    assert len(only(script.asked, Send)) == 1


def test_a_pause_counts_as_waiting() -> None:
    script = Script(BROKEN, NDJSON, ITEM)
    script.run(exchange(script, Options(timeout=Timeout(first_item=5.0))).open())
    assert only(script.asked, Receive)[0].within == 4.75


# -- uploads


def test_the_first_value_of_a_body_is_looked_at_before_it_is_sent() -> None:
    script = Script([{"a": 1}], NDJSON, ITEM)
    one = exchange(script, data=iter([{"a": 1}]))
    script.run(one.open())
    assert script.kinds()[:2] == [Look, Send]
    assert only(script.asked, Send)[0].headers["content-type"] == "application/x-ndjson"


def test_a_body_that_was_not_begun_may_be_sent_again() -> None:
    script = Script([b"a"], httpx2.ConnectError("refused"), NDJSON, ITEM)
    script.run(exchange(script, data=iter([b"a"])).open())
    assert len(only(script.asked, Look)) == 1


def test_a_body_that_was_begun_may_not() -> None:
    def fails() -> Iterator[bytes]:
        yield b"a"

    script = Script([b"a"], BROKEN)
    one = exchange(script, data=fails())
    upload = one._request.upload
    assert upload is not None
    upload.started = True
    assert type(read(script, one)[1]) is ConnectionFailed


def test_the_time_of_an_upload_is_not_the_servers() -> None:
    script = Script([b"a"], (1000.0, NDJSON), ITEM)
    one = exchange(script, Options(timeout=Timeout(first_item=5.0)), data=iter([b"a"]))
    script.run(one.open())
    assert only(script.asked, Send)[0].within is None
    assert only(script.asked, Receive)[0].within == 5.0


async def _never() -> AsyncIterator[bytes]:
    raise AssertionError
    yield b""


def test_what_the_callers_body_raises_is_passed_on_as_it_is() -> None:
    failed = SourceFailed(KeyError("mine"))
    script = Script([b"a"], failed)
    with pytest.raises(SourceFailed) as caught:
        script.run(exchange(script, data=iter([b"a"])).open())
    assert caught.value is failed


# -- the rest


def test_a_call_has_one_item_the_value() -> None:
    script = Script(Head(200, {"content-type": "application/json"}, True), b"[1,", b"2]", b"")
    assert read(script, exchange(script, whole=True)) == ([[1, 2]], None)


def test_what_was_compressed_unasked_is_refused() -> None:
    script = Script(Head(200, {"content-type": "text/plain", "content-encoding": "gzip"}, True))
    _, error = read(script, exchange(script))
    assert type(error) is WireError


def test_only_a_stream_of_which_nothing_was_taken_is_whole() -> None:
    script = Script(NDJSON, ITEM + ITEM)
    one = exchange(script)
    one.check_whole()
    script.run(one.open())
    one.check_whole()
    one.items.popleft()
    with pytest.raises(RuntimeError, match="taken already"):
        one.check_whole()


def test_a_reading_shows_what_is_known() -> None:
    script = Script(NDJSON, b'{"header":1}\n' + ITEM + b'{"footer":2}\n' + END, b"")
    one = exchange(script)
    view = Reading(one)
    assert (view.id, view.header, view.footer, view.stats.items) == ("", None, None, 0)
    script.run(one.open())
    assert (view.id, view.header, view.stats.items) == ("s_1", 1, 1)
    assert rest(script, one) == [1]
    assert view.footer == 2


def test_a_caller_makes_both_kinds() -> None:
    script = Script(NDJSON, ITEM)
    caller = Caller("http://here", Options(), script.now).changed({"A": "b"}, retries=0)
    assert (caller.options.retries, dict(caller.options.headers)) == (0, {"a": "b"})
    script.run(caller.stream("x", {}).open())
    script = Script(Head(200, {"content-type": "application/json"}, True), b"5", b"")
    one = caller.call("x", {})
    script.run(one.open())
    assert one.take() == [5]


def test_text_is_joined_and_nothing_else() -> None:
    assert joined(["a", "b"]) == "ab"
    with pytest.raises(TypeError, match="one is int; use collect"):
        joined(["a", 1])
