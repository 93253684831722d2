"""A conversation's protocol, driven by a script instead of a network."""

from typing import Any

import httpx2
import pytest
from steps import Script, only

from headrace.client.dialogue import Dialogue, ReplyDecoder, Unsaid, dialogue
from headrace.client.protocol import Caller
from headrace.client.request import Options
from headrace.client.steps import Close, Head, OutOfTime, Pause, Receive, Say, Send
from headrace.client.timeouts import Timeout
from headrace.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    FirstItemTimeout,
    InternalError,
    InvalidItem,
    ItemTimeout,
    NotFound,
    Overloaded,
    StreamTruncated,
    WireError,
)
from headrace.wire.events import End, Header, Item
from headrace.wire.stream_types import stream_types, unknown_types
from headrace.wire.websocket import BINARY, TEXT, frame

ACCEPTED = Head(101, {"sec-websocket-protocol": "headrace.v1", "headrace-stream-id": "s_1"}, framed=True)
SAID = None
CLOSED = httpx2.WriteError("closed")


def text(data: str) -> bytes:
    return frame(TEXT, data.encode())


ITEM, END, HEADER = text('{"item":1}'), text('{"end":{"items":1}}'), text('{"header":"h"}')
FAILED = text('{"error":{"code":"internal","message":"no"}}')


def talk(script: Script, options: Options | None = None, **arguments: Any) -> Dialogue:
    return dialogue(Caller("http://here", options or Options(), script.now), "x", arguments)


def opened(script: Script, **options: Any) -> Dialogue:
    one = talk(script, Options(**options))
    script.run(one.open())
    return one


# -- the handshake


def test_the_handshake_carries_the_arguments_for_the_first_message() -> None:
    script = Script(ACCEPTED)
    one = talk(script, voice="en", speed=2)
    script.run(one.open())
    (send,) = only(script.asked, Send)
    assert (send.request.method, send.request.url) == ("GET", "http://here/x")
    assert send.request.payload.content == b'{"voice":"en","speed":2}'
    assert "content-type" not in send.headers
    assert (one.id, script.kinds()) == ("s_1", [Send])


def test_arguments_that_are_none_are_an_empty_object() -> None:
    script = Script(ACCEPTED)
    script.run(talk(script).open())
    assert only(script.asked, Send)[0].request.payload.content == b"{}"


@pytest.mark.parametrize("value", [b"x", iter([1]), open], ids=["bytes", "iterator", "function"])
def test_an_argument_that_is_listened_to_is_refused_before_anything_is_sent(value: Any) -> None:
    script = Script()
    with pytest.raises(TypeError, match=r"'words' (is what the endpoint listens to|cannot be sent)"):
        talk(script, words=value)
    assert script.asked == []


def test_a_refused_handshake_is_the_error_of_its_document() -> None:
    script = Script(Head(404, {}, framed=True), b'{"code":"not_found","detail":"no x"}', b"")
    with pytest.raises(NotFound, match="no x"):
        script.run(talk(script).open())


def test_a_handshake_is_tried_again_where_that_helps() -> None:
    script = Script(httpx2.ConnectError("refused"), ACCEPTED)
    script.run(talk(script).open())
    assert script.kinds() == [Send, Close, Pause, Send]


def test_nothing_is_tried_again_once_the_server_has_accepted() -> None:
    script = Script(ACCEPTED, text('{"error":{"code":"overloaded","message":"full","retryable":true}}'))
    one = opened(script)
    with pytest.raises(Overloaded, match="full"):
        script.run(one.more())
    assert len(only(script.asked, Send)) == 1


def test_a_server_without_the_subprotocol_is_none_of_ours() -> None:
    script = Script(Head(101, {}, framed=True))
    with pytest.raises(WireError, match=r"does not speak headrace\.v1"):
        script.run(talk(script).open())


def test_the_total_is_told_to_the_server() -> None:
    script = Script(ACCEPTED)
    opened(script, timeout=Timeout(total=30))
    assert only(script.asked, Send)[0].headers["headrace-timeout"] == "30.000"


# -- reading


def test_items_header_and_end_are_those_of_a_stream() -> None:
    script = Script(ACCEPTED, HEADER, ITEM, END)
    one = opened(script)
    assert script.run(one.more())
    assert (one.header, one.take()) == ("h", [1])
    assert not script.run(one.more())
    assert one.ended


@pytest.mark.parametrize(
    ("types", "waits"), [(None, False), (stream_types(int), False), (stream_types(int, header_type=str), True)]
)
def test_only_a_declared_header_is_waited_for(types: Any, waits: bool) -> None:
    options = Options() if types is None else Options(types=types)
    assert talk(Script(), options).begins_with_header is waits


def test_beginning_reads_to_the_header() -> None:
    script = Script(ACCEPTED, HEADER)
    one = opened(script, types=stream_types(int, header_type=str))
    script.run(one.begin())
    assert one.header == "h"


def test_a_beginning_that_is_a_failure_raises_it_then_and_ever_after() -> None:
    script = Script(ACCEPTED, FAILED)
    one = opened(script, types=stream_types(int, header_type=str))
    for steps in (one.begin, one.more, lambda: one.say("x")):
        with pytest.raises(InternalError):
            script.run(steps())


def test_a_close_without_an_ending_is_truncation_with_its_code() -> None:
    script = Script(ACCEPTED, ITEM, httpx2.ReadError("the server closed the connection with code 1012, soon"))
    one = opened(script)
    assert script.run(one.more())
    one.take()
    with pytest.raises(StreamTruncated, match="code 1012, soon; neither the stream's end nor a failure") as caught:
        script.run(one.more())
    assert (caught.value.stream_id, caught.value.items_sent) == ("s_1", 1)


# -- saying


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("a", '{"item":"a"}'),
        ("\u2028", '{"item":"\\u2028"}'),
        ({"n": [1, None]}, '{"item":{"n":[1,null]}}'),
        (b"\x00", b"\x00"),
        (bytearray(b"ab"), b"ab"),
        (None, '{"item":null}'),
    ],
)
def test_bytes_are_said_as_they_are_and_all_others_as_json(item: Any, message: str | bytes) -> None:
    script = Script(ACCEPTED, SAID)
    script.run(opened(script).say(item))
    assert only(script.asked, Say)[0].message == message


@pytest.mark.parametrize(("item", "match"), [(iter("ab"), "send them one by one"), (object(), "cannot be sent")])
def test_what_is_no_item_is_not_said(item: Any, match: str) -> None:
    script = Script(ACCEPTED)
    one = opened(script)
    with pytest.raises(TypeError, match=match):
        script.run(one.say(item))
    assert only(script.asked, Say) == []


def test_the_end_of_the_input_is_said_once_and_nothing_after_it() -> None:
    script = Script(ACCEPTED, SAID)
    one = opened(script)
    script.run(one.finish_input())
    script.run(one.finish_input())
    with pytest.raises(RuntimeError, match=r"nothing can be sent after finish_input\(\)"):
        script.run(one.say("x"))
    assert [each.message for each in only(script.asked, Say)] == ['{"end":{}}']


def test_nothing_is_said_before_the_block_and_behind_it() -> None:
    script = Script(ACCEPTED)
    one = talk(script)
    with pytest.raises(RuntimeError, match=r"enter it first: with client\.connect"):
        script.run(one.say("x"))
    script.run(one.open())
    script.run(one.close())
    with pytest.raises(RuntimeError, match="its block is left"):
        script.run(one.say("x"))


def test_a_complete_stream_takes_nothing_more_but_the_end_of_the_input() -> None:
    script = Script(ACCEPTED, END)
    one = opened(script)
    script.run(one.more())
    script.run(one.finish_input())
    with pytest.raises(ConnectionFailed, match="the stream is complete") as caught:
        script.run(one.say("x"))
    assert (caught.value.retryable, caught.value.stream_id) == (False, "s_1")


def test_what_could_not_be_said_is_concluded_with_the_failure_and_loses_no_item() -> None:
    script = Script(ACCEPTED, CLOSED, ITEM, FAILED)
    one = opened(script)
    with pytest.raises(Unsaid):
        script.run(one.say("x"))
    with pytest.raises(InternalError):
        script.run(one.conclude())
    assert script.run(one.more())
    assert one.take() == [1]


def test_what_could_not_be_said_to_a_complete_stream_is_concluded_without_an_error() -> None:
    script = Script(ACCEPTED, CLOSED, END)
    one = opened(script)
    with pytest.raises(Unsaid):
        script.run(one.finish_input())
    script.run(one.conclude())
    assert one.ended


# -- waiting


def test_what_is_said_begins_the_silence_anew() -> None:
    script = Script(ACCEPTED, SAID, ITEM)
    one = opened(script, timeout=Timeout(first_item=10, gap=5))
    steps = one.more()
    assert next(steps) == Receive(10)
    script.time += 9
    script.run(one.say("x"))
    script.time += 1
    assert steps.throw(OutOfTime()) == Receive(9)
    script.time += 9
    assert steps.throw(OutOfTime()) == Close()
    with pytest.raises(FirstItemTimeout):
        next(steps)


def test_the_gap_is_between_two_items_while_somebody_waits() -> None:
    script = Script(ACCEPTED, ITEM, (6, OutOfTime()))
    one = opened(script, timeout=Timeout(gap=5))
    script.run(one.more())
    one.take()
    script.time += 100  # nobody waits
    with pytest.raises(ItemTimeout):
        script.run(one.more())


@pytest.mark.parametrize(
    ("timeout", "within", "error"),
    [(Timeout(gap=5), 5, ItemTimeout), (Timeout(gap=5, total=3), 3, DeadlineExceeded), (Timeout(gap=None), None, None)],
)
def test_saying_has_a_limit(timeout: Timeout, within: float | None, error: type[Exception] | None) -> None:
    script = Script(ACCEPTED, (within or 0, OutOfTime() if error else SAID))
    one = opened(script, timeout=timeout)
    if error is None:
        script.run(one.say("x"))
    else:
        with pytest.raises(error):
            script.run(one.say("x"))
    assert only(script.asked, Say)[0].within == within


# -- decoding


def test_a_reader_that_does_not_know_takes_both_kinds_of_items() -> None:
    decoder = ReplyDecoder(unknown_types())
    assert decoder.feed(HEADER) == [Header("h")]
    assert decoder.feed(frame(BINARY, b"") + ITEM) == [Item(b""), Item(1)]
    assert decoder.feed(END) == [End(items=1)]
    assert decoder.finish() == []


def test_a_reader_that_knows_refuses_the_other_kind() -> None:
    assert ReplyDecoder(stream_types(bytes)).feed(frame(BINARY, b"a")) == [Item(b"a")]
    with pytest.raises(InvalidItem, match="a binary message in a stream of int"):
        ReplyDecoder(stream_types(int)).feed(frame(BINARY, b"a"))


def test_an_end_that_never_came_is_truncation() -> None:
    decoder = ReplyDecoder(unknown_types())
    decoder.feed(ITEM)
    with pytest.raises(StreamTruncated):
        decoder.finish()
