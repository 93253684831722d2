"""Messages and frames, close codes and reasons; no connection."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from headrace.errors import (
    AmbiguousRequest,
    BodyTooLarge,
    Cancelled,
    ClientGone,
    DeadlineExceeded,
    InternalError,
    InvalidArguments,
    InvalidItem,
    MalformedBody,
    MissingHeader,
    OutOfOrder,
    Overloaded,
    RateLimited,
    RequestTimeout,
    ShuttingDown,
    StreamError,
    StreamTruncated,
    UnsupportedMediaType,
    WireError,
)
from headrace.wire.events import End, Failure, Footer, Header, Item
from headrace.wire.stream_types import stream_types
from headrace.wire.websocket import (
    BINARY,
    TEXT,
    MessageDecoder,
    MessageEncoder,
    PlainMessageEncoder,
    close_code,
    close_reason,
    frame,
    messages,
    named,
)

END = End(items=2, first_item_ms=1.5, duration_ms=20.125)
FAILURE = Failure(code="internal", message="broken", retryable=False, stream_id="s_1", items_sent=2)


def only(frames: bytes) -> tuple[int, bytes]:
    """The one message of these frames."""
    (message,) = messages(frames)
    return message


# -- frames


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_says_its_length_in_the_shortest_way(size: int, head: bytes) -> None:
    assert frame(TEXT, b"x" * size) == head + b"x" * size


@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.integers(0, 300).map(lambda size: b"x" * size))))
def test_frames_that_were_joined_are_the_same_messages_again(made: list[tuple[int, bytes]]) -> None:
    assert list(messages(b"".join(frame(kind, payload) for kind, payload in made))) == made


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_another_implementation_reads_the_frames(size: int) -> None:
    reader = StreamReader()
    reader.feed_data(frame(BINARY, b"y" * size))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == Frame(Opcode.BINARY, b"y" * size, fin=True)


# -- the subprotocol


def test_under_the_subprotocol_messages_are_the_objects_of_ndjson() -> None:
    encoder = MessageEncoder(stream_types(str, header_type=dict[str, int], footer_type=int))
    assert only(encoder.header({"rate": 1})) == (TEXT, b'{"header":{"rate":1}}')
    assert only(encoder.item('a "b" \u00e9')) == (TEXT, '{"item":"a \\"b\\" \u00e9"}'.encode())
    assert only(encoder.footer(3)) == (TEXT, b'{"footer":3}')
    assert only(encoder.end(END)) == (TEXT, b'{"end":{"items":2,"first_item_ms":1.5,"duration_ms":20.125}}')
    assert json.loads(only(encoder.failure(FAILURE))[1]) == {
        "error": {
            "code": "internal",
            "message": "broken",
            "retryable": False,
            "stream_id": "s_1",
            "items_sent": 2,
        }
    }


def test_bytes_are_binary_messages_under_the_subprotocol_too() -> None:
    assert only(MessageEncoder(stream_types(bytes)).item(b"\x00\xff")) == (BINARY, b"\x00\xff")


def test_the_subprotocol_tells_failures_in_the_stream_and_plain_messages_do_not() -> None:
    assert MessageEncoder(stream_types(str)).in_band
    assert not PlainMessageEncoder(stream_types(str)).in_band


# -- without it


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (str, 'a "b"', (TEXT, b'a "b"')),
        (str, "", (TEXT, b"")),
        (bytes, b"\xff", (BINARY, b"\xff")),
        (int, 7, (TEXT, b"7")),
        (dict[str, int], {"a": 1}, (TEXT, b'{"a":1}')),
    ],
)
def test_a_plain_item_is_the_text_the_bytes_or_the_json(type_: Any, value: Any, message: tuple[int, bytes]) -> None:
    assert only(PlainMessageEncoder(stream_types(type_)).item(value)) == message


def test_a_plain_header_and_footer_are_objects_with_one_member() -> None:
    encoder = PlainMessageEncoder(stream_types(bytes, header_type=int, footer_type=str))
    assert only(encoder.header(1)) == (TEXT, b'{"header":1}')
    assert only(encoder.footer("f")) == (TEXT, b'{"footer":"f"}')


def test_a_plain_ending_has_no_message() -> None:
    encoder = PlainMessageEncoder(stream_types(str))
    assert (encoder.end(END), encoder.failure(FAILURE)) == (b"", b"")


@pytest.mark.parametrize("encoder", [MessageEncoder, PlainMessageEncoder])
@pytest.mark.parametrize(("type_", "value"), [(str, "\ud800"), (str, 1), (bytes, "text"), (float, float("nan"))])
def test_what_no_message_can_carry_is_an_invalid_item(encoder: type[MessageEncoder], type_: Any, value: Any) -> None:
    with pytest.raises(InvalidItem):
        encoder(stream_types(type_)).item(value)


# -- reading


def test_the_decoder_reads_what_the_encoder_made() -> None:
    types = stream_types(str, header_type=int, footer_type=int)
    encoder, decoder = MessageEncoder(types), MessageDecoder(types)
    made = [encoder.header(1), encoder.item("a"), encoder.item("b"), encoder.footer(2), encoder.end(END)]
    events = [event for each in made for event in decoder.feed(only(each)[1])]
    assert [*events, *decoder.finish()] == [Header(1), Item("a"), Item("b"), Footer(2), END]


def test_a_failure_is_read() -> None:
    decoder = MessageDecoder(stream_types(str))
    assert decoder.feed(only(MessageEncoder(stream_types(str)).failure(FAILURE))[1]) == [FAILURE]


def test_a_binary_message_is_an_item_of_bytes() -> None:
    decoder = MessageDecoder(stream_types(bytes))
    assert decoder.binary(b"\xff") == Item(b"\xff")


def test_a_binary_message_in_a_stream_of_text_is_refused() -> None:
    with pytest.raises(InvalidItem, match="a binary message in a stream of str"):
        MessageDecoder(stream_types(str)).binary(b"x")


def test_a_binary_message_before_the_declared_header_is_refused() -> None:
    with pytest.raises(MissingHeader):
        MessageDecoder(stream_types(bytes, header_type=int)).binary(b"x")


def test_nothing_follows_an_end() -> None:
    decoder = MessageDecoder(stream_types(bytes))
    decoder.feed(only(MessageEncoder(stream_types(bytes)).end(END))[1])
    with pytest.raises(OutOfOrder):
        decoder.binary(b"x")


def test_messages_without_an_ending_are_a_truncation() -> None:
    decoder = MessageDecoder(stream_types(str))
    decoder.feed(b'{"item":"a"}')
    with pytest.raises(StreamTruncated):
        decoder.finish()


@pytest.mark.parametrize(
    ("message", "name", "content"),
    [
        (b'{"item":1}', "item", b"1"),
        (b' \n{ "end" : {} } \n', "end", b" {} "),
        (b'{"item":"}"}', "item", b'"}"'),
    ],
)
def test_a_message_has_a_name_and_a_content(message: bytes, name: str, content: bytes) -> None:
    assert named(message) == (name, content)


@pytest.mark.parametrize("message", [b"", b"{}", b"[]", b"1", b'"item"', b'{"item":1', b'{"":1}', b"{item:1}", b"\xff"])
def test_what_is_no_object_with_one_member_is_refused(message: bytes) -> None:
    with pytest.raises(WireError, match="an object with one member"):
        named(message)


# -- how it closes


class Busy(StreamError):
    """All slots are taken."""

    code = "busy"
    status = 429


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 1000),
        (InternalError(), 1011),
        (Busy(), 1011),
        (DeadlineExceeded(), 1011),
        (Cancelled(), 1011),
        (Overloaded(), 1013),
        (RateLimited(), 1013),
        (ShuttingDown(), 1012),
        (MalformedBody(), 1007),
        (UnsupportedMediaType(), 1003),
        (BodyTooLarge(), 1009),
        (InvalidArguments("no", []), 1008),
        (RequestTimeout(), 1008),
        (AmbiguousRequest(), 1008),
        (ClientGone(), 1001),
    ],
)
def test_every_ending_has_its_close_code(error: StreamError | None, code: int) -> None:
    assert close_code(error) == code


def test_the_reason_is_the_code_and_the_message() -> None:
    assert close_reason(Busy("try later")) == "busy: try later"
    assert close_reason(None) == ""


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u6f22", "\U0001f600"])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_long_reason_is_cut_between_characters(character: str, before: int) -> None:
    reason = close_reason(Busy("-" * before + character * 200)).encode()
    assert 123 - len(character.encode()) < len(reason) <= 123
    assert reason.decode() == "busy: " + "-" * before + character * ((117 - before) // len(character.encode()))


def test_a_reason_that_utf_8_cannot_carry_is_told_as_far_as_it_can() -> None:
    assert close_reason(Busy("half \ud800 a pair")) == "busy: half ? a pair"
